//! The trait that shows which time the log covers, by month, as stretches and line by line.

#![cfg_attr(feature = "mock", allow(clippy::ref_option_ref, reason = "the mock is generated"))]

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use time::Month;

use crate::{AsOf, LogLine, RunId, StoreError, Window, WindowState};

/// The windows of one pipeline in one calendar month that have the same state and the same proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageMonth {
    /// Name of the pipeline in the log.
    pub entity_name: Box<str>,
    /// What the windows measure, such as `updated`.
    pub time_axis: Box<str>,
    /// Year of the month, in the requested time zone.
    pub year: i32,
    /// Month of that year.
    pub month: Month,
    /// State of the windows.
    pub state: WindowState,
    /// Whether a count at the source has confirmed the records of the windows.
    pub counted: bool,
    /// Number of windows.
    pub windows: u64,
    /// Time that the windows cover. Windows of several sizes may cover the same time; it then counts for each of them.
    pub covered: Duration,
    /// Records read in the last attempt of each window.
    pub records_read: u64,
    /// Rows inserted in the last attempt of each window.
    pub records_inserted: u64,
}

/// Time without a gap that the windows of one pipeline cover, whatever their states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageStretch {
    /// Name of the pipeline in the log.
    pub entity_name: Box<str>,
    /// What the windows measure, such as `updated`.
    pub time_axis: Box<str>,
    /// From the start of the first window to the end of the last one.
    pub span: Window,
}

/// The rows that all runs together have inserted for one pipeline. The store never deletes rows, so this is their number as far as
/// the runs' own totals go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsertedRows {
    /// Name of the pipeline in the log.
    pub entity_name: Box<str>,
    /// Rows inserted.
    pub rows: u64,
}

/// Which lines of the log to show. A line must match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineFilter {
    /// Only lines of this pipeline.
    pub entity_name: Option<Box<str>>,
    /// Only windows that measure this.
    pub time_axis: Option<Box<str>>,
    /// Only windows in this state.
    pub state: Option<WindowState>,
    /// Only completed windows that no count at the source has confirmed.
    pub unconfirmed: bool,
    /// Only windows that this run touched last.
    pub run: Option<RunId>,
    /// Only windows that overlap this span.
    pub span: Option<Window>,
}

/// The position of a line in the order of the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineKey {
    /// Name of the pipeline in the log.
    pub entity_name: Box<str>,
    /// What the window measures.
    pub time_axis: Box<str>,
    /// The window of the line.
    pub window: Window,
}

impl From<&LogLine> for LineKey {
    fn from(line: &LogLine) -> Self {
        Self { entity_name: line.entity_name.clone(), time_axis: line.time_axis.clone(), window: line.window }
    }
}

/// Shows which time the log covers.
///
/// # Contract
///
/// - **Read only**, and from the log alone: no raw table is read.
/// - Each answer is one snapshot.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait CoverageReader: fmt::Debug + Send + Sync {
    /// Sums up the log by pipeline, axis and calendar month of the time zone `zone` (an IANA name such as `America/Guayaquil`),
    /// sorted by these, then by state and proof.
    ///
    /// A window of at most 31 days counts in the month that contains its middle. A longer window counts in each month that it
    /// touches, with the time that it covers there, and its records in the first of them. A zone that the store does not know is
    /// refused with `Configuration`; a store in memory knows UTC alone.
    async fn months(&self, zone: &str) -> Result<AsOf<Vec<CoverageMonth>>, StoreError>;

    /// Finds the stretches of time that the log covers without a gap, sorted by pipeline, axis and time. What lies between two
    /// stretches of a pipeline was never planned.
    async fn stretches(&self) -> Result<AsOf<Vec<CoverageStretch>>, StoreError>;

    /// The rows that runs have inserted for each pipeline, sorted by name.
    async fn inserted_rows(&self) -> Result<AsOf<Vec<InsertedRows>>, StoreError>;

    /// Lists the log lines that match, in the order of [`LineKey`]: at most `limit` of them behind `after`. Fewer than `limit`
    /// mean that there are no more.
    async fn page_of_lines<'a>(
        &self,
        filter: &LineFilter,
        after: Option<&'a LineKey>,
        limit: u32,
    ) -> Result<AsOf<Vec<LogLine>>, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn CoverageReader) = |_| ();
