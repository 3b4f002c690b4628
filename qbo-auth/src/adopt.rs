//! Where a line of tokens begins: with a token that an orchestrator hands over, or with a new consent.

use time::OffsetDateTime;

use crate::endpoint::{TokenAnswer, TokenError, TokenErrorKind};
use crate::error::AuthError;
use crate::secret::RefreshToken;
use crate::token::TokenSet;
use crate::vault::TokenVault;

/// Reconciles the refresh token an orchestrator supplies with the one the vault has rotated since.
///
/// The orchestrator's copy never changes, the real one does about once a day. So the supplied token counts
/// as a name for a line of tokens: if the vault's set began with it, the vault's set stands; otherwise the
/// supplied token is a new consent and starts a new line. Returns the set in force.
pub async fn adopt_bootstrap(
    vault: &dyn TokenVault,
    supplied: RefreshToken,
    now: OffsetDateTime,
) -> Result<TokenSet, AuthError> {
    let _lock = vault.lock().await?;
    let stored = vault.load().await?;
    let generation = stored.as_ref().map_or(1, |tokens| tokens.generation + 1);
    let displaced = stored.as_ref().map(|tokens| tokens.refresh.clone());
    if let Some(tokens) = stored
        && tokens.bootstrap.as_deref() == Some(supplied.fingerprint().as_str())
    {
        return Ok(tokens);
    }
    // What was there is kept and tried if the supplied token is refused: the orchestrator's copy may be the older one,
    // with a newer consent stored by hand.
    let previous = displaced;
    let started = TokenSet { previous, ..TokenSet::from_consent(supplied, generation, now) };
    vault.store(&started).await?;
    Ok(started)
}

/// Keeps the tokens of a new consent, in place of what the vault held. Durable when it returns.
///
/// # Errors
///
/// [`TokenErrorKind::Protocol`] for an answer without a refresh token; the vault keeps what it had.
pub async fn adopt_consent(
    vault: &dyn TokenVault,
    answer: &TokenAnswer,
    now: OffsetDateTime,
) -> Result<TokenSet, AuthError> {
    let missing = || TokenError::new(TokenErrorKind::Protocol("no refresh token"));
    let refresh = answer.refresh.clone().ok_or_else(missing)?;
    let _lock = vault.lock().await?;
    let displaced = vault.load().await?.map_or(0, |tokens| tokens.generation);
    let begun = TokenSet::from_consent(refresh, displaced, now);
    // The exchange has brought an access token with it.
    let tokens = begun.rotated(&begun.refresh, answer, now);
    vault.store(&tokens).await?;
    Ok(tokens)
}
