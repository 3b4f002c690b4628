//! The report of a run, rebuilt from the log.

pub(crate) mod finding_kind;

pub use self::finding_kind::FindingKind;

use std::time::Duration;

use raw_store::{
    LogFilter, LogLine, PipelineTotals, RunId, RunRecord, Severity, Store, StoreError, ValidationResult,
    WindowState,
};

use crate::catalog::{Axis, Catalog, EntitySpec};
use crate::chunk::{ChunkSize, tile};

/// How many runs another one over the same windows is looked for in.
const RUNS_LOOKED_THROUGH: u32 = 1000;

/// The final report of a run, rebuilt from the log: a killed run has one too.
#[derive(Clone, Debug)]
pub struct Report {
    /// The run, with its totals.
    pub run: RunRecord,
    /// Per pipeline.
    pub pipelines: Vec<PipelineReport>,
    /// Another run that read the same windows of the same pipelines to their end, as this one did, if there is one: the first
    /// before it, or the last after it.
    /// What the later of the two found unchanged shows that reading again changes nothing.
    pub other: Option<RunRecord>,
    /// What an examination of the rows found; empty until somebody puts it here.
    pub validated: Vec<ValidationResult>,
}

impl Report {
    /// Records of the run's pipelines and range that are open in quarantine now.
    pub fn open_quarantine(&self) -> u64 {
        self.pipelines.iter().map(|one| one.open_quarantine).sum()
    }

    /// Rows that the log has and the tables lack, where that is an error: at least so many, because a long list of windows
    /// is cut.
    pub fn rows_missing(&self) -> u64 {
        let findings = self.validated.iter().flat_map(|one| &one.findings);
        let missing = findings.filter(|finding| {
            finding.severity == Severity::Error && *finding.kind == *FindingKind::RowsMissing.as_str()
        });
        missing.map(|finding| finding.amount).sum()
    }
}

/// One pipeline's part of a report.
#[derive(Clone, Debug)]
pub struct PipelineReport {
    /// The pipeline's name.
    pub pipeline: String,
    /// Its raw table.
    pub table: String,
    /// What its windows measure.
    pub axis: Axis,
    pub(crate) spec: Option<EntitySpec>,
    /// What this run did.
    pub totals: PipelineTotals,
    /// The windows of the run's range as they stand now, whichever run read them, in ascending order.
    pub windows: Vec<LogLine>,
    /// Rows in the raw table now.
    pub rows: u64,
    /// Whether it holds more than that: a run counts no further than it needs to.
    pub has_more_rows: bool,
    /// Records of the run's range that are open in quarantine now: neither resolved nor accepted.
    pub open_quarantine: u64,
}

/// A report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such run.
    #[error("there is no run {0}")]
    UnknownRun(RunId),
    /// There is no run at all.
    #[error("nothing has been run yet")]
    NoRuns,
}

impl Report {
    /// Rebuilds the report of a run, or of the newest one.
    ///
    /// # Errors
    ///
    /// [`ReportError`] if there is no such run or the log cannot be read.
    pub async fn build(
        store: &dyn Store,
        catalog: &Catalog,
        run: Option<&RunId>,
    ) -> Result<Self, ReportError> {
        let run = match run {
            Some(id) => store.run(id).await?.ok_or_else(|| ReportError::UnknownRun(id.clone()))?,
            None => store.runs(1).await?.into_iter().next().ok_or(ReportError::NoRuns)?,
        };
        let mut report = Self::of(store, catalog, run).await?;
        for pipeline in &mut report.pipelines {
            if let Some(spec) = &pipeline.spec {
                pipeline.rows = store.count_rows(&spec.pipeline(pipeline.axis)).await?;
            }
        }
        Ok(report)
    }

    /// The report of a run without the rows of its tables: counting all of them takes as long as they are many.
    pub(crate) async fn of(
        store: &dyn Store,
        catalog: &Catalog,
        run: RunRecord,
    ) -> Result<Self, ReportError> {
        let mut pipelines = Vec::new();
        for totals in &run.pipelines {
            pipelines.push(pipeline(store, catalog, &run, totals).await?);
        }
        let other = other(&run, store.runs(RUNS_LOOKED_THROUGH).await?);
        Ok(Self { run, pipelines, other, validated: Vec::new() })
    }
}

