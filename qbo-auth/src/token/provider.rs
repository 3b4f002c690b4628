//! A provider that refreshes: one cached set, at most one refresh in flight.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared as SharedFuture};
use tokio::task::AbortHandle;

use super::TokenProvider;
use super::refresher::{LARGEST_JITTER, Refresher};
use crate::clock::Clock;
use crate::error::AuthError;
use crate::oauth::TokenEndpoint;
use crate::secret::AccessToken;
use crate::vault::{TokenSet, TokenVault};

/// How long a token endpoint that returned no token is left alone while the present token is valid.
const QUIET: Duration = Duration::from_secs(30);

/// How long a process that must end at once still waits for the answer to a refresh.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How long a process that must end at once still tries to store the result of a refresh.
pub const LAST_STORE: Duration = Duration::from_secs(60);

/// Interval of the checks whether an answer has arrived.
const LAST_LOOK: Duration = Duration::from_millis(100);

type Outcome = Result<AccessToken, AuthError>;

/// A refresh in progress, and the task that it runs in. Waiting callers are woken in the order of arrival.
#[derive(Clone, Debug)]
struct Flight {
    outcome: SharedFuture<BoxFuture<'static, Outcome>>,
    task: AbortHandle,
}

/// Keeps the access token of one company fresh, from a vault and a token endpoint.
///
/// A refresh runs in a tokio task of its own, so `access_token` must be called inside a runtime, and the runtime must not be
/// dropped before [`RefreshingProvider::shutdown`] has returned.
#[derive(Debug)]
pub struct RefreshingProvider {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    refresher: Refresher,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cached: Option<TokenSet>,
    /// The access token that the server refused last.
    rejected: Option<AccessToken>,
    flight: Option<Flight>,
    /// After a refresh without a fresh token, no other one begins before this monotonic time while a token is valid.
    quiet_until: Duration,
}

impl RefreshingProvider {
    /// Combines the three parts, with a random jitter. Nothing is read or called before the first token is requested.
    pub fn new(vault: Arc<dyn TokenVault>, endpoint: Arc<dyn TokenEndpoint>, clock: Arc<dyn Clock>) -> Self {
        let random = getrandom::u64().unwrap_or_default() % LARGEST_JITTER.as_secs();
        Self::with_jitter(vault, endpoint, clock, Duration::from_secs(random))
    }

    /// As [`RefreshingProvider::new`], but refreshes `jitter` earlier than [`crate::FRESHNESS_MARGIN`] requires.
    pub fn with_jitter(
        vault: Arc<dyn TokenVault>,
        endpoint: Arc<dyn TokenEndpoint>,
        clock: Arc<dyn Clock>,
        jitter: Duration,
    ) -> Self {
        let refresher = Refresher::new(vault, endpoint, Arc::clone(&clock), jitter);
        Self { shared: Arc::new(Shared { refresher, clock, state: Mutex::default() }) }
    }

    /// Refreshes even if the present token is fresh, and returns the set that is then stored.
    pub async fn refresh(&self) -> Result<TokenSet, AuthError> {
        let present = self.shared.refresher.load().await?;
        {
            let mut state = self.shared.state();
            state.rejected = present.access;
            state.cached = None;
            state.quiet_until = Duration::ZERO;
        }
        self.access_token().await?;
        self.shared.refresher.load().await
    }

    /// Waits until a refresh in flight has ended and its result is stored.
    pub async fn shutdown(&self) {
        let flight = self.shared.state().flight.clone();
        if let Some(flight) = flight {
            let _ = flight.outcome.await;
        }
    }

    /// As [`RefreshingProvider::shutdown`], for a process that was signalled twice to end: waits [`SHUTDOWN_GRACE`] for an
    /// answer, and [`LAST_STORE`] while an answer has arrived and is not stored yet.
    pub async fn shutdown_soon(&self) {
        let clock = &self.shared.clock;
        let began = clock.elapsed();
        let landing = self.shutdown();
        tokio::pin!(landing);
        loop {
            let patience = if self.shared.refresher.holds_unsaved() { LAST_STORE } else { SHUTDOWN_GRACE };
            if clock.elapsed() >= began + patience {
                return;
            }
            tokio::select! {
                biased;
                () = &mut landing => return,
                () = clock.sleep(LAST_LOOK) => {}
            }
        }
    }

