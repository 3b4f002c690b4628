//! Renders a run's report as JSON.

use backfill_core::{PipelineReport, Report, Totals};
use raw_store::{LogLine, PipelineTotals, RunRecord, VerificationRecord, WindowCounts, WindowState};
use serde_json::{Value, json};

use crate::findings;
use crate::instant::utc;
use crate::summary::resume;
use crate::view::ReportView;

impl ReportView<'_> {
    /// Renders the report as JSON.
    #[must_use]
    pub fn to_json(self) -> Value {
        let report = self.report;
        let mut value = run(&report.run);
        value["pipelines"] = report.pipelines.iter().map(|one| pipeline(report, one)).collect();
        value["seconds"] = self.seconds().into();
        value["monthly_allowance"] = self.monthly_calls.into();
        value["percent_of_allowance"] = self.percent_of_limit().into();
        value["findings"] = findings::json(report).into();
        value["other_run"] = report.other.as_ref().map_or(Value::Null, run);
        value["open_quarantine"] = report.open_quarantine().into();
        value["next"] = resume(report).into();
        value
    }
}

/// A run with its totals.
pub fn run(run: &RunRecord) -> Value {
    json!({
        "run_id": run.id.as_str(),
        "status": run.status.as_str(),
        "message": run.message,
        "realm_id": run.identity.realm_id,
        "environment": run.identity.environment,
        "seed": run.seed,
        "from": utc(run.span.start()),
        "to": utc(run.span.end()),
        "chunk": run.chunk,
        "started_at_utc": utc(run.started_at),
        "finished_at_utc": run.finished_at.map(utc),
        "calls": run.calls,
        "retries": run.retries,
        "waited_seconds": run.waited_seconds,
        "totals": totals(&Totals::of(&run.pipelines)),
        "pipelines": run.pipelines.iter().map(pipeline_totals).collect::<Vec<_>>(),
    })
}

/// Sums over pipelines.
pub fn totals(totals: &Totals) -> Value {
    let mut value = counts(&totals.counts);
    value["pages"] = totals.pages.into();
    value["windows_opened"] = totals.windows_opened.into();
    value["windows_completed"] = totals.windows_completed.into();
    value["windows_provisional"] = totals.windows_provisional.into();
    value["windows_failed"] = totals.windows_failed.into();
    value["windows_unavailable"] = totals.windows_unavailable.into();
    value
}

fn pipeline_totals(one: &PipelineTotals) -> Value {
    let mut value = totals(&Totals::of(std::slice::from_ref(one)));
    value["entity_name"] = one.entity_name.as_ref().into();
    value
}

fn counts(counts: &WindowCounts) -> Value {
    json!({
        "read": counts.read(),
        "inserted": counts.inserted,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "quarantined": counts.quarantined,
    })
}

fn pipeline(all: &Report, report: &PipelineReport) -> Value {
    let mut value = pipeline_totals(&report.totals);
    let count = |state: WindowState| (state.as_str().to_owned(), Value::from(report.count(state)));
    let states = [
        WindowState::Pending,
        WindowState::Running,
        WindowState::Completed,
        WindowState::Provisional,
        WindowState::Failed,
        WindowState::Unavailable,
    ];
    value["windows_by_status"] = Value::Object(states.into_iter().map(count).collect());
    value["seconds"] = report.duration().as_secs_f64().into();
    let looked_over = all.validated.iter().find(|one| one.entity_name == report.totals.entity_name);
    value["rows_looked_over"] = looked_over.map(|one| one.rows).into();
    value["time_axis"] = report.axis.as_str().into();
    value["pipeline"] = report.pipeline.as_str().into();
    value["table"] = report.table.as_str().into();
    value["rows_in_table"] = report.rows.into();
    value["open_quarantine"] = report.open_quarantine.into();
    value["records_with_all_fields"] = report.custom_fields().map(|fields| fields.whole).into();
    value["verified"] = report.verified.iter().map(verified).collect();
    value["left_out"] = report.left_out().iter().map(|part| part.as_str()).collect();
    value["windows"] = report.windows.iter().map(line).collect();
    value
}

/// One log line.
pub fn line(line: &LogLine) -> Value {
    json!({
        "entity_name": line.entity_name,
        "window_start_utc": utc(line.window.start()),
        "window_end_utc": utc(line.window.end()),
        "status": line.state.as_str(),
        "records_read": line.metrics.records_read,
        "records_inserted": line.metrics.records_inserted,
        "records_updated": line.metrics.records_updated,
        "records_unchanged": line.metrics.records_unchanged,
        "records_quarantined": line.metrics.records_quarantined,
        "pages_read": line.metrics.pages_read,
        "duration_seconds": line.duration.as_secs_f64(),
        "attempts": line.attempts,
        "error_message": line.error_message,
    })
}

/// Renders a result of a verification.
pub fn verified(one: &VerificationRecord) -> Value {
    json!({
        "entity_name": &*one.entity_name,
        "method": one.method.as_str(),
        "result": one.result.as_str(),
        "at_utc": utc(one.at),
        "start": utc(one.span.start()),
        "end": utc(one.span.end()),
        "counted": one.counted,
        "same": one.same,
        "missing": one.missing,
        "changed": one.changed,
        "gone": one.gone,
        "calls": one.calls,
    })
}
