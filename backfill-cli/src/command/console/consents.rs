//! Connects one company through Intuit's page for the console, like `auth login` does for a terminal.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use backfill_console::{ConsentAttempt, ConsentProgress, ConsentStatus, Consents, Problem, PublicUrl};
use qbo_auth::{Clock as _, ConsentRequest, RedirectUrl, SystemClock, TokenVault as _};

use super::super::auth::ConsentFlow;
use super::store::problem;
use super::vault::ProfileVault;
use crate::config::settings::Settings;
use crate::oauth_callback::{Callback, Page};
use crate::output::exit::Exit;
use crate::secrets::Secrets;
use crate::shutdown::Stop;

/// Port of the address that the README tells people to register with their app.
const PORT: u16 = 8484;

/// How long a person may take on Intuit's page.
const PATIENCE: Duration = Duration::from_mins(10);

/// The consent of one profile.
#[derive(Debug)]
pub(super) struct ProfileConsents {
    settings: Settings,
    vault: Arc<ProfileVault>,
    /// Where Intuit sends the browser if the console is published: to its own `/callback`. Otherwise a port of this machine
    /// receives the answer.
    redirect: Option<RedirectUrl>,
    /// Whether the browser comes back over TLS.
    is_https: bool,
    stop: Stop,
    attempt: Arc<Mutex<Attempt>>,
    /// Held while an attempt is started.
    starting: tokio::sync::Mutex<()>,
}

/// The newest attempt.
#[derive(Debug, Default)]
struct Attempt {
    progress: Option<ConsentProgress>,
    /// An attempt whose answer comes to the console.
    open: Option<Open>,
}

/// What the answer of an attempt is exchanged with.
struct Open {
    flow: ConsentFlow,
    request: ConsentRequest,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Open")
    }
}

impl ProfileConsents {
    pub(super) fn new(
        settings: Settings,
        vault: Arc<ProfileVault>,
        public_url: Option<&PublicUrl>,
        stop: Stop,
    ) -> Self {
        Self {
            settings,
            vault,
            redirect: public_url.and_then(redirect_of),
            is_https: public_url.is_some_and(PublicUrl::is_https),
            stop,
            attempt: Arc::default(),
            starting: tokio::sync::Mutex::default(),
        }
    }

    fn attempt(&self) -> std::sync::MutexGuard<'_, Attempt> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn begin(&self, person: &str) -> Result<ConsentAttempt, Exit> {
        let mut secrets = Secrets::open(&self.settings).await?;
        let flow = ConsentFlow::open(&self.settings, &mut secrets).await?;
        if flow.needs_https() && !self.is_https {
            return Err(Exit::usage(
                "Intuit refuses an address of this machine for production keys",
                "publish the console over https with --public-url, or run: qbo-backfill auth login --redirect-url https://…",
            ));
        }
        let started_at = SystemClock::new().now_utc();
        let attempt = |request: &ConsentRequest| ConsentAttempt {
            address: request.url().to_owned(),
            started_by: person.into(),
            started_at,
            expires_at: started_at + PATIENCE,
        };
        let Some(redirect) = &self.redirect else {
            let callback = Callback::bind(PORT).await.map_err(|error| {
                Exit::usage(
                    format!(
                        "Intuit's answer cannot be received: port {PORT} of this machine ({})",
                        error.kind()
                    ),
                    "end the program that uses the port, or another login that waits",
                )
            })?;
            let request = flow.request(callback.redirect().clone())?;
            let started = attempt(&request);
            self.note(ConsentProgress::Waiting(started.clone()));
            tokio::spawn(wait(
                Arc::clone(&self.attempt),
                self.stop.clone(),
                callback,
                Open { flow, request },
            ));
            return Ok(started);
        };
        let request = flow.request(redirect.clone())?;
        let started = attempt(&request);
        self.note(ConsentProgress::Waiting(started.clone()));
        self.attempt().open = Some(Open { flow, request });
        Ok(started)
    }

    fn note(&self, progress: ConsentProgress) {
        self.attempt().progress = Some(progress);
    }
}

/// The console's `/callback` at its public address. Of the names of this machine Intuit accepts `localhost` alone.
fn redirect_of(public_url: &PublicUrl) -> Option<RedirectUrl> {
    if public_url.is_local() && !public_url.is_https() {
        return Some(RedirectUrl::loopback(public_url.port()));
    }
    format!("{public_url}/callback").parse().ok()
}

