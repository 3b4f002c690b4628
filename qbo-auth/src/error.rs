//! The error of this crate's public functions, and what to do about it.

use std::sync::Arc;
use std::time::Duration;

use crate::oauth::{TokenError, TokenErrorKind};
use crate::vault::{VaultError, VaultErrorKind};

/// Pause before calling a token endpoint again that throttles without naming a time. Intuit's documents name 60 seconds for the
/// accounting API.
const DEFAULT_THROTTLE: Duration = Duration::from_secs(60);

/// Pause before calling a token endpoint again that failed all tries of one refresh.
const DEFAULT_OUTAGE: Duration = Duration::from_secs(30);

/// No access token can be obtained.
///
/// It is cheap to clone: all callers that waited for one refresh get the same error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// There is no refresh token yet.
    #[error("the vault holds no refresh token")]
    NoToken,
    /// Intuit refuses every refresh token in the vault: the consent has ended.
    #[error("Intuit no longer accepts the stored refresh token")]
    NeedsConsent(#[source] TokenError),
    /// The token endpoint returned no token, for a reason other than the consent.
    #[error("the access token could not be refreshed")]
    Endpoint(#[source] TokenError),
    /// The vault could not be read, written or locked.
    #[error("the token vault could not be used")]
    Vault(#[source] Arc<VaultError>),
    /// A fixed access token was refused, and no other can be obtained.
    #[error("the given access token was refused")]
    Refused,
    /// The refresh task ended without an outcome: the runtime stopped, or there is a bug.
    #[error("the refresh was interrupted")]
    Interrupted,
}

/// What a caller can do about an [`AuthError`]. Callers never parse messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// The same call may succeed later, but not before this time has passed.
    RetryAfter(Duration),
    /// A person must consent again.
    Reauthorise,
    /// A person must correct a setting or a secret.
    FixConfiguration,
    /// The peer is not Intuit, or does not behave like Intuit: a person must check the network.
    Refused,
    /// A person must repair the vault.
    VaultUnusable,
    /// Another process holds the lock of the vault.
    VaultBusy,
    /// The call will fail again, and no setting can change that.
    GiveUp,
}

impl AuthError {
    /// Stable code for programs that sort logs. It does not change between versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoToken => "auth.no_token",
            Self::NeedsConsent(_) => "auth.needs_consent",
            Self::Endpoint(_) => "auth.endpoint",
            Self::Vault(_) => "auth.vault",
            Self::Refused => "auth.refused",
            Self::Interrupted => "auth.interrupted",
        }
    }

    /// What the caller can do next.
    pub fn advice(&self) -> Advice {
        match self {
            Self::NoToken | Self::NeedsConsent(_) | Self::Refused => Advice::Reauthorise,
            Self::Endpoint(error) => advice_for_endpoint(error),
            Self::Vault(error) => match error.kind() {
                VaultErrorKind::Busy | VaultErrorKind::Overtaken | VaultErrorKind::LockLost => {
                    Advice::VaultBusy
                }
                VaultErrorKind::Restored => Advice::Reauthorise,
                _ => Advice::VaultUnusable,
            },
            Self::Interrupted => Advice::GiveUp,
        }
    }

    /// Whether the failure may be transient, so that a valid access token stays in use meanwhile.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            // The valid token is the company's own, whichever vault it came from.
            Self::Vault(_) => true,
            _ => matches!(self.advice(), Advice::RetryAfter(_)),
        }
    }

    /// Whether the error proves that Intuit has not rotated the refresh token.
    pub(crate) fn is_certain(&self) -> bool {
        match self {
            Self::NeedsConsent(_) => true,
            Self::Endpoint(error) => matches!(
                error.kind(),
                TokenErrorKind::InvalidGrant
                    | TokenErrorKind::InvalidClient
                    | TokenErrorKind::Throttled { .. }
                    | TokenErrorKind::Setup
                    | TokenErrorKind::Insecure(_)
            ),
            _ => false,
        }
    }
}

fn advice_for_endpoint(error: &TokenError) -> Advice {
    match error.kind() {
        TokenErrorKind::InvalidGrant => Advice::Reauthorise,
        TokenErrorKind::InvalidClient | TokenErrorKind::Setup => Advice::FixConfiguration,
        TokenErrorKind::Insecure(_) | TokenErrorKind::Redirect => Advice::Refused,
        TokenErrorKind::Throttled { retry_after } => {
            Advice::RetryAfter(retry_after.unwrap_or(DEFAULT_THROTTLE))
        }
        TokenErrorKind::Unavailable { .. }
        | TokenErrorKind::InvalidRequest { .. }
        | TokenErrorKind::Transport
        | TokenErrorKind::Html { .. }
        | TokenErrorKind::Protocol(_) => Advice::RetryAfter(DEFAULT_OUTAGE),
    }
}

impl From<TokenError> for AuthError {
    fn from(error: TokenError) -> Self {
        Self::Endpoint(error)
    }
}

impl From<VaultError> for AuthError {
    fn from(error: VaultError) -> Self {
        Self::Vault(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_to_do() {
        let check = |error: AuthError, advice| {
            assert_eq!(error.advice(), advice, "{error}");
            assert!(!error.to_string().contains('\n'));
        };
        let endpoint = |kind| AuthError::from(TokenError::new(kind));
        let vault = |kind| AuthError::from(VaultError::new(kind));
        check(AuthError::NoToken, Advice::Reauthorise);
        check(AuthError::NeedsConsent(TokenError::new(TokenErrorKind::InvalidGrant)), Advice::Reauthorise);
        check(AuthError::Refused, Advice::Reauthorise);
        check(AuthError::Interrupted, Advice::GiveUp);
        check(endpoint(TokenErrorKind::InvalidGrant), Advice::Reauthorise);
        check(endpoint(TokenErrorKind::InvalidClient), Advice::FixConfiguration);
        check(endpoint(TokenErrorKind::Setup), Advice::FixConfiguration);
        let seven = Duration::from_secs(7);
        check(endpoint(TokenErrorKind::Throttled { retry_after: Some(seven) }), Advice::RetryAfter(seven));
        check(
            endpoint(TokenErrorKind::Throttled { retry_after: None }),
            Advice::RetryAfter(DEFAULT_THROTTLE),
        );
        let outage = Advice::RetryAfter(DEFAULT_OUTAGE);
        check(endpoint(TokenErrorKind::Unavailable { status: 503 }), outage);
        check(endpoint(TokenErrorKind::InvalidRequest { code: "unknown code" }), outage);
        check(endpoint(TokenErrorKind::Transport), outage);
        check(endpoint(TokenErrorKind::Html { status: 200 }), outage);
        check(endpoint(TokenErrorKind::Protocol("no access token")), outage);
        check(vault(VaultErrorKind::Busy), Advice::VaultBusy);
        check(vault(VaultErrorKind::Overtaken), Advice::VaultBusy);
        check(vault(VaultErrorKind::LockLost), Advice::VaultBusy);
        check(vault(VaultErrorKind::Restored), Advice::Reauthorise);
        check(vault(VaultErrorKind::SecondCopy), Advice::VaultUnusable);
        check(vault(VaultErrorKind::Missing), Advice::VaultUnusable);
        check(vault(VaultErrorKind::Undecipherable), Advice::VaultUnusable);
        check(vault(VaultErrorKind::Io), Advice::VaultUnusable);
    }
}
