//! The exchange of tokens, as a trait.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::RedirectUrl;
use crate::secret::{AccessToken, AuthorizationCode, RefreshToken};

/// Intuit's token endpoint, or one that behaves like it.
///
/// # Contract
///
/// - **One call, one request.** Nothing below this trait repeats a request or follows a redirect: a repeated refresh can end a
///   consent.
/// - **All or nothing.** An answer without a usable access token is an error.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TokenEndpoint: fmt::Debug + Send + Sync {
    /// Sends a refresh token and returns the answer.
    async fn refresh(&self, token: &RefreshToken) -> Result<TokenAnswer, TokenError>;

    /// Exchanges the code of a new consent, once: a second exchange may revoke the tokens of the first. `redirect` is the
    /// address that the code came to.
    async fn exchange(
        &self,
        code: &AuthorizationCode,
        redirect: &RedirectUrl,
    ) -> Result<TokenAnswer, TokenError>;

    /// Revokes the consent that `token` belongs to. Nothing can be refreshed after it.
    async fn revoke(&self, token: &RefreshToken) -> Result<(), TokenError>;
}

const _: fn(&dyn TokenEndpoint) = |_| ();

/// A successful answer of the token endpoint.
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    /// The new access token.
    pub access: AccessToken,
    /// Lifetime of the access token, counted from the answer.
    pub expires_in: Duration,
    /// Refresh token to use from now on; `None` keeps the one that was sent.
    pub refresh: Option<RefreshToken>,
    /// `x_refresh_token_expires_in`: lifetime of the refresh token if it is not used.
    pub refresh_expires_in: Option<Duration>,
    /// `x_refresh_token_hard_expires_in`: longest lifetime of the consent.
    pub refresh_hard_expires_in: Option<Duration>,
    /// Intuit's transaction id, which their support asks for.
    pub intuit_tid: Option<Box<str>>,
}

impl TokenAnswer {
    /// Builds an answer with an access token and nothing else.
    pub fn new(access: AccessToken, expires_in: Duration) -> Self {
        Self {
            access,
            expires_in,
            refresh: None,
            refresh_expires_in: None,
            refresh_hard_expires_in: None,
            intuit_tid: None,
        }
    }
}

/// An error of the token endpoint. Holds no part of what was sent, nor of the body that was received.
#[derive(Clone, Debug)]
pub struct TokenError {
    kind: TokenErrorKind,
    intuit_tid: Option<Box<str>>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// Why the token endpoint returned no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenErrorKind {
    /// `invalid_grant`: the refresh token is expired, replaced, revoked, or belongs to another key pair.
    #[error("the refresh token was refused (invalid_grant)")]
    InvalidGrant,
    /// `invalid_client` or `unauthorized_client`: wrong id or secret, or the key pair of the other environment.
    #[error("the client id or secret was refused (invalid_client)")]
    InvalidClient,
    /// The request was refused as such (`invalid_request` and its kin, RFC 6749 §5.2), or with an unknown code. Intuit answers
    /// like that during outages, to requests that it accepts at any other time.
    #[error("the request was refused ({code})")]
    InvalidRequest {
        /// The error code, if RFC 6749 defines it.
        code: &'static str,
    },
    /// Too many calls were made, or the app's monthly allowance is used up.
    #[error("the token endpoint throttles requests")]
    Throttled {
        /// The pause that `Retry-After` asked for, if any.
        retry_after: Option<Duration>,
    },
    /// The server failed. It may or may not have rotated the refresh token before.
    #[error("the token endpoint failed with status {status}")]
    Unavailable {
        /// HTTP status.
        status: u16,
    },
    /// No complete answer arrived. The server may or may not have rotated the refresh token.
    #[error("no complete answer came from the token endpoint")]
    Transport,
    /// No secure connection could be made; nothing was sent.
    #[error("no secure connection to the token endpoint ({0})")]
    Insecure(&'static str),
    /// A redirect came in place of an answer. It is never followed, because it could send the token to any host.
    #[error("the token endpoint answered with a redirect, which is never followed")]
    Redirect,
    /// A web page came in place of an answer: a proxy's login page, or maintenance.
    #[error("a web page came instead of a token answer (status {status})")]
    Html {
        /// HTTP status.
        status: u16,
    },
    /// The answer does not follow the protocol.
    #[error("the token answer is not valid: {0}")]
    Protocol(&'static str),
    /// The endpoint could not be set up from its configuration.
    #[error("the token endpoint cannot be set up")]
    Setup,
}

impl TokenError {
    /// Builds an error without further context.
    pub fn new(kind: TokenErrorKind) -> Self {
        Self { kind, intuit_tid: None, source: None }
    }

    /// Adds Intuit's transaction id.
    pub fn with_intuit_tid(self, intuit_tid: Option<Box<str>>) -> Self {
        Self { intuit_tid, ..self }
    }

    /// Adds the cause. It must not contain addresses with parameters, bodies or tokens.
    pub fn because(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Arc::new(source)), ..self }
    }

    /// The cause of the error.
    pub fn kind(&self) -> &TokenErrorKind {
        &self.kind
    }

    /// Intuit's transaction id, which their support asks for.
    pub fn intuit_tid(&self) -> Option<&str> {
        self.intuit_tid.as_deref()
    }

    /// Whether the server may have acted although no answer says so. The same token may then be sent again.
    pub fn is_ambiguous(&self) -> bool {
        matches!(
            self.kind,
            TokenErrorKind::Unavailable { .. }
                | TokenErrorKind::InvalidRequest { .. }
                | TokenErrorKind::Transport
                | TokenErrorKind::Html { .. }
                | TokenErrorKind::Protocol(_)
        )
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        match &self.intuit_tid {
            Some(tid) => write!(f, " [intuit_tid {tid}]"),
            None => Ok(()),
        }
    }
}

impl Error for TokenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
