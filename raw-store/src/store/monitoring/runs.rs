//! The trait that shows runs: a page of them, and how far one is.

#![cfg_attr(feature = "mock", allow(clippy::ref_option_ref, reason = "the mock is generated"))]

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{AsOf, PipelineTotals, RunId, RunRecord, RunStatus, StoreError};

/// Which runs to show. A run must match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only runs in this state.
    pub status: Option<RunStatus>,
    /// Only runs that read this pipeline.
    pub entity_name: Option<Box<str>>,
}

/// The position of a run in the order of their starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunKey {
    /// When the run began.
    pub started_at: OffsetDateTime,
    /// Name of the run.
    pub id: RunId,
}

impl From<&RunRecord> for RunKey {
    fn from(run: &RunRecord) -> Self {
        Self { started_at: run.started_at, id: run.id.clone() }
    }
}

/// A request that a run stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopRequest {
    /// When the run was first asked to stop, by the store's clock.
    pub at: OffsetDateTime,
    /// Who asked, if that was recorded.
    pub by: Option<Box<str>>,
}

/// How far a run is.
#[derive(Clone, Debug)]
pub struct RunProgress {
    /// The run, with the totals of each pipeline. Its `calls` are zero until it has ended.
    pub run: RunRecord,
    /// The request to stop, if there is one.
    pub stop: Option<StopRequest>,
    /// How far each pipeline is, sorted by name.
    pub pipelines: Vec<PipelineProgress>,
}

/// How far a run is with one pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineProgress {
    /// What the pipeline's windows measure, such as `updated`.
    pub time_axis: Box<str>,
    /// Pages, records by outcome, and windows of the run.
    pub totals: PipelineTotals,
    /// Windows that the run has still open.
    pub windows_left: u64,
    /// Time that those windows cover, without what lies before their cursors.
    pub time_left: Duration,
    /// The furthest instant that a scan has reached inside an open window.
    pub cursor: Option<OffsetDateTime>,
    /// When the last page was committed, by the clock of the run.
    pub last_page_at: Option<OffsetDateTime>,
    /// The pace of the last pages; `None` before the first page.
    pub recent: Option<RecentPages>,
}

/// The pace of the last pages of a pipeline, from which the time left can be estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentPages {
    /// Number of pages, at most 20.
    pub pages: u32,
    /// Time from the commit before them, or from the start of the run, to the commit of the last one.
    pub elapsed: Duration,
    /// Time of the source's records that they cover at most: that of the windows that these pages changed last, up to their
    /// cursors.
    pub covered: Duration,
}

/// Shows runs.
///
/// # Contract
///
/// - **Read only**, and each answer is one snapshot.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RunReader: fmt::Debug + Send + Sync {
    /// Lists the runs that match, newest first: at most `limit` of them that began before `before`. Fewer than `limit` mean that
    /// there are no more.
    async fn page_of_runs<'a>(
        &self,
        filter: &RunFilter,
        before: Option<&'a RunKey>,
        limit: u32,
    ) -> Result<AsOf<Vec<RunRecord>>, StoreError>;

    /// Shows how far a run is; `None` if the log does not know it.
    async fn progress(&self, run: &RunId) -> Result<AsOf<Option<RunProgress>>, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn RunReader) = |_| ();
