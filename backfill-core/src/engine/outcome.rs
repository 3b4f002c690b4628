//! How a run ended.

use std::sync::Arc;

use qbo_client::Usage;
use raw_store::{PipelineTotals, RunId, RunRecord, RunStatus, WindowCounts};

use crate::clock_check::ClockApart;
use crate::error::RunError;
use crate::scan::record_heads::RunHeads;

/// The outcome of a run.
#[derive(Debug)]
pub struct RunOutcome {
    /// The run's record in the log, with its totals.
    pub record: RunRecord,
    /// The API calls that the run made, and what they cost.
    pub usage: Usage,
    /// Records of the run's pipelines and range that are open in quarantine now, neither resolved nor accepted, whichever run
    /// put them there.
    pub open_quarantine: u64,
    /// The failure that stopped the run, if one did. Everything committed before stays.
    pub failure: Option<RunError>,
    /// What the run has learned of the records that it committed.
    pub(crate) heads: Arc<RunHeads>,
    /// The clock that is too far from the others, if one is; windows that have not ended by the earliest clock are then
    /// provisional.
    pub clock: Option<ClockApart>,
}

impl RunOutcome {
    /// Returns the run's name.
    pub fn run(&self) -> &RunId {
        &self.record.id
    }

    /// Returns how the run ended.
    pub fn status(&self) -> RunStatus {
        self.record.status
    }

    /// Returns the sum over the run's pipelines.
    pub fn totals(&self) -> Totals {
        Totals::of(&self.record.pipelines)
    }

    /// Whether no window was given up and no record is open in quarantine.
    pub fn is_sound(&self) -> bool {
        self.totals().windows_failed == 0 && self.open_quarantine == 0
    }
}

/// The totals of a run, summed over its pipelines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// What became of the records.
    pub counts: WindowCounts,
    /// Pages committed.
    pub pages: u64,
    /// Windows opened.
    pub windows_opened: u64,
    /// Windows closed as completed.
    pub windows_completed: u64,
    /// Windows closed as provisional.
    pub windows_provisional: u64,
    /// Windows given up.
    pub windows_failed: u64,
    /// Windows of entities that the company does not have.
    pub windows_unavailable: u64,
}

impl Totals {
    /// Sums the totals of pipelines.
    pub fn of(pipelines: &[PipelineTotals]) -> Self {
        let mut sum = Self::default();
        for one in pipelines {
            sum.counts += one.counts;
            sum.pages += one.pages;
            sum.windows_opened += one.windows_opened;
            sum.windows_completed += one.windows_completed;
            sum.windows_provisional += one.windows_provisional;
            sum.windows_failed += one.windows_failed;
            sum.windows_unavailable += one.windows_unavailable;
        }
        sum
    }

    /// Whether no window was given up and no window is left for a later run. A window of an entity that the company does not
    /// have counts as neither.
    pub fn is_complete(&self) -> bool {
        self.windows_failed == 0 && self.windows_provisional == 0
    }
}
