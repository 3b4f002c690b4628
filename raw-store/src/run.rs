use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;

use crate::{Lease, Pipeline, StoreIdentity, Window, WindowCounts};

/// The name of a run: 1 to 64 ASCII letters, digits and dashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(Box<str>);

/// A text that cannot name a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run id is 1 to 64 letters, digits and dashes")]
pub struct InvalidRunId;

impl RunId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, InvalidRunId> {
        let sound =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if sound { Ok(Self(text.into())) } else { Err(InvalidRunId) }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a run sets out to do.
#[derive(Clone, Debug)]
pub struct RunStart {
    /// Its name.
    pub id: RunId,
    /// The company it reads.
    pub identity: StoreIdentity,
    /// The seed of every random choice in it.
    pub seed: u64,
    /// What it reads.
    pub pipelines: Vec<Pipeline>,
    /// From where to where.
    pub span: Window,
    /// The size of its windows, such as `day`.
    pub chunk: Box<str>,
    /// When it began, by our clock.
    pub started_at: OffsetDateTime,
    /// The right that it runs by, where it needs one, such as a trigger's: once that is lost, nothing is recorded.
    pub fence: Option<Lease>,
}

/// Who changes the log of a pipeline: a run, by right of a lease. Without the lease nothing is changed.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The run.
    pub run: &'a RunId,
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// The right to write for it.
    pub lease: &'a Lease,
    /// A right without which the run opens no windows, if it is part of something larger; see
    /// [`RunStart::fence`].
    pub fence: Option<&'a Lease>,
}

/// How a run stands. The words are those of `raw.backfill_run.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Under way, or killed before it could say how it ended.
    Running,
    /// Every window completed.
    Completed,
    /// Ended by itself with windows failed, provisional or with quarantine.
    Incomplete,
    /// Stopped by an error that no window could survive.
    Failed,
    /// Stopped by a person or a signal, cleanly.
    Stopped,
}

words! {
    RunStatus {
        Running => "running",
        Completed => "completed",
        Incomplete => "incomplete",
        Failed => "failed",
        Stopped => "stopped",
    }
}

impl RunStatus {
    /// Whether a run that ends so says that nothing of it is left to read.
    pub(crate) fn says_all_is_read(self) -> bool {
        matches!(self, Self::Completed | Self::Incomplete)
    }
}

/// How a run ended, and what it cost.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// How.
    pub status: RunStatus,
    /// Windows that the run has closed, as the log said just now. One that says of fewer was put back since, and refuses an end
    /// that says that all is read.
    pub closed: u64,
    /// Why, if not completed; our own words.
    pub message: Option<Box<str>>,
    /// When, by our clock.
    pub finished_at: OffsetDateTime,
    /// API calls made.
    pub calls: u64,
    /// Calls that were repeated.
    pub retries: u64,
    /// Time spent waiting for limits and back-off, in seconds.
    pub waited_seconds: f64,
    /// As in [`RunStart`].
    pub fence: Option<Lease>,
}

/// One pipeline's share of a run, summed in the page transactions, so that it is exact for a killed run too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineTotals {
    /// The pipeline's name in the log.
    pub entity_name: Box<str>,
    /// What became of the records.
    pub counts: WindowCounts,
    /// Pages committed.
    pub pages: u64,
    /// Windows the run opened.
    pub windows_opened: u64,
    /// Windows the run closed as completed.
    pub windows_completed: u64,
    /// Windows the run closed as provisional.
    pub windows_provisional: u64,
    /// Windows the run gave up.
    pub windows_failed: u64,
    /// Windows of something that the source does not have.
    pub windows_unavailable: u64,
}

/// A run as the log remembers it.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// Its name.
    pub id: RunId,
    /// The company it read.
    pub identity: StoreIdentity,
    /// The seed of its random choices.
    pub seed: u64,
    /// From where to where.
    pub span: Window,
    /// The size of its windows.
    pub chunk: Box<str>,
    /// How it stands.
    pub status: RunStatus,
    /// Why, if not completed.
    pub message: Option<Box<str>>,
    /// When it began.
    pub started_at: OffsetDateTime,
    /// When it ended.
    pub finished_at: Option<OffsetDateTime>,
    /// API calls made; zero until it has ended.
    pub calls: u64,
    /// Calls that were repeated.
    pub retries: u64,
    /// Time spent waiting, in seconds.
    pub waited_seconds: f64,
    /// Totals per pipeline, by name.
    pub pipelines: Vec<PipelineTotals>,
}
