//! Bearer tokens for one company.
//!
//! A [`TokenProvider`] answers one question: which access token may this request carry right now? It hides everything about
//! rotation: single flight, storing before use, detection of reuse. [`RefreshingProvider`] keeps a token fresh from a vault and
//! a token endpoint, and [`adopt_bootstrap`] and [`adopt_consent`] put the first token into the vault.

mod bootstrap;
mod provider;
mod refresher;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::error::AuthError;
use crate::secret::AccessToken;

pub use bootstrap::{adopt_bootstrap, adopt_consent};
pub use provider::{LAST_STORE, RefreshingProvider, SHUTDOWN_GRACE};
pub use refresher::{FRESHNESS_MARGIN, LARGEST_JITTER};

/// Supplies the access token for one company.
///
/// # Contract
///
/// - **Fresh.** A returned token stays valid for at least the provider's safety margin.
/// - **Single flight.** Concurrent callers cause at most one refresh; the others wait for it.
/// - **Durable rotation.** When the server rotates the refresh token, the new one is persisted before any
///   caller sees the access token that came with it.
///
/// # Cancel safety
///
/// Dropping the returned future never loses a rotated refresh token.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TokenProvider: fmt::Debug + Send + Sync {
    /// Returns a token that is valid now.
    async fn access_token(&self) -> Result<AccessToken, AuthError>;

    /// Reports that the server refused `rejected`, so that it is not handed out again.
    ///
    /// Does nothing if a newer token is already cached: the report is stale.
    async fn invalidate(&self, rejected: &AccessToken);
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn TokenProvider, &dyn crate::clock::Clock) = |_, _| ();

/// A fixed access token from elsewhere. Once it is refused there is no other.
#[derive(Debug)]
pub struct StaticProvider {
    token: AccessToken,
    is_refused: AtomicBool,
}

impl StaticProvider {
    /// Creates a provider that returns `token` until it is refused.
    pub fn new(token: AccessToken) -> Self {
        Self { token, is_refused: AtomicBool::new(false) }
    }
}

#[async_trait]
impl TokenProvider for StaticProvider {
    async fn access_token(&self) -> Result<AccessToken, AuthError> {
        if self.is_refused.load(Ordering::Relaxed) {
            return Err(AuthError::Refused);
        }
        Ok(self.token.clone())
    }

    async fn invalidate(&self, rejected: &AccessToken) {
        if *rejected == self.token {
            self.is_refused.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_static_token_is_handed_out_until_it_is_refused() {
        let provider = StaticProvider::new(AccessToken::new("false-access"));
        provider.invalidate(&AccessToken::new("another")).await;
        let token = provider.access_token().await.unwrap();
        provider.invalidate(&token).await;
        assert!(matches!(provider.access_token().await, Err(AuthError::Refused)));
    }
}
