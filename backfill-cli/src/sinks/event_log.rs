//! Writes a run's events as log lines, with the run, the phase and the subject as fields.

use std::sync::{Arc, OnceLock};

use backfill_core::{EventSink, RunError, RunEvent};
use backfill_report::instant::utc;
use qbo_client::ClientEvent;
use raw_store::{RunId, WindowState};

use crate::output::exit::chain;

/// Logs the events of one run, and passes them on. It logs at level info or below, because the sink behind it shows the
/// events to people.
#[derive(Debug)]
pub(crate) struct EventLog {
    run: OnceLock<RunId>,
    inner: Arc<dyn EventSink>,
}

impl EventLog {
    pub(crate) fn before(inner: Arc<dyn EventSink>) -> Arc<dyn EventSink> {
        Arc::new(Self { run: OnceLock::new(), inner })
    }
}

impl EventSink for EventLog {
    fn emit(&self, event: &RunEvent) {
        if let RunEvent::RunStarted { run, .. } = event {
            let _ = self.run.set(run.clone());
        }
        log(self.run.get().map_or("", RunId::as_str), event);
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

fn log(run: &str, event: &RunEvent) {
    match event {
        RunEvent::RunStarted { pipelines, windows, estimated_calls, seed, .. } => {
            let pipelines = pipelines.join(",");
            tracing::info!(phase = "run", run, pipelines, windows, estimated_calls, seed, "run started");
        }
        RunEvent::Window(report)
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
        RunEvent::Window(report) => tracing::info!(
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
        RunEvent::PageCommitted { pipeline, page, rows, .. } => {
            tracing::debug!(phase = "load", run, pipeline, page, rows, "page committed");
        }
        RunEvent::StoreRetry { pipeline, attempt } => {
            tracing::info!(phase = "load", run, pipeline, attempt, "storing a page again");
        }
        RunEvent::LogMoved { pipeline, .. } => {
            tracing::warn!(phase = "load", run, pipeline, "the database no longer holds committed pages");
        }
        RunEvent::Source(ClientEvent::Retrying { entity, attempt, cause }) => {
            let (entity, cause) = (entity.as_str(), cause.to_string());
            tracing::info!(phase = "extract", run, entity, attempt, cause, "retrying");
        }
        RunEvent::Source(ClientEvent::Waiting { reason, time }) => {
            let (reason, seconds) = (reason.to_string(), time.as_secs_f64());
            tracing::info!(phase = "extract", run, reason, seconds, "waiting");
        }
        RunEvent::Source(ClientEvent::Breaker(state)) => {
            tracing::info!(phase = "extract", run, state = ?state, "circuit breaker");
        }
        RunEvent::Held { pipeline, holder, .. } => {
            tracing::info!(phase = "run", run, pipeline, holder, "waiting for another process");
        }
        RunEvent::CountDiffers { pipeline, span, source, read } => {
            let window = span.to_string();
            tracing::info!(phase = "validate", run, pipeline, window, source, read, "count differs");
        }
        RunEvent::RunFinished { status, usage, time, .. } => {
            let (status, seconds) = (status.as_str(), time.as_secs_f64());
            let (calls, retries) = (usage.calls, usage.retries);
            tracing::info!(phase = "run", run, status, calls, retries, seconds, "run finished");
        }
        other => log_trigger(other),
    }
}

fn log_trigger(event: &RunEvent) {
    match event {
        RunEvent::TriggerFired { trigger, run, fire_at } => {
            let (trigger, run) = (trigger.as_str(), run.as_str());
            tracing::info!(phase = "run", run, trigger, fire_at = %utc(*fire_at), "trigger fired");
        }
        RunEvent::TriggerEnded { trigger, state, message } => {
            let (trigger, status) = (trigger.as_str(), state.as_str());
            tracing::info!(phase = "run", trigger, status, error = message.as_deref(), "trigger ended");
        }
        RunEvent::WorkerTrouble { message } => {
            tracing::info!(phase = "run", error = &**message, "trouble");
        }
        _ => {}
    }
}
