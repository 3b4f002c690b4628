//! Renders a run's report as Markdown, with every window.

use std::fmt::Write as _;

use backfill_core::Report;

use crate::findings;
use crate::instant::{short, utc};
use crate::summary::{again, confirmations, cost, custom_fields, open_quarantine, resume, total_cells};
use crate::untrusted::is_obeyed;
use crate::view::ReportView;
use crate::window_group::group_windows;

impl ReportView<'_> {
    /// Renders the report as Markdown.
    #[must_use]
    pub fn to_markdown(self) -> String {
        let report = self.report;
        let run = &report.run;
        let mut text = String::new();
        let _ = writeln!(text, "# Backfill run {}\n", run.id);
        let _ = writeln!(text, "- Status: **{}**", run.status.as_str());
        if let Some(message) = &run.message {
            let _ = writeln!(text, "- Message: {}", escaped(message));
        }
        let _ = writeln!(
            text,
            "- Company: {} ({})",
            escaped(&run.identity.realm_id),
            escaped(&run.identity.environment)
        );
        let _ = writeln!(
            text,
            "- Range: {} to {} (UTC, half-open), by {}",
            short(run.span.start()),
            short(run.span.end()),
            escaped(&run.chunk)
        );
        let finished = run.finished_at.map_or_else(|| "not recorded".into(), utc);
        let _ = writeln!(text, "- Started: {}, finished: {finished}", utc(run.started_at));
        let _ = writeln!(text, "- Cost: {}", cost(self));
        if let Some(again) = again(report) {
            let _ = writeln!(text, "- Idempotence: {again}");
        }
        if let Some(fields) = custom_fields(report) {
            let _ = writeln!(text, "- Completeness: {fields}");
        }
        for line in confirmations(report) {
            let _ = writeln!(text, "- Verification: {}", escaped(&line));
        }
        if let Some(open) = open_quarantine(report) {
            let _ = writeln!(text, "- Quarantine: {open}");
        }
        if let Some(next) = resume(report) {
            let _ = writeln!(text, "- Next: {next}");
        }
        push_totals(&mut text, report);
        push_findings(&mut text, report);
        for pipeline in &report.pipelines {
            let _ = writeln!(text, "\n## {}\n", pipeline.pipeline);
            let _ = writeln!(text, "{} rows in `{}`.\n", pipeline.rows, pipeline.table);
            push_row(
                &mut text,
                [
                    "window",
                    "status",
                    "read",
                    "inserted",
                    "updated",
                    "unchanged",
                    "quarantined",
                    "seconds",
                    "message",
                ]
                .map(str::to_owned),
            );
            push_row(
                &mut text,
                ["---", "---", "--:", "--:", "--:", "--:", "--:", "--:", "---"].map(str::to_owned),
            );
            for line in group_windows(&pipeline.windows) {
                push_row(&mut text, line.cells().map(|cell| escaped(&cell)));
            }
        }
        text
    }
}

fn push_totals(text: &mut String, report: &Report) {
    let _ = writeln!(text, "\n## This run\n");
    push_row(
        text,
        [
            "pipeline",
            "windows",
            "completed",
            "provisional",
            "failed",
            "unavailable",
            "read",
            "inserted",
            "updated",
            "unchanged",
            "quarantined",
            "pages",
        ]
        .map(str::to_owned),
    );
    push_row(text, ["---"].into_iter().chain(["--:"; 11]).map(str::to_owned));
    for (name, cells) in total_cells(report) {
        push_row(text, std::iter::once(escaped(&name)).chain(cells));
    }
}

fn push_findings(text: &mut String, report: &Report) {
    let _ = writeln!(text, "\n## Findings\n\n{}", findings::sum(report));
    if findings::all(report).next().is_some() {
        text.push('\n');
        push_row(text, ["severity", "pipeline", "kind", "day", "detail"].map(str::to_owned));
        push_row(text, ["---"; 5].map(str::to_owned));
    }
    for (validated, finding) in findings::all(report) {
        push_row(text, findings::cells(validated, finding).map(|cell| escaped(&cell)));
    }
}

fn push_row(text: &mut String, cells: impl IntoIterator<Item = String>) {
    text.push('|');
    for cell in cells {
        let _ = write!(text, " {cell} |");
    }
    text.push('\n');
}

/// Escapes text for a cell of a Markdown table.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '|' | '`' | '*' | '[' | ']' => escaped.extend(['\\', letter]),
            letter if is_obeyed(letter) => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}
