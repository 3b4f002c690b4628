//! The identity of a run, what is recorded when it begins and ends, and its totals.

use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;

use crate::{Lease, Pipeline, StoreIdentity, Window, WindowCounts};

/// The name of a run: 1 to 64 ASCII letters, digits and dashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(Box<str>);

/// A text that is not a valid [`RunId`].
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

/// What a run is going to do, recorded when it begins.
#[derive(Clone, Debug)]
pub struct RunStart {
    /// Name of the run.
    pub id: RunId,
    /// Company that the run reads.
    pub identity: StoreIdentity,
    /// Seed of every random choice in the run.
    pub seed: u64,
    /// Pipelines that the run reads.
    pub pipelines: Vec<Pipeline>,
    /// Span of time that the run reads.
    pub span: Window,
    /// Size of the run's windows, such as `day`.
    pub chunk: Box<str>,
    /// When the run began, by our clock.
    pub started_at: OffsetDateTime,
    /// Additional lease that the run depends on, such as its trigger's. Once that lease is lost, nothing is recorded.
    pub fence: Option<Lease>,
}

/// Who changes the log of a pipeline: a run that holds its lease. Without the lease nothing is changed.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Run that makes the change.
    pub run: &'a RunId,
    /// Pipeline whose log lines change.
    pub pipeline: &'a Pipeline,
    /// Lease of the pipeline.
    pub lease: &'a Lease,
    /// Additional lease without which the run opens no windows, if the run is part of something larger; see
    /// [`RunStart::fence`].
    pub fence: Option<&'a Lease>,
}

/// State of a run. The words are those of `raw.backfill_run.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// In progress, or killed before it could record how it ended.
    Running,
    /// Every window was completed.
    Completed,
    /// Ended by itself, with failed or provisional windows or with documents in quarantine.
    Incomplete,
    /// Stopped by an error that affected every window.
    Failed,
    /// Stopped cleanly by a person or a signal.
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
    /// Whether this status says that the run has nothing left to read.
    pub(crate) fn says_all_is_read(self) -> bool {
        matches!(self, Self::Completed | Self::Incomplete)
    }
}

/// How a run ended, and what it cost.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// Final state of the run.
    pub status: RunStatus,
    /// Number of windows that the run has closed, as just read from the log. If the log now holds fewer, it was restored to an
    /// earlier state since, and an end that says that everything was read is refused.
    pub closed: u64,
    /// Reason, if the run was not completed, in our own words.
    pub message: Option<Box<str>>,
    /// Stable code of the error that ended the run, if one did.
    pub error_code: Option<Box<str>>,
    /// When the run ended, by our clock.
    pub finished_at: OffsetDateTime,
    /// Number of API calls made.
    pub calls: u64,
    /// Number of calls that were repeated.
    pub retries: u64,
    /// Time spent waiting for limits and back-off, in seconds.
    pub waited_seconds: f64,
    /// Additional lease that the run depends on; see [`RunStart::fence`].
    pub fence: Option<Lease>,
}

/// One pipeline's share of a run. The page transactions add it up, so it is exact for a killed run too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineTotals {
    /// Name of the pipeline in the log.
    pub entity_name: Box<str>,
    /// Records by what the store did with them.
    pub counts: WindowCounts,
    /// Pages committed.
    pub pages: u64,
    /// Windows that the run opened.
    pub windows_opened: u64,
    /// Windows that the run closed as completed.
    pub windows_completed: u64,
    /// Windows that the run closed as provisional.
    pub windows_provisional: u64,
    /// Windows that the run marked as failed.
    pub windows_failed: u64,
    /// Windows marked as unavailable, because the source does not have what they are of.
    pub windows_unavailable: u64,
}

/// A run as the log records it.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// Name of the run.
    pub id: RunId,
    /// Company that the run read.
    pub identity: StoreIdentity,
    /// Seed of the run's random choices.
    pub seed: u64,
    /// Span of time that the run read.
    pub span: Window,
    /// Size of the run's windows, such as `day`.
    pub chunk: Box<str>,
    /// State of the run.
    pub status: RunStatus,
    /// Reason, if the run was not completed.
    pub message: Option<Box<str>>,
    /// Stable code of the error that ended the run, if one did.
    pub error_code: Option<Box<str>>,
    /// When the run began.
    pub started_at: OffsetDateTime,
    /// When the run ended; `None` while it has not.
    pub finished_at: Option<OffsetDateTime>,
    /// Number of API calls made; zero until the run has ended.
    pub calls: u64,
    /// Number of calls that were repeated.
    pub retries: u64,
    /// Time spent waiting for limits and back-off, in seconds.
    pub waited_seconds: f64,
    /// Totals of each pipeline, sorted by name.
    pub pipelines: Vec<PipelineTotals>,
}
