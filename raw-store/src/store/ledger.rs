use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use time::OffsetDateTime;

use crate::{Owner, RunEnd, RunId, RunRecord, RunStart, ScanCursor, StoreError, Window, WindowState};

/// The counts of one log line, summed over the pages of its last attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WindowMetrics {
    /// Records read: the sum of the other four counts.
    pub records_read: u64,
    /// Rows inserted.
    pub records_inserted: u64,
    /// Rows replaced.
    pub records_updated: u64,
    /// Rows found as they were.
    pub records_unchanged: u64,
    /// Documents in quarantine.
    pub records_quarantined: u64,
    /// Pages that held records of the window.
    pub pages_read: u64,
}

/// One line of the log: one pipeline, one axis, one window.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// The pipeline's name in the log.
    pub entity_name: Box<str>,
    /// What the window measures.
    pub time_axis: Box<str>,
    /// The window.
    pub window: Window,
    /// Where it stands.
    pub state: WindowState,
    /// Its counts.
    pub metrics: WindowMetrics,
    /// Time spent on it.
    pub duration: Duration,
    /// When its last attempt began.
    pub started_at: Option<OffsetDateTime>,
    /// When it was closed or failed.
    pub finished_at: Option<OffsetDateTime>,
    /// Why it failed or is unavailable.
    pub error_message: Option<Box<str>>,
    /// The run that touched it last.
    pub run: Option<RunId>,
    /// How many runs have tried it.
    pub attempts: u32,
    /// When a count at the source confirmed what it holds; `None` if that has not happened since it was read.
    pub counted_at: Option<OffsetDateTime>,
}

/// A window that a run has to read, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWindow {
    /// The window.
    pub window: Window,
    /// Where to go on; `None` means from its start.
    pub cursor: Option<ScanCursor>,
}

/// Which windows a run reads again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reopen {
    /// Those that are not completed. A `running` one goes on at its cursor; a `failed` one does too if it has
    /// a cursor; a `provisional` or `unavailable` one starts over.
    Unfinished,
    /// All of them, from their start.
    All,
}

/// Which log lines to list. Every given part must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Only this pipeline.
    pub entity_name: Option<Box<str>>,
    /// Only windows that this run touched last.
    pub run: Option<RunId>,
    /// Only windows in this state.
    pub state: Option<WindowState>,
    /// Only windows that share an instant with this span.
    pub span: Option<Window>,
}

/// The second witness of windows that were read to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation<'a> {
    /// When it spoke.
    pub at: OffsetDateTime,
    /// How many records the log said were read in the windows that are completed or still run, when it was compared with the
    /// source. A log that says otherwise now was put back since, and refuses with
    /// [`LogMoved`](crate::StoreErrorKind::LogMoved). `None` compares nothing.
    pub records_read: Option<u64>,
    /// Windows that still run, and the page of the run that read each to its end. A line that another page, or none, has
    /// changed last was put back since, and refuses as well.
    pub last_pages: &'a [(Window, u32)],
}

impl From<OffsetDateTime> for Confirmation<'_> {
    fn from(at: OffsetDateTime) -> Self {
        Self { at, records_read: None, last_pages: &[] }
    }
}

/// The ledger of runs and windows (`raw.backfill_log` and its neighbours).
///
/// # Contract
///
/// - Lines are changed only here and in [`RawStore::commit_page`](crate::RawStore::commit_page).
/// - **Fenced.** Windows are changed by the owner of their pipeline alone: a lease that has been taken over is refused
///   with `LeaseLost` and changes nothing.
/// - [`open_windows`](Self::open_windows) is idempotent: asked again in the same run it answers the same and
///   counts no further attempt.
#[async_trait]
pub trait BackfillLog: fmt::Debug + Send + Sync {
    /// Records that a run has begun, with one line of totals per pipeline; one that has begun before goes on. The schema
    /// must be bound to the run's company.
    async fn begin_run(&self, run: &RunStart) -> Result<(), StoreError>;

    /// Records how a run ended. Its calls and waits come to those that it is known to have cost before.
    async fn finish_run(&self, run: &RunId, end: &RunEnd) -> Result<(), StoreError>;

    /// Makes sure that every window has its line, and returns those to read, in ascending order.
    ///
    /// A window that is opened belongs to the run from now on, its `attempts` grow by one and its message is
    /// cleared. Counts and times start from zero unless it goes on at a cursor. A window that the run itself
    /// has closed is not among the answer.
    async fn open_windows(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        reopen: Reopen,
    ) -> Result<Vec<OpenWindow>, StoreError>;

    /// Takes windows back that the run itself or an earlier one has closed, to read them once more: one more attempt, from
    /// their start, with counts from zero. Those of an earlier run count as opened by this one.
    async fn reopen_windows(&self, owner: Owner<'_>, windows: &[Window]) -> Result<(), StoreError>;

    /// Notes that a count at the source has confirmed these windows, if the log still holds what was counted. Those that are running and belong to the run are closed
    /// as completed with it; those in any other state but completed stay as they are.
    async fn note_counted(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        confirmed: Confirmation<'_>,
    ) -> Result<(), StoreError>;

    /// Closes windows as completed that are running and belong to the run, and that were confirmed by another answer than
    /// a count. All others stay as they are.
    async fn close_windows(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        confirmed: Confirmation<'_>,
    ) -> Result<(), StoreError>;

    /// Marks windows as failed, with the reason in our own words. Counts and cursors stay.
    async fn fail_windows(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        failure: &WindowFailure,
    ) -> Result<(), StoreError>;

    /// Marks windows as unavailable, with the reason in our own words: the source does not have what they are of.
    async fn mark_unavailable(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        reason: &WindowFailure,
    ) -> Result<(), StoreError>;

    /// Lists log lines by entity, axis and window.
    async fn lines(&self, filter: &LogFilter) -> Result<Vec<LogLine>, StoreError>;

    /// The newest runs first, at most `limit`.
    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError>;

    /// One run.
    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>, StoreError>;

    /// Asks a run to stop; its process has to look. Whether it is under way.
    async fn request_stop(&self, run: &RunId) -> Result<bool, StoreError>;

    /// Whether somebody asked a run to stop since it began.
    async fn stop_requested(&self, run: &RunId) -> Result<bool, StoreError>;

    /// The number of the last page that a run has landed for a pipeline, 0 if none: a run that goes on numbers its pages
    /// from there, for a page of the same number is the same page.
    async fn last_page(&self, run: &RunId, entity_name: &str) -> Result<u32, StoreError>;
}

/// Why and when windows failed, or proved to be unavailable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowFailure {
    /// The reason, in our own words.
    pub message: Box<str>,
    /// When, by our clock.
    pub at: OffsetDateTime,
}
