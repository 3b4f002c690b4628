use std::time::Duration;

use backfill_core::{Report, RunOutcome, RunRequest};
use qbo_auth::TokenVault as _;
use raw_store::{RunRecord, WindowCounts};
use serde_json::json;

use super::auth::warn_if_ending;
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
    let request = request(settings, arguments, span, super::request::nobody(None))?;
    execute(settings, request).await
}

/// Runs a request to its end, and shows the result.
pub(super) async fn execute(settings: &Settings, mut request: RunRequest) -> Result<u8, Exit> {
    let stop = Stop::listen()?;
    let composed =
        compose(settings, request.concurrency, request.seed, |client| sink(settings, client)).await?;
    stop.keep(&composed.tokens);
    request.identity = composed.identity.clone();
    let result = match let_the_last_run_age(settings, &composed).await {
        Ok(()) => match composed.engine.run(request, stop.token.clone()).await {
            Ok(outcome) => conclude(settings, &composed, outcome, &stop).await,
            Err(error) => Err(error.into()),
        },
        Err(exit) => Err(exit),
    };
    if let Ok(Some(tokens)) = composed.vault.load().await {
        warn_if_ending(&tokens);
    }
    let closed = composed.close().await;
    result.and_then(|code| closed.map(|()| code))
}

/// QuickBooks' limit of calls a second goes over all processes, and each knows only its own calls: those of a run
/// that has just ended, or was just killed, must be a second old before this one makes its first.
async fn let_the_last_run_age(settings: &Settings, composed: &Composed) -> Result<(), Exit> {
    const SECOND: Duration = Duration::from_secs(1);
    if settings.limits.is_none() {
        return Ok(());
    }
    let age = match composed.store.runs(1).await?.first() {
        None => return Ok(()),
        // Killed, nobody knows when.
        Some(RunRecord { finished_at: None, .. }) => Duration::ZERO,
        Some(RunRecord { finished_at: Some(ended), .. }) => {
            (composed.clock.now_utc() - *ended).try_into().unwrap_or_default()
        }
    };
    composed.clock.sleep(SECOND.saturating_sub(age)).await;
    Ok(())
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
        out(&format!("look at the data: {}", composed.look()));
    }
    let record = outcome.record.clone();
    let (totals, usage) = (outcome.totals(), outcome.usage);
    let verdict = verdict(outcome, stop);
    if settings.output == Output::Json {
        let (code, next) = match &verdict {
            Ok(()) => (exit::DONE, String::new()),
            Err(exit) => (exit.code, exit.next.clone()),
        };
        let seconds = record.finished_at.map_or(0.0, |end| (end - record.started_at).as_seconds_f64());
        write_event(
            "run_finished",
            json!({"run_id": record.id.as_str(), "status": record.status.as_str(), "exit_code": code,
                   "totals": totals_json(&totals), "calls": usage.calls, "seconds": seconds, "next": next}),
        );
    }
    // How the run ended says more than a report that could not be made.
    verdict?;
    report.map(|_| exit::DONE).map_err(Exit::from)
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
        format!(
            "see: qbo-backfill report {id} and qbo-backfill quarantine list; then run the same command again"
        ),
    ))
}
