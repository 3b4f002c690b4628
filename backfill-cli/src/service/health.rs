//! Serves a worker's health and metrics on this machine, for containers and Prometheus.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use backfill_console::{Listener, ServiceStatus, serve_status};
use backfill_report::untrusted::Untrusted;
use qbo_auth::{Clock, SystemClock};
use raw_store::{CallLedger as _, PgStore};

use crate::output::exit::Exit;
use crate::service::bind::bind_address;
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
        let (listener, bound) = bind_address(address).await?;
        let status: Arc<dyn ServiceStatus> = self.clone();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        tokio::spawn(serve_status(status, Listener::Tcp(listener), None, clock, std::future::pending()));
        Ok(bound)
    }
}

#[async_trait]
impl ServiceStatus for Health {
    /// Well as long as every database answers. A company that waits for an operator, such as for a consent, does not make the
    /// process unhealthy; its line says so.
    async fn health(&self) -> backfill_console::Health {
        let (mut is_well, mut lines) = (true, Vec::new());
        for Company { profile, standing } in self.companies() {
            let word = match standing {
                ProfileStatus::Waits(why) => format!("waiting: {why}"),
                ProfileStatus::Works { store, .. } => {
                    match tokio::time::timeout(PATIENCE, store.month()).await {
                        Ok(Ok(_)) => "ok".into(),
                        Ok(Err(error)) => {
                            is_well = false;
                            error.to_string()
                        }
                        Err(_) => {
                            is_well = false;
                            "the database does not answer".into()
                        }
                    }
                }
            };
            lines.push(format!("{}: {}", Untrusted(&profile), Untrusted(&word)));
        }
        backfill_console::Health { is_well, lines }
    }

    async fn metrics(&self) -> String {
        for Company { profile, standing } in self.companies() {
            if let ProfileStatus::Works { store, allowance } = standing
                && let Ok(Ok(month)) = tokio::time::timeout(PATIENCE, store.month()).await
            {
                self.metrics.month(&profile, month, allowance);
            }
        }
        self.metrics.text()
    }
}
