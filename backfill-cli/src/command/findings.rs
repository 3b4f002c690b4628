//! Validates the rows of a run when it ends, stores the findings, and loads them again for a later report.

use backfill_core::{Report, RunOutcome, Thresholds};
use backfill_report::findings::{json as findings_json, lines as findings_lines};
use failpoint::point;
use raw_store::{PgStore, StoreError, Validation};
use time::OffsetDateTime;

use crate::args::Output;
use crate::config::settings::Settings;
use crate::output::event;
use crate::output::exit::Exit;
use crate::output::print::say_as;

/// The report of a run that has just ended. Validates the rows that the run wrote, and stores the findings.
pub(super) async fn examined(
    settings: &Settings,
    store: &PgStore,
    outcome: &RunOutcome,
    now: OffsetDateTime,
) -> Result<Report, Exit> {
    let run = outcome.run();
    let mut report = Report::of_run(store, &settings.catalog, outcome, &settings.thresholds, now).await?;
    if let Some(clock) = outcome.clock {
        clock.enter(&mut report.validated, &settings.thresholds);
    }
    point!("report.examined");
    for validated in &report.validated {
        tracing::info!(
            phase = "validate",
            run = run.as_str(),
            entity_name = &*validated.entity_name,
            rows = validated.rows,
            findings = validated.findings.len(),
            "rows validated"
        );
    }
    store.keep_validated(run, &report.validated).await?;
    Ok(report)
}

/// Reports each finding as an event or a line.
pub(super) fn tell(settings: &Settings, report: &Report) {
    match settings.output {
        Output::Json => findings_json(report).into_iter().for_each(|found| event::write("finding", found)),
        Output::Text => findings_lines(report).iter().for_each(|(style, line)| say_as(*style, line)),
    }
}

/// Adds to the report the findings from the end of its run. If the run was not validated, such as a killed one, its rows are
/// validated now; the findings are stored if the run has ended and the role may write.
pub(super) async fn recall(
    report: &mut Report,
    store: &dyn Validation,
    thresholds: &Thresholds,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    report.validated = store.validated(&report.run.id).await?;
    if !report.validated.is_empty() {
        return Ok(());
    }
    match report.validate(store, thresholds, now).await {
        Ok(validated) => report.validated = validated,
        // A role may be allowed to read the log, but not the documents.
        Err(error) => {
            tracing::info!(phase = "validate", error = error.to_string(), "the rows were not validated");
            return Ok(());
        }
    }
    if report.run.finished_at.is_some()
        && let Err(error) = store.keep_validated(&report.run.id, &report.validated).await
    {
        tracing::info!(
            phase = "validate",
            error = error.to_string(),
            "the findings are shown, but could not be stored"
        );
    }
    Ok(())
}
