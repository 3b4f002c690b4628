//! A token endpoint with a script and a vault with gates, for stories about refreshing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qbo_auth::{
    AccessToken, AuthorizationCode, ManualClock, RedirectUrl, RefreshToken, SecretName, TokenAnswer,
    TokenEndpoint, TokenError, TokenErrorKind, TokenSet, TokenVault, VaultError, VaultErrorKind, VaultLock,
    async_trait,
};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

pub(crate) const NOW: OffsetDateTime = time::macros::datetime!(2026-01-01 00:00 UTC);

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::auto(NOW))
}

/// A set whose access token has ended, with `false-refresh-1` current and `false-refresh-0` before it.
pub(crate) fn expired() -> TokenSet {
    let first = TokenSet::from_consent(RefreshToken::new("false-refresh-0"), 1, NOW);
    let mut answer = TokenAnswer::new(AccessToken::new("false-access-1"), Duration::ZERO);
    answer.refresh = Some(RefreshToken::new("false-refresh-1"));
    first.rotated(&first.refresh, &answer, NOW)
}

/// What the endpoint does with one call.
pub(crate) enum Reply {
    /// Accepts; the number names the tokens of the answer.
    Tokens(u32),
    /// Accepts, without a new refresh token.
    AccessOnly(u32),
    Fails(TokenErrorKind),
    Panics,
    /// Refuses, after another process has put a newer set into the vault.
    RefusesAfter(Arc<dyn TokenVault>, TokenSet),
}

/// Answers by its script, and remembers what was presented.
#[derive(Debug)]
pub(crate) struct ScriptedEndpoint {
    script: Mutex<VecDeque<Reply>>,
    presented: Mutex<Vec<String>>,
    /// One permit per call that may be answered.
    pub(crate) gate: Semaphore,
    pub(crate) entered: Semaphore,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reply")
    }
}

impl ScriptedEndpoint {
    pub(crate) fn new(script: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        let endpoint = Self::gated(script);
        endpoint.gate.add_permits(1000);
        endpoint
    }

    /// Answers nothing until permits are added to its gate.
    pub(crate) fn gated(script: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(script.into_iter().collect()),
            presented: Mutex::default(),
            gate: Semaphore::new(0),
            entered: Semaphore::new(0),
        })
    }

    pub(crate) fn presented(&self) -> Vec<String> {
        self.presented.lock().unwrap().clone()
    }
}

#[async_trait]
impl TokenEndpoint for ScriptedEndpoint {
    async fn refresh(&self, token: &RefreshToken) -> Result<TokenAnswer, TokenError> {
        self.presented.lock().unwrap().push(token.expose().to_owned());
        self.entered.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        let reply = self.script.lock().unwrap().pop_front().expect("no further call is expected");
        let access = |number| {
            TokenAnswer::new(AccessToken::new(format!("false-access-{number}")), Duration::from_secs(3600))
        };
        match reply {
            Reply::Tokens(number) => Ok(TokenAnswer {
                refresh: Some(RefreshToken::new(format!("false-refresh-{number}"))),
                ..access(number)
            }),
            Reply::AccessOnly(number) => Ok(access(number)),
            Reply::Fails(kind) => Err(TokenError::new(kind)),
            Reply::Panics => panic!("as scripted"),
            Reply::RefusesAfter(vault, newer) => {
                vault.store(&newer).await.unwrap();
                Err(TokenError::new(TokenErrorKind::InvalidGrant))
            }
        }
    }

    async fn exchange(&self, _: &AuthorizationCode, _: &RedirectUrl) -> Result<TokenAnswer, TokenError> {
        unreachable!("no story here consents")
    }

    async fn revoke(&self, _: &RefreshToken) -> Result<(), TokenError> {
        unreachable!("no story here revokes")
    }
}

/// Passes everything through; a store waits for a permit and may be made to fail.
#[derive(Debug)]
pub(crate) struct GatedVault {
    pub(crate) inner: Arc<dyn TokenVault>,
    pub(crate) store_gate: Semaphore,
    pub(crate) store_entered: Semaphore,
    pub(crate) sound_left: AtomicU32,
    pub(crate) failures_left: AtomicU32,
}

impl GatedVault {
    pub(crate) fn new(inner: Arc<dyn TokenVault>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            store_gate: Semaphore::new(0),
            store_entered: Semaphore::new(0),
            sound_left: AtomicU32::new(0),
            failures_left: AtomicU32::new(0),
        })
    }

    /// Lets the first `sound` stores through, and makes the `count` after them fail.
    pub(crate) fn failing_after(inner: Arc<dyn TokenVault>, sound: u32, count: u32) -> Arc<Self> {
        let vault = Self::new(inner);
        vault.store_gate.add_permits(1000);
        vault.sound_left.store(sound, Ordering::SeqCst);
        vault.failures_left.store(count, Ordering::SeqCst);
        vault
    }
}

#[async_trait]
impl TokenVault for GatedVault {
    async fn lock(&self) -> Result<VaultLock, VaultError> {
        self.inner.lock().await
    }

    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        self.inner.try_lock().await
    }

    async fn load(&self) -> Result<Option<TokenSet>, VaultError> {
        self.inner.load().await
    }

    async fn begin<'a>(&self, tokens: &TokenSet, about: &[(SecretName, &'a str)]) -> Result<(), VaultError> {
        self.inner.begin(tokens, about).await
    }

    async fn has_begun(&self, bootstrap: &str) -> Result<bool, VaultError> {
        self.inner.has_begun(bootstrap).await
    }

    async fn store(&self, tokens: &TokenSet) -> Result<(), VaultError> {
        self.store_entered.add_permits(1);
        self.store_gate.acquire().await.unwrap().forget();
        let fails = |left: u32| left.checked_sub(1);
        if self.sound_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok() {
            return self.inner.store(tokens).await;
        }
        if self.failures_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok() {
            return Err(VaultError::new(VaultErrorKind::Io));
        }
        self.inner.store(tokens).await
    }
}
