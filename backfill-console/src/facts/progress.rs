//! How far a run is, and how long it still takes.

use std::time::Duration;

use raw_store::{PipelineProgress, RunProgress};

/// How long a run still takes, by the pace of its last pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeLeft {
    /// If its pipelines are read side by side.
    pub(crate) least: Duration,
    /// If they are read one after another.
    pub(crate) most: Duration,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Windows that are closed, of those that were opened.
    pub(crate) closed: u64,
    pub(crate) opened: u64,
    pub(crate) pages: u64,
    pub(crate) records: u64,
    /// `None` before there is a pace.
    pub(crate) left: Option<TimeLeft>,
}

impl Progress {
    /// Share of the windows that are closed, in whole percent, rounded down.
    pub(crate) fn percent(self) -> u64 {
        (self.closed * 100).checked_div(self.opened).unwrap_or(0)
    }
}

/// Sums up the pipelines of a run.
pub(crate) fn progress(run: &RunProgress) -> Progress {
    let mut sum = Progress::default();
    for pipeline in &run.pipelines {
        let totals = &pipeline.totals;
        sum.opened += totals.windows_opened;
        sum.closed += totals.windows_opened.saturating_sub(pipeline.windows_left);
        sum.pages += totals.pages;
        sum.records += totals.counts.read();
    }
    let left: Vec<Duration> =
        run.pipelines.iter().filter(|pipeline| pipeline.windows_left > 0).filter_map(time_left).collect();
    if !left.is_empty() {
        let most = left.iter().sum();
        sum.left = Some(TimeLeft { least: left.iter().copied().max().unwrap_or(most), most });
    }
    sum
}

/// How long a pipeline still takes; `None` if it has no pace yet.
fn time_left(pipeline: &PipelineProgress) -> Option<Duration> {
    let recent = pipeline.recent.filter(|recent| !recent.covered.is_zero())?;
    let share = pipeline.time_left.as_secs_f64() / recent.covered.as_secs_f64();
    Duration::try_from_secs_f64(recent.elapsed.as_secs_f64() * share).ok()
}