/// Waits for Intuit's answer at this machine's own address, and ends the attempt.
async fn wait(attempt: Arc<Mutex<Attempt>>, stop: Stop, callback: Callback, open: Open) {
    let visit = tokio::select! {
        visit = callback.visit(PATIENCE, |answer| open.request.recognises(answer)) => visit,
        () = stop.token.cancelled() => None,
    };
    let progress = match visit {
        None => ConsentProgress::Failed(too_late()),
        Some(visit) => {
            let progress = exchange(&stop, open, &visit.answer).await;
            let connected = matches!(progress, ConsentProgress::Connected { .. });
            visit.conclude(if connected { Page::Connected } else { Page::Failed }).await;
            progress
        }
    };
    attempt.lock().unwrap_or_else(PoisonError::into_inner).progress = Some(progress);
}

/// Exchanges the answer for tokens. Once begun it is finished, because a code works only once.
async fn exchange(stop: &Stop, Open { flow, request }: Open, answer: &str) -> ConsentProgress {
    let _exchanging = stop.exchanging().await;
    match flow.finish(request, answer).await {
        Ok(_) => ConsentProgress::Connected { at: SystemClock::new().now_utc() },
        Err(exit) => ConsentProgress::Failed(problem(exit)),
    }
}

fn too_late() -> Problem {
    Problem::new(
        "no consent came in time; nothing was stored",
        "start again, and finish on Intuit's page within ten minutes",
    )
}

#[async_trait]
impl Consents for ProfileConsents {
    async fn status(&self) -> Result<ConsentStatus, Problem> {
        let Some(vault) = self.vault.find().await.map_err(problem)? else {
            return Ok(ConsentStatus::Missing);
        };
        let tokens = match vault.load().await {
            Ok(tokens) => tokens,
            Err(error) => {
                self.vault.forget().await;
                return Err(problem(error.into()));
            }
        };
        Ok(tokens.map_or(ConsentStatus::Missing, |tokens| ConsentStatus::Given {
            refreshed_at: tokens.refreshed_at,
            ends_unused_at: tokens.refresh_expires_at,
            ends_at: tokens.refresh_hard_expires_at,
        }))
    }

    async fn start(&self, person: &str) -> Result<ConsentAttempt, Problem> {
        // One at a time, also where two people press the button at once.
        let _starting = self.starting.lock().await;
        if let ConsentProgress::Waiting(open) = self.progress().await {
            return Ok(open);
        }
        self.begin(person).await.map_err(problem)
    }

    async fn progress(&self) -> ConsentProgress {
        let now = SystemClock::new().now_utc();
        let mut attempt = self.attempt();
        if let Some(ConsentProgress::Waiting(open)) = &attempt.progress
            && open.expires_at <= now
        {
            *attempt = Attempt { progress: Some(ConsentProgress::Failed(too_late())), open: None };
        }
        attempt.progress.clone().unwrap_or(ConsentProgress::Idle)
    }

    async fn receive(&self, query: &str) -> bool {
        let Some(redirect) = &self.redirect else { return false };
        let answer = format!("{redirect}?{query}");
        let open = {
            let mut attempt = self.attempt();
            match &attempt.open {
                Some(open) if open.request.recognises(&answer) => attempt.open.take(),
                _ => None,
            }
        };
        let Some(open) = open else { return false };
        let (attempt, stop) = (Arc::clone(&self.attempt), self.stop.clone());
        // In a task of its own: the browser may leave, and the code works only once.
        let exchanging = tokio::spawn(async move {
            let progress = exchange(&stop, open, &answer).await;
            attempt.lock().unwrap_or_else(PoisonError::into_inner).progress = Some(progress);
        });
        exchanging.await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_comes_to_the_published_console_by_a_name_that_intuit_accepts() {
        for (public_url, redirect) in [
            ("https://backfill.example.com", "https://backfill.example.com/callback"),
            ("http://127.0.0.1:9464", "http://localhost:9464/callback"),
            ("http://qbo-backfill.localhost:19464", "http://localhost:19464/callback"),
            ("http://localhost", "http://localhost/callback"),
        ] {
            let found = redirect_of(&public_url.parse().unwrap()).unwrap();
            assert_eq!(found.as_str(), redirect, "{public_url}");
        }
    }
}
