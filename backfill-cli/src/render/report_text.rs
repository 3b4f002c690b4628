//! Renders a run's report as text for a terminal.

use std::fmt::Write as _;

use backfill_core::{PipelineReport, Report, Totals};
use raw_store::{LogLine, WindowState};

use super::alike::alike;
use super::{Shown, Table, counted, findings, percent, seconds};
use crate::instant::{short, utc};
use crate::output::foreign::Foreign;
use crate::output::paint::{Style, paint, state};

/// Windows shown one by one; a longer list is in the database and in the JSON report.
const MOST_WINDOWS: usize = 12;

/// The report for people at a terminal.
pub(crate) fn text(shown: Shown<'_>) -> String {
    let report = shown.report;
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
        Foreign(&run.chunk)
    );
    let _ = writeln!(text, "{}, started {}", Foreign(&run.identity.to_string()), utc(run.started_at));
    if let Some(message) = &run.message {
        let _ = writeln!(text, "{}", Foreign(message));
    }
    let _ = writeln!(text, "\n{}", heading("This run"));
    let _ = write!(text, "{}", this_run(report));
    let _ = writeln!(text, "\n{}", heading("The range as it stands now"));
    let _ = write!(text, "{}", standing(report));
    for pipeline in &report.pipelines {
        push_windows(&mut text, pipeline);
    }
    let _ = writeln!(text, "\n{}\n{}", heading("Findings"), findings::text(report));
    if let Some(again) = again(report) {
        let _ = writeln!(text, "{again}");
    }
    let _ = writeln!(text, "{}", cost(shown));
    if let Some(open) = open_quarantine(report) {
        let _ = writeln!(text, "{open}");
    }
    if let Some(next) = resume(report) {
        let _ = writeln!(text, "{next}");
    }
    text
}

fn heading(text: &str) -> impl std::fmt::Display {
    paint(Style::Heading, Foreign(text))
}

/// Calls, waits and time, in one line.
pub(super) fn cost(shown: Shown<'_>) -> String {
    let run = &shown.report.run;
    let share = shown.percent_of_allowance().zip(shown.allowance);
    let share = share.map(|(share, of)| format!(" ({} % of the {of} a month)", percent(share)));
    let took = shown.seconds().map(|time| format!(", {} s in all", seconds(time)));
    format!(
        "{} API calls{}, {} repeated, {} s waited for limits{}",
        run.calls,
        share.unwrap_or_default(),
        run.retries,
        seconds(run.waited_seconds),
        took.unwrap_or_default()
    )
}

/// What the later of two runs over the same windows has changed, in one sentence.
pub(super) fn again(report: &Report) -> Option<String> {
    let other = report.other.as_ref()?;
    let (first, later) =
        if other.started_at < report.run.started_at { (other, &report.run) } else { (&report.run, other) };
    let [before, after] = [first, later].map(|run| Totals::of(&run.pipelines).counts);
    Some(format!(
        "read twice: run {} inserted {} and updated {}; run {} over the same windows read {}, inserted {}, updated {}, unchanged {}",
        first.id,
        before.inserted,
        before.updated,
        later.id,
        after.read(),
        after.inserted,
        after.updated,
        after.unchanged
    ))
}

/// What waits in quarantine for a person, in one sentence.
pub(super) fn open_quarantine(report: &Report) -> Option<String> {
    let open = report.open_quarantine();
    let what = counted(
        open,
        "record of this range is in quarantine, not resolved and not accepted",
        "records of this range are in quarantine, not resolved and not accepted",
    );
    (open > 0).then(|| format!("{what}: qbo-backfill quarantine list"))
}

/// What is left for a later run, in one sentence.
pub(super) fn resume(report: &Report) -> Option<String> {
    let lines = || report.pipelines.iter().flat_map(|pipeline| &pipeline.windows);
    let done = |state| matches!(state, WindowState::Completed | WindowState::Unavailable);
    let open: Vec<_> = lines().filter(|line| !done(line.state)).collect();
    let first = open.iter().map(|line| line.window.start()).min()?;
    Some(format!(
        "{} windows are not completed, the first begins {}: run the same command again",
        open.len(),
        short(first)
    ))
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
    ]);
    for (name, cells) in total_cells(report) {
        table.row(std::iter::once(name).chain(cells));
    }
    table
}

/// The cells of this run's totals: a row per pipeline, and the sum.
pub(super) fn total_cells(report: &Report) -> Vec<(String, [String; 11])> {
    let cells = |totals| total_numbers(totals).map(|number| number.to_string());
    let one = |report: &PipelineReport| {
        (report.pipeline.clone(), cells(Totals::of(std::slice::from_ref(&report.totals))))
    };
    let mut rows: Vec<_> = report.pipelines.iter().map(one).collect();
    rows.push(("all".into(), cells(Totals::of(&report.run.pipelines))));
    rows
}

/// The numbers of a row of totals, as every format has them.
pub(super) fn total_numbers(totals: Totals) -> [u64; 11] {
    let counts = totals.counts;
    [
        totals.windows_opened,
        totals.windows_completed,
        totals.windows_provisional,
        totals.windows_failed,
        totals.windows_unavailable,
        counts.read(),
        counts.inserted,
        counts.updated,
        counts.unchanged,
        counts.quarantined,
        totals.pages,
    ]
}

/// The numbers of how a pipeline's range stands now, as every format has them.
pub(super) fn standing_numbers(pipeline: &PipelineReport) -> [u64; 8] {
    let count = |state| pipeline.count(state) as u64;
    [
        pipeline.rows,
        pipeline.windows.len() as u64,
        count(WindowState::Completed),
        count(WindowState::Provisional),
        count(WindowState::Failed),
        count(WindowState::Unavailable),
        count(WindowState::Pending) + count(WindowState::Running),
        pipeline.records_read(),
    ]
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
    ]);
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

/// The windows worth showing: those with records, and those that are not completed.
fn push_windows(text: &mut String, pipeline: &PipelineReport) {
    let missing = pipeline.windows.iter().filter(|line| line.state == WindowState::Unavailable);
    if let (unread @ 1.., Some(line)) = (missing.clone().count(), missing.clone().next()) {
        let why = line.error_message.as_deref().unwrap_or_default();
        let _ = writeln!(
            text,
            "\n{}: {}; {unread} windows left unread, a later run asks again",
            heading(&pipeline.pipeline),
            Foreign(why)
        );
        if unread == pipeline.windows.len() {
            return;
        }
    }
    let telling = |line: &&LogLine| line.metrics.records_read > 0 || line.state != WindowState::Completed;
    let told = pipeline.windows.iter().filter(telling).count();
    let lines = alike(pipeline.windows.iter().filter(telling));
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
    ]);
    for line in lines.iter().take(MOST_WINDOWS) {
        table.row(line.cells());
    }
    let _ = write!(text, "{table}");
    let more: usize = lines.iter().skip(MOST_WINDOWS).map(|line| line.count).sum();
    if more > 0 {
        let _ = writeln!(
            text,
            "  … and {more} more: qbo-backfill report --format md or json, or raw.backfill_log",
        );
    }
}
