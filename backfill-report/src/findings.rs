//! Renders validation findings: as JSON, as lines, and as the table and summary of a report.

use std::fmt::Write as _;

use backfill_core::Report;
use raw_store::{Finding, Severity, ValidationResult};
use serde_json::{Value, json};

use crate::instant::{short, utc};
use crate::style::Style;
use crate::table::Table;
use crate::width::Width;

/// The most findings shown on a terminal. The database and the other formats have all of them.
const MOST_SHOWN: usize = 20;

/// The findings for programs, with the fields of the `finding` event.
pub fn json(report: &Report) -> Vec<Value> {
    let one = |(validated, finding): (&ValidationResult, &Finding)| {
        json!({
            "kind": finding.kind,
            "severity": finding.severity.as_str(),
            "pipeline": pipeline(validated),
            "day": finding.span.map(|span| short(span.start())),
            "start": finding.span.map(|span| utc(span.start())),
            "end": finding.span.map(|span| utc(span.end())),
            "amount": finding.amount,
            "detail": finding.detail,
        })
    };
    all(report).map(one).collect()
}

/// All findings, by pipeline.
pub(crate) fn all(report: &Report) -> impl Iterator<Item = (&ValidationResult, &Finding)> {
    report.validated.iter().flat_map(|one| one.findings.iter().map(move |finding| (one, finding)))
}

pub(crate) fn pipeline(validated: &ValidationResult) -> String {
    format!("qb_{}_backfill", validated.entity_name)
}

/// Sums the findings up in one sentence: rows, errors, warnings and notes.
pub(crate) fn sum(report: &Report) -> String {
    if report.validated.is_empty() {
        return "This run read nothing, so no rows were validated; `qbo-backfill report` validates the whole range.".into();
    }
    let rows: u64 = report.validated.iter().map(|one| one.rows).sum();
    let number = |severity| all(report).filter(|(_, finding)| finding.severity == severity).count();
    let [errors, warnings, notes] = [Severity::Error, Severity::Warning, Severity::Info].map(number);
    format!("{rows} rows validated: {errors} errors, {warnings} warnings, {notes} for information.")
}

/// The cells of one finding.
pub(crate) fn cells(validated: &ValidationResult, finding: &Finding) -> [String; 5] {
    [
        finding.severity.to_string(),
        pipeline(validated),
        finding.kind.to_string(),
        finding.span.map(|span| short(span.start())).unwrap_or_default(),
        finding.detail.to_string(),
    ]
}

/// Each finding as a line with its style.
pub fn lines(report: &Report) -> Vec<(Option<Style>, String)> {
    let line = |(validated, finding): (&ValidationResult, &Finding)| {
        let style = Style::of_state(finding.severity.as_str());
        let line =
            format!("{}: {} ({}): {}", pipeline(validated), finding.severity, finding.kind, finding.detail);
        (style, line)
    };
    all(report).map(line).collect()
}

/// The findings as text for a terminal.
pub(crate) fn text(report: &Report, width: Width) -> String {
    let found: Vec<_> = all(report).collect();
    let mut text = format!("{}\n", sum(report));
    if found.is_empty() {
        return text;
    }
    let mut table = Table::new(&["severity", "pipeline", "kind", "day", "detail"]).optional(&["kind", "day"]);
    for (validated, finding) in found.iter().take(MOST_SHOWN) {
        table.row(cells(validated, finding));
    }
    text.push_str(&table.fitted(width));
    if found.len() > MOST_SHOWN {
        let _ = writeln!(
            text,
            "  … and {} more: qbo-backfill report --format md, html or json, or raw.v_backfill_findings",
            found.len() - MOST_SHOWN
        );
    }
    text
}
