//! Renders a run's report as text for a terminal.

use std::fmt::Write as _;

use backfill_core::{PipelineReport, Report};
use raw_store::{LogLine, WindowState};

use crate::findings;
use crate::instant::{short, utc};
use crate::number::seconds;
use crate::style::{Style, paint, state};
use crate::summary::{
    again, confirmations, cost, custom_fields, open_quarantine, resume, standing_numbers, total_cells,
};
use crate::table::Table;
use crate::untrusted::Untrusted;
use crate::view::ReportView;
use crate::width::Width;
use crate::window_group::group_windows;

/// The most windows shown one by one. The database and the JSON report have all of them.
const MOST_WINDOWS: usize = 12;

impl ReportView<'_> {
    /// Renders the report as text for a terminal, with the marks of [`crate::style`]. Its tables fit the width; sentences are
    /// folded by [`crate::fold`] when they are shown.
    #[must_use]
    pub fn to_text(self, width: Width) -> String {
        let report = self.report;
        let run = &report.run;
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} {}  {}  {} to {}, by {}",
            heading("Run"),
            run.id,
            state(run.status.as_str()),
            short(run.span.start()),
            short(run.span.end()),
            Untrusted(&run.chunk)
        );
        let _ = writeln!(text, "{}, started {}", Untrusted(&run.identity.to_string()), utc(run.started_at));
        if let Some(message) = &run.message {
            let _ = writeln!(text, "{}", Untrusted(message));
        }
        let _ = writeln!(text, "\n{}", heading("This run"));
        let _ = write!(text, "{}", this_run(report).fitted(width));
        let _ = writeln!(text, "\n{}", heading("The range as it stands now"));
        let _ = write!(text, "{}", standing(report).fitted(width));
        for pipeline in &report.pipelines {
            push_windows(&mut text, pipeline, width);
        }
        let _ = writeln!(text, "\n{}\n{}", heading("Findings"), findings::text(report, width));
        if let Some(again) = again(report) {
            let _ = writeln!(text, "{again}");
        }
        let _ = writeln!(text, "{}", cost(self));
        if let Some(fields) = custom_fields(report) {
            let _ = writeln!(text, "{fields}");
        }
        for line in confirmations(report) {
            let _ = writeln!(text, "{}", Untrusted(&line));
        }
        if let Some(open) = open_quarantine(report) {
            let _ = writeln!(text, "{open}");
        }
        if let Some(next) = resume(report) {
            let _ = writeln!(text, "{next}");
        }
        text
    }
}

fn heading(text: &str) -> impl std::fmt::Display {
    paint(Style::Heading, Untrusted(text))
}

fn this_run(report: &Report) -> Table {
    let mut table = Table::new(&[
        "pipeline",
        "windows#",
        "done#",
        "prov.#",
        "failed#",
        "unavail.#",
        "read#",
        "inserted#",
        "updated#",
        "unchanged#",
        "quarant.#",
        "pages#",
    ])
    .optional(&["pages", "unavail.", "prov.", "quarant.", "windows", "unchanged", "updated", "read"]);
    for (name, cells) in total_cells(report) {
        table.row(std::iter::once(name).chain(cells));
    }
    table
}

fn standing(report: &Report) -> Table {
    let mut table = Table::new(&[
        "table",
        "rows#",
        "windows#",
        "done#",
        "prov.#",
        "failed#",
        "unavail.#",
        "open#",
        "records read#",
        "seconds#",
    ])
    .optional(&["seconds", "unavail.", "prov.", "windows", "records read", "open"]);
    for pipeline in &report.pipelines {
        let mut numbers = standing_numbers(pipeline).map(|number| number.to_string());
        if pipeline.has_more_rows {
            numbers[0].insert(0, '>');
        }
        let seconds = seconds(pipeline.duration().as_secs_f64());
        table.row(std::iter::once(pipeline.table.clone()).chain(numbers).chain([seconds]));
    }
    table
}

/// Lists the windows with records and the windows that are not completed.
fn push_windows(text: &mut String, pipeline: &PipelineReport, width: Width) {
    let missing = pipeline.windows.iter().filter(|line| line.state == WindowState::Unavailable);
    if let (unread @ 1.., Some(line)) = (missing.clone().count(), missing.clone().next()) {
        let why = line.error_message.as_deref().unwrap_or_default();
        let _ = writeln!(
            text,
            "\n{}: {}; {unread} windows left unread, a later run asks again",
            heading(&pipeline.pipeline),
            Untrusted(why)
        );
        if unread == pipeline.windows.len() {
            return;
        }
    }
    let telling = |line: &&LogLine| line.metrics.records_read > 0 || line.state != WindowState::Completed;
    let told = pipeline.windows.iter().filter(telling).count();
    let lines = group_windows(pipeline.windows.iter().filter(telling));
    let empty = pipeline.windows.len() - told;
    let _ = writeln!(
        text,
        "\n{}: {told} windows with records or open, {empty} completed and empty",
        heading(&pipeline.pipeline),
    );
    if lines.is_empty() {
        return;
    }
    let mut table = Table::new(&[
        "window",
        "status",
        "read#",
        "inserted#",
        "updated#",
        "unchanged#",
        "quarant.#",
        "seconds#",
        "message",
    ])
    .optional(&["seconds", "quarant.", "unchanged", "updated", "inserted"]);
    for line in lines.iter().take(MOST_WINDOWS) {
        table.row(line.cells());
    }
    let _ = write!(text, "{}", table.fitted(width));
    let more: usize = lines.iter().skip(MOST_WINDOWS).map(|line| line.count).sum();
    if more > 0 {
        let _ = writeln!(
            text,
            "  … and {more} more: qbo-backfill report --format md or json, or raw.backfill_log",
        );
    }
}
