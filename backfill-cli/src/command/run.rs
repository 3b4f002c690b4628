//! The command `run`: backfills the windows that are not completed, then validates and reports.

use std::collections::BTreeMap;

use backfill_core::{Report, RunOutcome, RunRequest};
use backfill_report::ReportView;
use backfill_report::call_month::{json as month_json, line as month_line};
use backfill_report::json::totals as totals_json;
use backfill_report::style::{Style, paint};
use failpoint::point;
use qbo_auth::TokenVault as _;
use raw_store::WindowState;
use serde_json::json;

use super::auth::warn_if_ending;
use super::findings;
use super::request::{refuse_future, request, span};
use super::unsound::Unsound;
use crate::app::{RunApp, Schema, compose};
use crate::args::{Output, RunArgs};
use crate::config::settings::Settings;
use crate::output::event;
use crate::output::exit::{self, Exit};
use crate::output::print::{out, say};
use crate::output::screen_width;
use crate::shutdown::Stop;
use crate::sinks::event_log::log_failure;
use crate::sinks::progress::sink;

/// `run`: backfills the windows that are not completed.
pub(crate) async fn run(settings: &Settings, arguments: &RunArgs) -> Result<u8, Exit> {
    let span = span(settings, arguments.from, arguments.to)?;
    refuse_future(arguments, span)?;
    // Check the request before opening anything.
    let request = request(settings, arguments, span, super::request::nobody(None))?;
    execute(settings, request, Ending::of(arguments.details)).await
}

/// What a run shows to people when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// One paragraph.
    Paragraph,
    /// The whole report, with its tables.
    Tables,
}

impl Ending {
    /// What `--details` asks for, or its absence.
    pub(super) fn of(details: bool) -> Self {
        if details { Self::Tables } else { Self::Paragraph }
    }

    fn show(self, view: ReportView<'_>) {
        match self {
            Self::Paragraph => {
                let report = format!("qbo-backfill report {}", view.report.run.id);
                let report = paint(Style::Command, report);
                out(&format!("\n{}\n\nwindows and findings: {report}", view.to_paragraph()));
            }
            Self::Tables => out(&view.to_text(screen_width::of_stdout())),
        }
    }
}

/// Executes a request, and shows the result.
pub(super) async fn execute(
    settings: &Settings,
    mut request: RunRequest,
    ending: Ending,
) -> Result<u8, Exit> {
    let stop = Stop::listen()?;
    let composed =
        compose(settings, request.concurrency, request.seed, Schema::Made, |client| sink(settings, client))
            .await?;
    stop.keep(&composed.tokens);
    super::cancel::watch(&composed.store, request.id.clone(), stop.clone());
    stop.follow(settings)?;
    request.identity = composed.identity.clone();
    let result = match say_what_is_left(settings, &composed).await {
        Ok(()) => match composed.engine.run(request, stop.token.clone()).await {
            Ok(outcome) => conclude(settings, &composed, outcome, &stop, ending).await,
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

/// Shows how many API calls are left this month.
async fn say_what_is_left(settings: &Settings, composed: &RunApp) -> Result<(), Exit> {
    let month = composed.month().await?;
    match settings.output {
        Output::Text => say(&month_line(month, settings.monthly_calls)),
        Output::Json => event::write("calls", month_json(month, settings.monthly_calls)),
    }
    Ok(())
}

/// Shows the result, and returns the exit code.
async fn conclude(
    settings: &Settings,
    composed: &RunApp,
    outcome: RunOutcome,
    stop: &Stop,
    ending: Ending,
) -> Result<u8, Exit> {
    let report = final_report(settings, composed, &outcome, stop).await;
    point!("report.built");
    if let Ok(report) = &report {
        match settings.output {
            Output::Text => {
                ending.show(ReportView { report, monthly_calls: settings.monthly_calls });
                out(&format!("look at the data: {}", paint(Style::Command, composed.look())));
            }
            Output::Json => findings::tell(settings, report),
        }
    }
    let record = outcome.record.clone();
    let (totals, usage, open_quarantine) = (outcome.totals(), outcome.usage, outcome.open_quarantine);
    let rows_missing = report.as_ref().map_or(0, Report::rows_missing);
    // A run that failed takes precedence over a report that failed.
    let ended = verdict(outcome, report.as_ref().ok(), stop).and_then(|()| report.map(drop));
    if settings.output == Output::Json {
        let (code, next) = match &ended {
            Ok(()) => (exit::DONE, String::new()),
            Err(exit) => (exit.code, exit.next.clone()),
        };
        let seconds = record.finished_at.map_or(0.0, |end| (end - record.started_at).as_seconds_f64());
        event::write(
            "run_finished",
            json!({"run_id": record.id.as_str(), "status": record.status.as_str(), "exit_code": code,
                   "totals": totals_json(&totals), "open_quarantine": open_quarantine,
                   "rows_missing": rows_missing, "calls": usage.calls, "seconds": seconds, "next": next}),
        );
    }
    ended.map(|()| exit::DONE)
}

/// The report of a run, with the findings of its validation. A run that failed is not validated; the run that resumes it
/// validates its rows too. If a signal interrupts the validation, the run still counts as succeeded, and the command `report`
/// validates it later.
async fn final_report(
    settings: &Settings,
    composed: &RunApp,
    outcome: &RunOutcome,
    stop: &Stop,
) -> Result<Report, Exit> {
    let store = composed.database_store();
    if outcome.failure.is_none() {
        let look = findings::examined(settings, store, outcome, composed.clock.now_utc());
        if let Some(report) = stop.token.run_until_cancelled(look).await {
            return report;
        }
        tracing::info!(phase = "validate", "stopped before the rows were validated");
    }
    Ok(Report::build(store, &settings.catalog, Some(outcome.run())).await?)
}

/// The most common failure reason among this run's windows, and how many other reasons there were.
fn cause(report: &Report) -> Option<String> {
    let mut reasons = BTreeMap::<&str, usize>::new();
    let lines = report.pipelines.iter().flat_map(|pipeline| &pipeline.windows);
    for line in
        lines.filter(|line| line.state == WindowState::Failed && line.run.as_ref() == Some(&report.run.id))
    {
        *reasons.entry(line.error_message.as_deref().unwrap_or("no reason was recorded")).or_default() += 1;
    }
    let (most, _) = reasons.iter().max_by_key(|(_, windows)| **windows)?;
    Some(match reasons.len() - 1 {
        0 => (*most).to_owned(),
        1 => format!("{most} (and 1 other reason)"),
        others => format!("{most} (and {others} other reasons)"),
    })
}

/// `Ok` if the run is sound, otherwise the exit code with its reason.
fn verdict(outcome: RunOutcome, report: Option<&Report>, stop: &Stop) -> Result<(), Exit> {
    let id = outcome.run().clone();
    let unsound = Unsound {
        failed_windows: outcome.totals().windows_failed,
        why_failed: report.and_then(cause),
        open_quarantine: outcome.open_quarantine,
        rows_missing: report.map_or(0, Report::rows_missing),
    };
    if let Some(failure) = outcome.failure {
        log_failure(&id, &failure);
        return Err(stop.signed(failure.into()));
    }
    let see = format!("qbo-backfill report {id}, then run the same command again");
    unsound.exit(&format!("run {id}"), &see).map_or(Ok(()), Err)
}
