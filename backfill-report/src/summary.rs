//! The sentences and numbers that all formats of a report share.

use backfill_core::{PipelineReport, Report, Totals};
use raw_store::WindowState;

use crate::confirmation;
use crate::instant::short;
use crate::number::{counted, percent, seconds};
use crate::view::ReportView;

/// Formats calls, retries, waits and duration as one line.
pub(crate) fn cost(shown: ReportView<'_>) -> String {
    let run = &shown.report.run;
    let share = shown.percent_of_limit().zip(shown.monthly_calls);
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

/// States in one sentence what the later of two runs over the same windows changed.
pub(crate) fn again(report: &Report) -> Option<String> {
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

/// States in one sentence how many quarantined records need a decision.
pub(crate) fn open_quarantine(report: &Report) -> Option<String> {
    let open = report.open_quarantine();
    let what = counted(
        open,
        "record of this range is in quarantine, not resolved and not accepted",
        "records of this range are in quarantine, not resolved and not accepted",
    );
    (open > 0).then(|| format!("{what}: qbo-backfill quarantine list"))
}

/// States what the newest verifications of the pipelines have shown.
pub(crate) fn confirmations(report: &Report) -> impl Iterator<Item = String> {
    report.pipelines.iter().flat_map(|one| &one.verified).map(confirmation::sentence)
}

/// States in one sentence for how many records all custom fields are known to be stored.
pub(crate) fn custom_fields(report: &Report) -> Option<String> {
    let fields: Vec<_> = report.pipelines.iter().filter_map(PipelineReport::custom_fields).collect();
    let (whole, records) =
        fields.iter().fold((0, 0), |(whole, records), one| (whole + one.whole, records + one.records));
    (records > 0).then(|| custom_fields_line(whole, records, "records"))
}

/// States for how many records or rows all custom fields are known to be stored.
pub fn custom_fields_line(whole: u64, of: u64, what: &str) -> String {
    let known = format!("custom fields: all of them are known to be stored for {whole} of {of} {what}");
    if whole < of { format!("{known}; run --force reads the others again") } else { known }
}

/// States in one sentence what is left for a later run.
pub(crate) fn resume(report: &Report) -> Option<String> {
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

/// The cells of this run's totals: one row per pipeline, and the sum.
pub(crate) fn total_cells(report: &Report) -> Vec<(String, [String; 11])> {
    let cells = |totals| total_numbers(totals).map(|number| number.to_string());
    let one = |report: &PipelineReport| {
        (report.pipeline.clone(), cells(Totals::of(std::slice::from_ref(&report.totals))))
    };
    let mut rows: Vec<_> = report.pipelines.iter().map(one).collect();
    rows.push(("all".into(), cells(Totals::of(&report.run.pipelines))));
    rows
}

/// The numbers of a row of totals, the same in every format.
pub(crate) fn total_numbers(totals: Totals) -> [u64; 11] {
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

/// The numbers of a pipeline's range as it is now, the same in every format.
pub(crate) fn standing_numbers(pipeline: &PipelineReport) -> [u64; 8] {
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
