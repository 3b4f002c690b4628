//! Serves a worker's health and metrics on this machine, for containers and Prometheus.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backfill_report::untrusted::Untrusted;
use raw_store::{CallLedger as _, PgStore};
use tokio::net::TcpListener;

use crate::output::exit::Exit;
use crate::service::listener::{self, Answer};
use crate::service::metrics::Metrics;

/// How long a database may take to answer before it counts as down.
const PATIENCE: Duration = Duration::from_secs(3);

/// The status of the companies that a process works for.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) metrics: Arc<Metrics>,
    companies: Mutex<Vec<Company>>,
}

/// The status of one profile's company.
#[derive(Clone, Debug)]
struct Company {
    profile: String,
    standing: ProfileStatus,
}

/// The status of a company.
#[derive(Clone, Debug)]
pub(crate) enum ProfileStatus {
    /// The worker waits until a person solves a problem.
    Waits(String),
    /// The worker polls for its triggers.
    Works { store: Arc<PgStore>, allowance: Option<u64> },
}

impl Health {
    pub(crate) fn new() -> Self {
        Self { metrics: Arc::new(Metrics::new()), companies: Mutex::default() }
    }

    /// Records the status of a company.
    pub(crate) fn note(&self, profile: &str, standing: ProfileStatus) {
        let mut companies = self.companies.lock().unwrap_or_else(PoisonError::into_inner);
        companies.retain(|company| company.profile != profile);
        companies.push(Company { profile: profile.to_owned(), standing });
    }

    fn companies(&self) -> Vec<Company> {
        self.companies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves an address until the process ends.
    pub(crate) async fn serve(self: &Arc<Self>, address: SocketAddr) -> Result<SocketAddr, Exit> {
        let refused = |error: std::io::Error| {
            Exit::usage(
                format!("--listen {address}: {error}"),
                "use another port, or stop the process that uses this one",
            )
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        let health = Arc::clone(self);
        let answer = move |path| {
            let health = Arc::clone(&health);
            async move { health.answer(path).await }
        };
        tokio::spawn(listener::serve(listener, bound, answer));
        Ok(bound)
    }

    async fn answer(&self, path: String) -> Answer {
        match path.as_str() {
            "/healthz" => self.healthz().await,
            "/metrics" => self.metrics().await,
            _ => Answer::plain("404 Not Found", "this address serves /healthz and /metrics\n"),
        }
    }

    /// 200 as long as every database answers. A company that waits for an operator, such as for a consent, does not make the
    /// process unhealthy; its line says so.
    async fn healthz(&self) -> Answer {
        const WELL: &str = "200 OK";
        const ILL: &str = "503 Service Unavailable";
        let (mut status, mut lines) = (WELL, String::new());
        for Company { profile, standing } in self.companies() {
            let word = match standing {
                ProfileStatus::Waits(why) => format!("waiting: {why}"),
                ProfileStatus::Works { store, .. } => {
                    match tokio::time::timeout(PATIENCE, store.month()).await {
                        Ok(Ok(_)) => "ok".into(),
                        Ok(Err(error)) => {
                            status = ILL;
                            error.to_string()
                        }
                        Err(_) => {
                            status = ILL;
                            "the database does not answer".into()
                        }
                    }
                }
            };
            // Writing into a string cannot fail.
            let _ = writeln!(lines, "{}: {}", Untrusted(&profile), Untrusted(&word));
        }
        Answer::plain(status, lines)
    }

    async fn metrics(&self) -> Answer {
        for Company { profile, standing } in self.companies() {
            if let ProfileStatus::Works { store, allowance } = standing
                && let Ok(Ok(month)) = tokio::time::timeout(PATIENCE, store.month()).await
            {
                self.metrics.month(&profile, month, allowance);
            }
        }
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        Answer { status: "200 OK", kind, text: self.metrics.text() }
    }
}
