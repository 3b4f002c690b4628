//! The trait for the backfill log: runs, windows, and their counts.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use time::OffsetDateTime;

use crate::{Owner, RunEnd, RunId, RunRecord, RunStart, ScanCursor, StoreError, Window, WindowState};

/// Counts of one log line, summed over the pages of its last attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WindowMetrics {
    /// Records read: the sum of the other four record counts.
    pub records_read: u64,
    /// Rows inserted.
    pub records_inserted: u64,
    /// Rows replaced by another version.
    pub records_updated: u64,
    /// Rows that were already stored.
    pub records_unchanged: u64,
    /// Documents put into quarantine.
    pub records_quarantined: u64,
    /// Pages that held records of the window.
    pub pages_read: u64,
}

/// One line of the log: one pipeline, one axis, one window.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// Name of the pipeline in the log.
    pub entity_name: Box<str>,
    /// What the window measures, such as `updated`.
    pub time_axis: Box<str>,
    /// Window that the line accounts for.
    pub window: Window,
    /// State of the window.
    pub state: WindowState,
    /// Counts of the window's last attempt.
    pub metrics: WindowMetrics,
    /// Time spent on the window.
    pub duration: Duration,
    /// When the last attempt began.
    pub started_at: Option<OffsetDateTime>,
    /// When the window was closed or failed.
    pub finished_at: Option<OffsetDateTime>,
    /// Why the window failed or is unavailable.
    pub error_message: Option<Box<str>>,
    /// Stable code of the error with which it failed.
    pub error_code: Option<Box<str>>,
    /// Run that touched the window last.
    pub run: Option<RunId>,
    /// Number of runs that have tried the window.
    pub attempts: u32,
    /// When a count at the source confirmed the window's records; `None` if none has since it was read.
    pub counted_at: Option<OffsetDateTime>,
    /// Whether every page of the last attempt was requested with all fields that the source can include.
    pub all_fields: bool,
}

/// A window that a run has to read, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWindow {
    /// Window to read.
    pub window: Window,
    /// Where to resume; `None` means at the start of the window.
    pub cursor: Option<ScanCursor>,
}

/// Which windows a run reads again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reopen {
    /// Those that are not completed. A `running` window resumes at its cursor, and so does a `failed` one that has a cursor; a
    /// `provisional` or `unavailable` one starts over.
    Unfinished,
    /// All of them, from their start.
    All,
}

/// Which log lines to list. A line must match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Only lines of this pipeline.
    pub entity_name: Option<Box<str>>,
    /// Only windows that this run touched last.
    pub run: Option<RunId>,
    /// Only windows in this state.
    pub state: Option<WindowState>,
    /// Only windows that overlap this span.
    pub span: Option<Window>,
}

/// Independent confirmation, such as a count at the source, of windows that were read to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation<'a> {
    /// When the confirmation was given.
    pub at: OffsetDateTime,
    /// Number of records that the completed and running windows held in the log when it was compared with the source. If the
    /// log says otherwise now, it was restored to an earlier state since, and the call is refused with
    /// [`LogMoved`](crate::StoreErrorKind::LogMoved). `None` skips the check.
    pub records_read: Option<u64>,
    /// Windows that are still running, each with the run's page that read it to its end. If another page, or none, was the last
    /// to change a line, the log was restored since, and the call is refused as well.
    pub last_pages: &'a [(Window, u32)],
}

impl From<OffsetDateTime> for Confirmation<'_> {
    fn from(at: OffsetDateTime) -> Self {
        Self { at, records_read: None, last_pages: &[] }
    }
}

/// How windows change without a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowUpdate<'a> {
    /// Reopens windows that this run or an earlier one has closed, to read them once more: it is one more attempt, from their
    /// start, with counts from zero. Windows of an earlier run count as opened by this one.
    Reopen,
    /// Records that a count at the source has confirmed the windows, provided the log still holds what was counted. Windows of
    /// this run that are running are closed as completed with it; those in any other state but completed stay as they are.
    Counted(Confirmation<'a>),
    /// Closes as completed those windows of the run that are running and were confirmed by other means than a count. All others
    /// stay as they are.
    Confirmed(Confirmation<'a>),
    /// Marks windows as failed, with the reason in our own words. Counts and cursors stay.
    Failed(&'a WindowFailure),
    /// Marks windows as unavailable, with the reason in our own words: the source does not have what they are of.
    Unavailable(&'a WindowFailure),
}

/// The ledger of runs and windows (`raw.backfill_log` and the tables beside it).
///
/// # Contract
///
/// - Lines are changed only here and in [`PageSink::commit_page`](crate::PageSink::commit_page).
/// - **Fenced.** Only the owner of a pipeline changes its windows: a lease that has been taken over is refused with `LeaseLost`
///   and changes nothing.
/// - [`open_windows`](Self::open_windows) is idempotent: repeated in the same run, it returns the same windows and counts no
///   additional attempt.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait BackfillLog: fmt::Debug + Send + Sync {
    /// Records that a run has begun, with one line of totals per pipeline. A run that has begun before is resumed. The schema
    /// must be bound to the run's company.
    async fn begin_run(&self, run: &RunStart) -> Result<(), StoreError>;

    /// Records how a run ended. Its calls and waits are added to those recorded for it before.
    async fn finish_run(&self, run: &RunId, end: &RunEnd) -> Result<(), StoreError>;

    /// Makes sure that every window has its line, and returns the windows to read, in ascending order.
    ///
    /// An opened window belongs to the run from now on: its `attempts` grow by one, and its message is cleared. Counts and
    /// times start from zero unless the window resumes at a cursor. Windows that the run itself has closed are not returned.
    async fn open_windows<'a>(
        &self,
        owner: Owner<'a>,
        windows: &[Window],
        reopen: Reopen,
    ) -> Result<Vec<OpenWindow>, StoreError>;

    /// Changes windows without a page: reopens them, or closes them as `update` says. Windows without a line are refused with
    /// `LogMoved`, unless the update confirms.
    async fn update_windows<'a>(
        &self,
        owner: Owner<'a>,
        windows: &[Window],
        update: WindowUpdate<'a>,
    ) -> Result<(), StoreError>;

    /// Lists the log lines that match, sorted by entity, axis and window.
    async fn lines(&self, filter: &LogFilter) -> Result<Vec<LogLine>, StoreError>;

    /// Lists runs, newest first, at most `limit`.
    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError>;

    /// Looks up one run; `None` if the log does not know it.
    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>, StoreError>;

    /// Asks a run to stop; the process of the run has to poll for it. Returns whether the run is in progress. `by` says who asks.
    async fn request_stop(&self, run: &RunId, by: &str) -> Result<bool, StoreError>;

    /// Whether the run has been asked to stop since it began.
    async fn stop_requested(&self, run: &RunId) -> Result<bool, StoreError>;

    /// Number of the last page that a run has committed for a pipeline, 0 if none. A resumed run continues the numbering from
    /// there, because a page of the same number is the same page.
    async fn last_page(&self, run: &RunId, entity_name: &str) -> Result<u32, StoreError>;
}

/// Why and when windows failed, or turned out to be unavailable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowFailure {
    /// The reason, in our own words.
    pub message: Box<str>,
    /// Stable code of the error, if there was one.
    pub error_code: Option<Box<str>>,
    /// When it happened, by our clock.
    pub at: OffsetDateTime,
}