    /// A token to use, or the refresh to wait for: the one in flight, or else a new one.
    fn token_or_flight(&self) -> Result<AccessToken, Flight> {
        let mut state = self.shared.state();
        let refresher = &self.shared.refresher;
        if let Some(token) = state.cached_if(|tokens, rejected| refresher.is_fresh(tokens, rejected)) {
            return Ok(token);
        }
        if self.shared.clock.elapsed() < state.quiet_until
            && let Some(token) = state.cached_if(|tokens, rejected| refresher.is_alive(tokens, rejected))
        {
            return Ok(token);
        }
        let flight = self.flight(&mut state);
        // A refresh that is only due must not delay callers.
        state.cached_if(|tokens, rejected| refresher.is_usable(tokens, rejected)).ok_or(flight)
    }

    fn flight(&self, state: &mut State) -> Flight {
        // A task that has ended while its flight is still here has died; the next caller starts another one.
        if let Some(flight) = &state.flight
            && !flight.task.is_finished()
        {
            return flight.clone();
        }
        let task = tokio::spawn(Arc::clone(&self.shared).refresh(state.rejected.clone()));
        let abort = task.abort_handle();
        let outcome = task.map(|ended| ended.unwrap_or(Err(AuthError::Interrupted))).boxed().shared();
        let flight = Flight { outcome, task: abort };
        state.flight = Some(flight.clone());
        flight
    }
}

impl Shared {
    async fn refresh(self: Arc<Self>, rejected: Option<AccessToken>) -> Outcome {
        let outcome = self.refresher.run(rejected.as_ref()).await;
        #[cfg(feature = "planted")]
        if crate::planted::is_planted("persist after wake") {
            let late = Arc::clone(&self);
            tokio::spawn(async move { late.refresher.store_late().await });
        }
        let mut state = self.state();
        state.flight = None;
        let tokens = outcome?;
        if !self.refresher.is_fresh(&tokens, state.rejected.as_ref()) {
            state.quiet_until = self.clock.elapsed() + QUIET;
        }
        let access = tokens.access.clone().ok_or(AuthError::Interrupted);
        state.cached = Some(tokens);
        access
    }

    /// Refreshes in the caller's own task.
    #[cfg(feature = "planted")]
    async fn refresh_here(&self) -> Outcome {
        let rejected = self.state().rejected.clone();
        let tokens = self.refresher.run(rejected.as_ref()).await?;
        let access = tokens.access.clone().ok_or(AuthError::Interrupted);
        self.state().cached = Some(tokens);
        access
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn cached_if(&self, holds: impl Fn(&TokenSet, Option<&AccessToken>) -> bool) -> Option<AccessToken> {
        let cached = self.cached.as_ref()?;
        holds(cached, self.rejected.as_ref()).then(|| cached.access.clone()).flatten()
    }
}

#[async_trait]
impl TokenProvider for RefreshingProvider {
    async fn access_token(&self) -> Outcome {
        #[cfg(feature = "planted")]
        if crate::planted::is_planted("refresh inside the caller") {
            let shared = &self.shared;
            let cached =
                shared.state().cached_if(|tokens, rejected| shared.refresher.is_usable(tokens, rejected));
            return match cached {
                Some(token) => Ok(token),
                None => shared.refresh_here().await,
            };
        }
        match self.token_or_flight() {
            Ok(token) => Ok(token),
            Err(flight) => flight.outcome.await,
        }
    }

    async fn invalidate(&self, rejected: &AccessToken) {
        let mut state = self.shared.state();
        let is_current = state.cached.as_ref().is_some_and(|tokens| tokens.access.as_ref() == Some(rejected));
        if is_current {
            state.rejected = Some(rejected.clone());
        }
    }
}
