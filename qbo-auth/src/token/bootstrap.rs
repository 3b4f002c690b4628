//! The first token of a lineage: one that an orchestrator supplies, or that of a new consent.

use time::OffsetDateTime;

use crate::error::AuthError;
use crate::oauth::{TokenAnswer, TokenError, TokenErrorKind};
use crate::secret::RefreshToken;
use crate::vault::{SecretName, TokenSet, TokenVault, VaultError};

/// Reconciles the refresh token that an orchestrator supplies with the one that the vault has rotated since.
///
/// The orchestrator's copy never changes, and the real token does about once a day. So the supplied token identifies a lineage
/// of tokens: if the vault's set began with it, or with a later one, the vault's set stays; otherwise the supplied token is a
/// new consent and starts a new lineage, to which the values of `about` belong. Returns the set in force. If there is nothing
/// to adopt, the vault is only read; a text that cannot be a token, such as a blank one, counts as not supplied.
pub async fn adopt_bootstrap(
    vault: &dyn TokenVault,
    supplied: RefreshToken,
    about: &[(SecretName, &str)],
    now: OffsetDateTime,
) -> Result<TokenSet, AuthError> {
    if !supplied.is_presentable() {
        // The server could only refuse it.
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
    // The stored token is kept and tried if the supplied token is refused: the orchestrator's copy may be the older one, of a
    // consent that this vault never saw. A stored token that was itself only supplied, and has not worked yet, does not
    // displace the one that did.
    let is_untried = displaced.as_ref().is_some_and(TokenSet::is_untried);
    let previous = displaced.map(|tokens| match tokens.previous {
        Some(proven) if is_untried => proven,
        _ => tokens.refresh,
    });
    let started = TokenSet { previous, ..TokenSet::from_consent(supplied, generation, now) };
    vault.begin(&started, about).await?;
    Ok(started)
}

/// The stored set, if it began with the supplied token or the supplied token is known to be older.
async fn in_force(vault: &dyn TokenVault, supplied: &RefreshToken) -> Result<Option<TokenSet>, VaultError> {
    let Some(tokens) = vault.load().await? else { return Ok(None) };
    let is_known = vault.has_begun(&supplied.fingerprint()).await?;
    Ok(is_known.then_some(tokens))
}

/// Stores the tokens of a new consent in place of what the vault held, and each value of `about`, which belongs to the consent,
/// unless that name has a value already. Durable when it returns.
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
    // The exchange has returned an access token as well.
    let tokens = begun.rotated(&begun.refresh, answer, now);
    vault.begin(&tokens, about).await?;
    Ok(tokens)
}
