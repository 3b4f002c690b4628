//! Where a line of tokens begins: with a token that an orchestrator hands over, or with a new consent.

use time::OffsetDateTime;

use crate::error::AuthError;
use crate::oauth::{TokenAnswer, TokenError, TokenErrorKind};
use crate::secret::RefreshToken;
use crate::vault::{SecretName, TokenSet, TokenVault, VaultError};

/// Reconciles the refresh token an orchestrator supplies with the one the vault has rotated since.
///
/// The orchestrator's copy never changes, the real one does about once a day. So the supplied token counts
/// as a name for a line of tokens: if the vault's set began with it, or with a later one, the vault's set stands;
/// otherwise the supplied token is a new consent and starts a new line, `about` what it says. Returns the set in
/// force. A vault that has nothing to adopt is only read; a text that can be no token, such as a blank one, counts as not
/// supplied.
pub async fn adopt_bootstrap(
    vault: &dyn TokenVault,
    supplied: RefreshToken,
    about: &[(SecretName, &str)],
    now: OffsetDateTime,
) -> Result<TokenSet, AuthError> {
    if !supplied.is_presentable() {
        // It could only be refused.
        return vault.load().await?.ok_or(AuthError::NoToken);
    }
    if let Some(tokens) = in_force(vault, &supplied).await? {
        return Ok(tokens);
    }
    let _lock = vault.lock().await?;
    if let Some(tokens) = in_force(vault, &supplied).await? {
        return Ok(tokens);
    }
    let displaced = vault.load().await?;
    let generation = displaced.as_ref().map_or(1, |tokens| tokens.generation + 1);
    // What was there is kept and tried if the supplied token is refused: the orchestrator's copy may be the older one,
    // of a consent that this vault never saw. A token that was itself only handed over, and has not worked yet, does not
    // take the place of the one that did.
    let is_untried = displaced.as_ref().is_some_and(TokenSet::is_untried);
    let previous = displaced.map(|tokens| match tokens.previous {
        Some(proven) if is_untried => proven,
        _ => tokens.refresh,
    });
    let started = TokenSet { previous, ..TokenSet::from_consent(supplied, generation, now) };
    vault.begin(&started, about).await?;
    Ok(started)
}

/// The stored set, if the supplied token began it or is known to be older.
async fn in_force(vault: &dyn TokenVault, supplied: &RefreshToken) -> Result<Option<TokenSet>, VaultError> {
    let Some(tokens) = vault.load().await? else { return Ok(None) };
    let is_known = vault.has_begun(&supplied.fingerprint()).await?;
    Ok(is_known.then_some(tokens))
}

/// Keeps the tokens of a new consent, in place of what the vault held, and what the consent is `about`, where nothing
/// is known of that yet. Durable when it returns.
///
/// # Errors
///
/// [`TokenErrorKind::Protocol`] for an answer without a refresh token; the vault keeps what it had.
pub async fn adopt_consent(
    vault: &dyn TokenVault,
    answer: &TokenAnswer,
    about: &[(SecretName, &str)],
    now: OffsetDateTime,
) -> Result<TokenSet, AuthError> {
    let missing = || TokenError::new(TokenErrorKind::Protocol("no refresh token"));
    let refresh = answer.refresh.clone().ok_or_else(missing)?;
    let _lock = vault.lock().await?;
    let displaced = vault.load().await?.map_or(0, |tokens| tokens.generation);
    let begun = TokenSet::from_consent(refresh, displaced, now);
    // The exchange has brought an access token with it.
    let tokens = begun.rotated(&begun.refresh, answer, now);
    vault.begin(&tokens, about).await?;
    Ok(tokens)
}
