//! Health and metrics, for containers and Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use backfill_report::untrusted::Untrusted;

use crate::app::App;
use crate::route::Route;
use crate::service_status::{Health, ServiceStatus};

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::open("/healthz", healthz), Route::open("/metrics", metrics)]
}

/// The same two routes for a process without pages.
pub(crate) fn status_router(status: Arc<dyn ServiceStatus>) -> Router {
    type Status = State<Arc<dyn ServiceStatus>>;
    Router::new()
        .route("/healthz", get(async |State(status): Status| health_answer(&status.health().await)))
        .route("/metrics", get(async |State(status): Status| metrics_answer(status.metrics().await)))
        .fallback(async || (StatusCode::NOT_FOUND, "this address serves /healthz and /metrics\n"))
        .with_state(status)
}

async fn healthz(State(app): State<Arc<App>>) -> Response {
    let health = match &app.status {
        Some(status) => status.health().await,
        None => Health { is_well: true, lines: vec!["console: ok".to_owned()] },
    };
    health_answer(&health)
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    metrics_answer(match &app.status {
        Some(status) => status.metrics().await,
        None => "# EOF\n".to_owned(),
    })
}

fn health_answer(health: &Health) -> Response {
    let status = if health.is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let text = health.lines.iter().fold(String::new(), |mut text, line| {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "{}", Untrusted(line));
        text
    });
    (status, text).into_response()
}

fn metrics_answer(text: String) -> Response {
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