/// Of the runs that read the same windows of the same pipelines: the first before this one, or the last after it.
fn other(run: &RunRecord, mut runs: Vec<RunRecord>) -> Option<RunRecord> {
    let names = |run: &RunRecord| run.pipelines.iter().map(|one| one.entity_name.clone()).collect::<Vec<_>>();
    // Each of the windows, to its end: a run that went on where another one stopped has read other windows, and one that
    // found nothing to do has read none.
    let has_read = |run: &RunRecord| {
        let closed = |one: &PipelineTotals| {
            one.windows_completed + one.windows_provisional + one.windows_unavailable == one.windows_opened
        };
        run.pipelines.iter().all(closed) && run.pipelines.iter().any(|one| one.windows_opened > 0)
    };
    let opened = |run: &RunRecord| run.pipelines.iter().map(|one| one.windows_opened).collect::<Vec<_>>();
    if !has_read(run) {
        return None;
    }
    runs.retain(|one| {
        one.id != run.id
            && opened(one) == opened(run)
            && one.span == run.span
            && one.chunk == run.chunk
            && names(one) == names(run)
            && has_read(one)
    });
    // The newest comes first.
    let is_before = |one: &RunRecord| (one.started_at, &one.id) < (run.started_at, &run.id);
    let first = runs.iter().rposition(is_before);
    first.or(if runs.is_empty() { None } else { Some(0) }).map(|at| runs.swap_remove(at))
}

impl PipelineReport {
    /// How many of its windows stand in this state.
    pub fn count(&self, state: WindowState) -> usize {
        self.windows.iter().filter(|line| line.state == state).count()
    }

    /// Time spent on its windows.
    pub fn duration(&self) -> Duration {
        self.windows.iter().map(|line| line.duration).sum()
    }

    /// Records read in its windows.
    pub fn records_read(&self) -> u64 {
        self.windows.iter().map(|line| line.metrics.records_read).sum()
    }
}

async fn pipeline(
    store: &dyn Store,
    catalog: &Catalog,
    run: &RunRecord,
    totals: &PipelineTotals,
) -> Result<PipelineReport, ReportError> {
    let filter = LogFilter {
        entity_name: Some(totals.entity_name.clone()),
        span: Some(run.span),
        ..LogFilter::default()
    };
    let mut windows = store.lines(&filter).await?;
    // The same range may also have been read by other chunks or along another axis: those are other lines.
    let own = |line: &&LogLine| line.run.as_ref() == Some(&run.id);
    let axis = windows.iter().find(own).or(windows.first()).and_then(|line| line.time_axis.parse().ok());
    let axis: Axis = axis.unwrap_or_default();
    let spec = catalog.find(&totals.entity_name).ok();
    keep_own(&mut windows, run, axis, spec);
    let open_quarantine = match spec {
        Some(spec) => store.open_quarantine(&[spec.pipeline(axis)], Some(run.span)).await?,
        None => 0,
    };
    Ok(PipelineReport {
        pipeline: format!("qb_{}_backfill", totals.entity_name),
        table: format!("qb_{}", totals.entity_name),
        axis,
        spec: spec.cloned(),
        totals: totals.clone(),
        windows,
        rows: 0,
        has_more_rows: false,
        open_quarantine,
    })
}

/// Leaves the lines of the run's range that it accounts for.
fn keep_own(windows: &mut Vec<LogLine>, run: &RunRecord, axis: Axis, spec: Option<&EntitySpec>) {
    windows.retain(|line| &*line.time_axis == axis.as_str());
    match run.chunk.parse::<ChunkSize>() {
        Ok(chunk) => {
            let tiles = spec.map_or_else(|| tile(run.span, chunk), |spec| spec.windows(run.span, chunk));
            match tiles {
                Ok(tiles) => windows.retain(|line| tiles.binary_search(&line.window).is_ok()),
                // One of more windows than are taken today.
                Err(_) => windows.retain(|line| line.run.as_ref() == Some(&run.id)),
            }
        }
        // Its windows were chosen one by one.
        Err(_) => windows.retain(|line| line.run.as_ref() == Some(&run.id)),
    }
}
