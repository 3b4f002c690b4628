use backfill_core::{Report, RunOutcome};
use raw_store::WindowCounts;
use serde_json::json;

use super::request::{request, span};
use super::signals::Stop;
use crate::args::{Output, RunArgs};
use crate::compose::{Composed, compose};
use crate::exit::{self, Exit};
use crate::progress::{sink, write_event};
use crate::render::{out, report_text, totals_json};
use crate::settings::Settings;

/// `run`: backfills the windows that are not completed.
pub(crate) async fn run(settings: &Settings, arguments: &RunArgs) -> Result<u8, Exit> {
    let span = span(settings, arguments)?;
    // Whatever can be wrong with the request is found before anything is opened.
    let mut request = request(settings, arguments, span, super::request::nobody(None))?;
    let stop = Stop::listen()?;
    let composed = compose(settings, request.concurrency, request.seed, |client| {
        sink(settings, client)
    })
    .await?;
    request.identity = composed.identity.clone();
    let outcome = composed.engine.run(request, stop.token.clone()).await;
    let result = match outcome {
        Ok(outcome) => conclude(settings, &composed, outcome, &stop).await,
        Err(error) => Err(error.into()),
    };
    let closed = composed.close().await;
    result.and_then(|code| closed.map(|()| code))
}

/// Shows the result, and says how the process ends.
async fn conclude(
    settings: &Settings,
    composed: &Composed,
    outcome: RunOutcome,
    stop: &Stop,
) -> Result<u8, Exit> {
    let report = Report::build(&*composed.store, &settings.catalog, Some(outcome.run())).await;
    if settings.output == Output::Text
        && let Ok(report) = &report
    {
        out(&report_text(report));
        out(&format!("look at the data: {}", composed.psql()));
    }
    let record = outcome.record.clone();
    let (totals, usage) = (outcome.totals(), outcome.usage);
    let verdict = verdict(outcome, stop);
    if settings.output == Output::Json {
        let (code, next) = match &verdict {
            Ok(()) => (exit::DONE, String::new()),
            Err(exit) => (exit.code, exit.next.clone()),
        };
        let seconds = record
            .finished_at
            .map_or(0.0, |end| (end - record.started_at).as_seconds_f64());
        write_event(
            "run_finished",
            json!({"run_id": record.id.as_str(), "status": record.status.as_str(), "exit_code": code,
                   "totals": totals_json(&totals), "calls": usage.calls, "seconds": seconds, "next": next}),
        );
    }
    report?;
    verdict.map(|()| exit::DONE)
}

/// 0, or what the exit code is and why.
fn verdict(outcome: RunOutcome, stop: &Stop) -> Result<(), Exit> {
    let totals = outcome.totals();
    let id = outcome.run().clone();
    if let Some(failure) = outcome.failure {
        let mut exit = Exit::from(failure);
        if exit.code == exit::INTERRUPTED {
            exit.code = stop.code().unwrap_or(exit::INTERRUPTED);
        }
        return Err(exit);
    }
    if totals.is_sound() {
        return Ok(());
    }
    let WindowCounts { quarantined, .. } = totals.counts;
    Err(Exit::new(
        exit::INCOMPLETE,
        format!(
            "run {id} finished with {} failed windows and {quarantined} records in quarantine; everything else is stored",
            totals.windows_failed
        ),
        format!("see: qbo-backfill report {id}; then run the same command again"),
    ))
}
