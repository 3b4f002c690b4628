//! A provider that refreshes: one cached set, at most one refresh in flight.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::endpoint::TokenEndpoint;
use crate::error::AuthError;
use crate::provider::TokenProvider;
use crate::refresh::Refresher;
use crate::secret::AccessToken;
use crate::token::TokenSet;
use crate::vault::TokenVault;

type Outcome = Result<AccessToken, AuthError>;
type Flight = watch::Receiver<Option<Outcome>>;

/// Keeps the access token of one company fresh, out of a vault and a token endpoint.
///
/// A refresh runs in a tokio task of its own, so `access_token` must be called inside a runtime, and the
/// runtime must not be dropped before [`RefreshingProvider::shutdown`] has returned.
#[derive(Debug)]
pub struct RefreshingProvider {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    refresher: Refresher,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cached: Option<TokenSet>,
    /// The access token the server refused last.
    rejected: Option<AccessToken>,
    flight: Option<Flight>,
}

impl RefreshingProvider {
    /// Joins the three parts. Nothing is read or called before the first token is asked for.
    pub fn new(vault: Arc<dyn TokenVault>, endpoint: Arc<dyn TokenEndpoint>, clock: Arc<dyn Clock>) -> Self {
        let refresher = Refresher::new(vault, endpoint, clock);
        Self { shared: Arc::new(Shared { refresher, state: Mutex::default() }) }
    }

    /// Waits until a refresh in flight has ended and what it brought is stored.
    pub async fn shutdown(&self) {
        let flight = self.shared.state().flight.clone();
        if let Some(flight) = flight {
            let _ = landed(flight).await;
        }
    }

    /// The cached token, or the refresh to wait for: the one in flight, else a new one.
    fn token_or_flight(&self) -> Result<AccessToken, Flight> {
        let mut state = self.shared.state();
        if let Some(token) = state.usable(&self.shared.refresher) {
            return Ok(token);
        }
        // A closed channel without an outcome is a task that died; the next caller starts another.
        if let Some(flight) = &state.flight
            && flight.has_changed().is_ok()
        {
            return Err(flight.clone());
        }
        let (landing, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        tokio::spawn(Arc::clone(&self.shared).refresh(landing, state.rejected.clone()));
        Err(flight)
    }
}

impl Shared {
    async fn refresh(
        self: Arc<Self>,
        landing: watch::Sender<Option<Outcome>>,
        rejected: Option<AccessToken>,
    ) {
        let outcome = self.refresher.run(rejected.as_ref()).await;
        let mut state = self.state();
        state.flight = None;
        let outcome = outcome.and_then(|tokens| {
            let access = tokens.access.clone().ok_or(AuthError::Interrupted);
            state.cached = Some(tokens);
            access
        });
        drop(state);
        landing.send_replace(Some(outcome));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn usable(&self, refresher: &Refresher) -> Option<AccessToken> {
        let cached = self.cached.as_ref()?;
        refresher.is_usable(cached, self.rejected.as_ref()).then(|| cached.access.clone()).flatten()
    }
}

/// Waits for the outcome of a refresh.
async fn landed(mut flight: Flight) -> Outcome {
    let outcome = flight.wait_for(Option::is_some).await.map_err(|_| AuthError::Interrupted)?;
    outcome.clone().unwrap_or(Err(AuthError::Interrupted))
}

#[async_trait]
impl TokenProvider for RefreshingProvider {
    async fn access_token(&self) -> Outcome {
        match self.token_or_flight() {
            Ok(token) => Ok(token),
            Err(flight) => landed(flight).await,
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
