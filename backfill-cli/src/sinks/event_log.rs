//! Writes a run's events as log lines, with the run, the phase and the subject as fields.

use std::sync::Arc;

use backfill_core::{EventSink, RunError, RunEvent, RunEventKind};
use backfill_report::instant::utc;
use qbo_client::ClientEvent;
use raw_store::{RunId, WindowState};

use crate::output::exit::chain;

/// Logs the events of one run, and passes them on. It logs at level info or below, because the sink behind it shows the
/// events to people.
#[derive(Debug)]
pub(crate) struct EventLog {
    inner: Arc<dyn EventSink>,
}

impl EventLog {
    pub(crate) fn before(inner: Arc<dyn EventSink>) -> Arc<dyn EventSink> {
        Arc::new(Self { inner })
    }
}

impl EventSink for EventLog {
    fn emit(&self, event: &RunEvent) {
        log(event);
        self.inner.emit(event);
    }
}

/// Logs the failure that stopped a run.
pub(crate) fn log_failure(run: &RunId, error: &RunError) {
    let failure = &error.failure;
    tracing::info!(
        phase = failure.phase(),
        code = failure.code(),
        run = run.as_str(),
        pipeline = error.pipeline,
        window = error.window.map(|window| window.to_string()),
        intuit_tid = failure.intuit_tid(),
        error = chain(error),
        "run stopped"
    );
}

fn log(event: &RunEvent) {
    let run = event.run.as_ref().map_or("", RunId::as_str);
    match &event.kind {
        RunEventKind::RunStarted { pipelines, windows, estimated_calls, seed, .. } => {
            let pipelines = pipelines.join(",");
            tracing::info!(phase = "run", run, pipelines, windows, estimated_calls, seed, "run started");
        }
        RunEventKind::Window(report)
            if matches!(report.state, WindowState::Failed | WindowState::Unavailable) =>
        {
            tracing::info!(
                phase = "extract",
                run,
                pipeline = report.pipeline,
                window = %report.window,
                status = %report.state,
                error = report.message,
                "window not read"
            );
        }
        RunEventKind::Window(report) => tracing::info!(
            phase = "load",
            run,
            pipeline = report.pipeline,
            window = %report.window,
            status = %report.state,
            read = report.counts.read(),
            inserted = report.counts.inserted,
            updated = report.counts.updated,
            unchanged = report.counts.unchanged,
            quarantined = report.counts.quarantined,
            "window closed"
        ),
        RunEventKind::PageCommitted { pipeline, page, rows, .. } => {
            tracing::debug!(phase = "load", run, pipeline, page, rows, "page committed");
        }
        RunEventKind::StoreRetry { pipeline, attempt } => {
            tracing::info!(phase = "load", run, pipeline, attempt, "storing a page again");
        }
        RunEventKind::LogMoved { pipeline, .. } => {
            tracing::warn!(phase = "load", run, pipeline, "the database no longer holds committed pages");
        }
        RunEventKind::Source(ClientEvent::Retrying { entity, attempt, cause }) => {
            let (entity, cause) = (entity.as_str(), cause.to_string());
            tracing::info!(phase = "extract", run, entity, attempt, cause, "retrying");
        }
        RunEventKind::Source(ClientEvent::Waiting { reason, time }) => {
            let (reason, seconds) = (reason.to_string(), time.as_secs_f64());
            tracing::info!(phase = "extract", run, reason, seconds, "waiting");
        }
        RunEventKind::Source(ClientEvent::Breaker(state)) => {
            tracing::info!(phase = "extract", run, state = ?state, "circuit breaker");
        }
        RunEventKind::Held { pipeline, holder, .. } => {
            tracing::info!(phase = "run", run, pipeline, holder, "waiting for another process");
        }
        RunEventKind::Settling { windows, wait } => {
            let seconds = wait.as_secs();
            tracing::info!(phase = "run", run, windows, seconds, "settling");
        }
        RunEventKind::CountDiffers { pipeline, span, source, read } => {
            let window = span.to_string();
            tracing::info!(phase = "validate", run, pipeline, window, source, read, "count differs");
        }
        RunEventKind::RunFinished { status, usage, time, .. } => {
            let (status, seconds) = (status.as_str(), time.as_secs_f64());
            let (calls, retries) = (usage.calls, usage.retries);
            tracing::info!(phase = "run", run, status, calls, retries, seconds, "run finished");
        }
        other => log_rest(run, other),
    }
}

/// Logs what concerns a refusal, a trigger or a worker.
fn log_rest(run: &str, event: &RunEventKind) {
    match event {
        RunEventKind::PartsRefused { pipeline, parts } => {
            let parts = parts.iter().map(|part| part.as_str()).collect::<Vec<_>>().join(",");
            tracing::info!(
                phase = "extract",
                run,
                pipeline,
                parts,
                "QuickBooks refuses parts of the requests"
            );
        }
        RunEventKind::TriggerFired { trigger, fire_at } => {
            let trigger = trigger.as_str();
            tracing::info!(phase = "run", run, trigger, fire_at = %utc(*fire_at), "trigger fired");
        }
        RunEventKind::TriggerEnded { trigger, state, message } => {
            let (trigger, status) = (trigger.as_str(), state.as_str());
            tracing::info!(phase = "run", trigger, status, error = message.as_deref(), "trigger ended");
        }
        RunEventKind::WorkerTrouble { message } => {
            tracing::info!(phase = "run", error = &**message, "trouble");
        }
        _ => {}
    }
}
