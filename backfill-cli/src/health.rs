//! Whether a worker is well, and its numbers: for containers and Prometheus, on this machine alone.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use raw_store::{CallLedger as _, PgStore};
use tokio::net::TcpListener;

use crate::exit::Exit;
use crate::gauges::Gauges;

/// How long a database may take to answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is known of the companies that a process works for.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) gauges: Arc<Gauges>,
    companies: Mutex<Vec<Company>>,
}

#[derive(Clone, Debug)]
struct Company {
    profile: String,
    standing: Standing,
}

/// How it stands with a company.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// Something has to be done before it can be worked for.
    Waits(String),
    /// Its triggers are looked for.
    Works { store: Arc<PgStore>, allowance: Option<u64> },
}

impl Health {
    pub(crate) fn new() -> Self {
        Self { gauges: Arc::new(Gauges::new()), companies: Mutex::default() }
    }

    /// Notes how it stands with a company.
    pub(crate) fn note(&self, profile: &str, standing: Standing) {
        let mut companies = self.companies.lock().unwrap_or_else(PoisonError::into_inner);
        companies.retain(|company| company.profile != profile);
        companies.push(Company { profile: profile.to_owned(), standing });
    }

    fn companies(&self) -> Vec<Company> {
        self.companies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers at an address, for as long as this process lives.
    pub(crate) async fn serve(self: &Arc<Self>, address: SocketAddr) -> Result<SocketAddr, Exit> {
        let refused = |error: std::io::Error| {
            Exit::usage(
                format!("--listen {address}: {error}"),
                "give another port, or stop what has this one",
            )
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        let routes = axum::Router::new()
            .route("/healthz", get(healthz))
            .route("/metrics", get(metrics))
            .with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(bound)
    }
}

/// 200 as long as every database answers; a company that waits for somebody, such as for a consent, is no illness of this
/// process, and said.
async fn healthz(State(health): State<Arc<Health>>) -> impl IntoResponse {
    let (mut status, mut lines) = (StatusCode::OK, String::new());
    for Company { profile, standing } in health.companies() {
        let word = match standing {
            Standing::Waits(why) => format!("waiting: {why}"),
            Standing::Works { store, .. } => match tokio::time::timeout(PATIENCE, store.month()).await {
                Ok(Ok(_)) => "ok".into(),
                Ok(Err(error)) => {
                    status = StatusCode::SERVICE_UNAVAILABLE;
                    error.to_string()
                }
                Err(_) => {
                    status = StatusCode::SERVICE_UNAVAILABLE;
                    "the database does not answer".into()
                }
            },
        };
        // Writing into a text cannot fail.
        let _ = writeln!(lines, "{profile}: {word}");
    }
    (status, lines)
}

async fn metrics(State(health): State<Arc<Health>>) -> impl IntoResponse {
    for Company { profile, standing } in health.companies() {
        if let Standing::Works { store, allowance } = standing
            && let Ok(Ok(month)) = tokio::time::timeout(PATIENCE, store.month()).await
        {
            health.gauges.month(&profile, month, allowance);
        }
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], health.gauges.text())
}
