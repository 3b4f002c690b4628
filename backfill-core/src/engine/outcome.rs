use std::sync::Arc;

use qbo_client::Usage;
use raw_store::{PipelineTotals, RunId, RunRecord, RunStatus, WindowCounts};

use crate::clocks::ClockApart;
use crate::error::RunError;
use crate::scan::heads::RunHeads;

/// How a run ended.
#[derive(Debug)]
pub struct RunOutcome {
    /// The run as the log remembers it, with its totals.
    pub record: RunRecord,
    /// What reading cost.
    pub usage: Usage,
    /// Records of its pipelines and range that are open in quarantine now, whichever run put them there: neither resolved
    /// nor accepted.
    pub open_quarantine: u64,
    /// What stopped it, if something did. Everything committed before stays.
    pub failure: Option<RunError>,
    /// What it has learned of the records that it landed.
    pub(crate) heads: Arc<RunHeads>,
    /// The clock that is too far from the others, if one is: then what has not ended by the earliest of them is provisional.
    pub clock: Option<ClockApart>,
}

impl RunOutcome {
    /// The run's name.
    pub fn run(&self) -> &RunId {
        &self.record.id
    }

    /// How it ended.
    pub fn status(&self) -> RunStatus {
        self.record.status
    }

    /// The sum over its pipelines.
    pub fn totals(&self) -> Totals {
        Totals::of(&self.record.pipelines)
    }

    /// Whether no window was given up and nothing is open in quarantine.
    pub fn is_sound(&self) -> bool {
        self.totals().windows_failed == 0 && self.open_quarantine == 0
    }
}

/// Sums over pipelines.
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
    /// Sums up.
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

    /// Whether no window was given up and none is left for a later run. A window of an entity that the company does not
    /// have is neither.
    pub fn is_complete(&self) -> bool {
        self.windows_failed == 0 && self.windows_provisional == 0
    }
}
