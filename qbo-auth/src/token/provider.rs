//! The token provider that refreshes: it caches one set of tokens, and has at most one refresh in flight.

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

/// Delay before the next refresh after one that returned no fresh token, while the current token is alive.
const QUIET: Duration = Duration::from_secs(30);

/// How long a process that must end immediately still waits for the response to a refresh.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How long a process that must end immediately still tries to store the result of a refresh.
pub const LAST_STORE: Duration = Duration::from_secs(60);

/// Interval at which `shutdown_soon` checks whether it may still wait.
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

/// What the provider and its refresh tasks share.
#[derive(Debug)]
struct Shared {
    refresher: Refresher,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// The current token, and the refresh in flight.
#[derive(Debug, Default)]
struct State {
    /// The result of the last refresh; its access token is the current token.
    cached: Option<TokenSet>,
    /// The access token that the server refused last.
    rejected: Option<AccessToken>,
    /// The refresh in flight, or one whose task died.
    flight: Option<Flight>,
    /// After a refresh that returned no fresh token, no other one begins before this monotonic time while the current token is
    /// alive.
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

    /// Refreshes even if the current token is fresh, and returns the set that is then stored.
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

    /// As [`RefreshingProvider::shutdown`], for a process that was signalled twice to end: waits [`SHUTDOWN_GRACE`] for a
    /// response, and [`LAST_STORE`] while a response has arrived and is not stored yet.
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

    /// Returns the current token, or the refresh to wait for: the one in flight, or else a new one.
    ///
    /// A fresh token is returned immediately. A usable token is returned too, but starts a refresh, for which the caller does
    /// not wait. After a refresh that returned no fresh token, a token that is merely alive is returned until `quiet_until`,
    /// and no refresh starts. In all other cases the caller has to wait.
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
        // The refresh is due, but the current token still outlasts any request: the caller does not wait.
        state.cached_if(|tokens, rejected| refresher.is_usable(tokens, rejected)).ok_or(flight)
    }

    /// Returns the refresh in flight, or starts one.
    fn flight(&self, state: &mut State) -> Flight {
        // A refresh removes its own flight when it ends. A finished task whose flight is still here was aborted or panicked, so
        // another refresh starts.
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
    /// Refreshes once, and makes the result the current token.
    async fn refresh(self: Arc<Self>, rejected: Option<AccessToken>) -> Outcome {
        let outcome = self.refresher.run(rejected.as_ref()).await;
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the current token if its set satisfies `holds`, which is also given the access token that the server refused
    /// last.
    fn cached_if(&self, holds: impl Fn(&TokenSet, Option<&AccessToken>) -> bool) -> Option<AccessToken> {
        let cached = self.cached.as_ref()?;
        holds(cached, self.rejected.as_ref()).then(|| cached.access.clone()).flatten()
    }
}

#[async_trait]
impl TokenProvider for RefreshingProvider {
    async fn access_token(&self) -> Outcome {
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
