//! The report of a run, rebuilt from the log.

mod certificate;
mod coverage;
pub(crate) mod finding_kind;

pub use self::certificate::{Certificate, CertifiedPipeline};
pub use self::coverage::by_pipeline;
pub use self::finding_kind::FindingKind;

use self::coverage::covered;

use std::time::Duration;

use raw_store::{
    LogFilter, LogLine, PipelineTotals, RunId, RunRecord, Severity, SourceRefusal, Store, StoreError,
    ValidationResult, VerificationRecord, Window, WindowState,
};
use time::OffsetDateTime;

use crate::catalog::{Axis, Catalog, EntitySpec, RequestPart, pipeline_name};
use crate::chunk::{ChunkSize, tile};

/// The number of runs that are searched for another one over the same windows.
const RUNS_LOOKED_THROUGH: u32 = 1000;

/// The final report of a run. It is rebuilt from the log, so a killed run has one too.
#[derive(Clone, Debug)]
pub struct Report {
    /// The run's record, with its totals.
    pub run: RunRecord,
    /// The report of each pipeline.
    pub pipelines: Vec<PipelineReport>,
    /// Another run that read the same windows of the same pipelines to their end, as this one did, if there is one: the first
    /// before it, or the last after it. What the later of the two found unchanged shows that reading again changes nothing.
    pub other: Option<RunRecord>,
    /// The findings of a validation of the rows; empty until a caller sets it.
    pub validated: Vec<ValidationResult>,
}

impl Report {
    /// Returns the number of records of the run's pipelines and range that are open in quarantine now.
    pub fn open_quarantine(&self) -> u64 {
        self.pipelines.iter().map(|one| one.open_quarantine).sum()
    }

    /// Returns the number of rows that the log has and the tables lack, where that is an error. It is a lower bound, because a
    /// long list of windows is cut.
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
    /// The pipeline's raw table.
    pub table: String,
    /// The time field that the pipeline's windows measure.
    pub axis: Axis,
    pub(crate) spec: Option<EntitySpec>,
    /// What this run did in the pipeline.
    pub totals: PipelineTotals,
    /// The windows of the run's range as they are now, whichever run read them, in ascending order.
    pub windows: Vec<LogLine>,
    /// The number of rows in the raw table now.
    pub rows: u64,
    /// Whether the table holds more rows than that: the report of a run counts no further than it needs to.
    pub has_more_rows: bool,
    /// Records of the run's range that are open in quarantine now, neither resolved nor accepted.
    pub open_quarantine: u64,
    /// The newest result of the pipeline's verifications by each method, as far as they concern the run's range.
    pub verified: Vec<VerificationRecord>,
}

/// How many of an entity's records are known to be stored with all their custom fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CustomFields {
    /// Records that were requested with all custom fields.
    pub whole: u64,
    /// All records.
    pub records: u64,
}

impl CustomFields {
    /// Returns the spans of time whose records were requested with all custom fields, in ascending order and apart from each
    /// other.
    pub fn spans<'a>(lines: impl IntoIterator<Item = &'a LogLine>) -> Vec<Window> {
        covered(lines.into_iter().filter(|line| line.all_fields && is_read(line)))
    }

    /// Counts the records of windows that were read to their end.
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a LogLine>) -> Self {
        lines.into_iter().filter(|line| is_read(line)).fold(Self::default(), |sum, line| {
            let records = line.metrics.records_read;
            Self {
                whole: sum.whole + if line.all_fields { records } else { 0 },
                records: sum.records + records,
            }
        })
    }
}

fn is_read(line: &LogLine) -> bool {
    matches!(line.state, WindowState::Completed | WindowState::Provisional)
}

/// Error of building a report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log has no run of this name.
    #[error("there is no run {0}")]
    UnknownRun(RunId),
    /// The log has no run at all.
    #[error("nothing has been run yet")]
    NoRuns,
}

impl Report {
    /// Rebuilds the report of a run, or of the newest run.
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

    /// Builds the report of a run without counting the rows of its tables, which takes longer the more rows there are.
    pub(crate) async fn of(
        store: &dyn Store,
        catalog: &Catalog,
        run: RunRecord,
    ) -> Result<Self, ReportError> {
        let refusals = store.refusals().await?;
        let mut verified = store.last_verifications().await?;
        verified.retain(|one| one.span.start() < run.span.end() && run.span.start() < one.span.end());
        // As of the end of the run: what it asked for does not change later.
        let at = run.finished_at.unwrap_or(run.started_at);
        let mut pipelines = Vec::new();
        for totals in &run.pipelines {
            let spec = catalog.find(&totals.entity_name).ok();
            let mut report = pipeline(store, (spec, &refusals, at), &run, totals).await?;
            let own = verified.iter().filter(|one| one.entity_name == totals.entity_name);
            report.verified.extend(own.cloned());
            pipelines.push(report);
        }
        let other = other(&run, store.runs(RUNS_LOOKED_THROUGH).await?);
        Ok(Self { run, pipelines, other, validated: Vec::new() })
    }
}

/// Finds the first run before this one, or the last after it, that read the same windows of the same pipelines.
fn other(run: &RunRecord, mut runs: Vec<RunRecord>) -> Option<RunRecord> {
    let names = |run: &RunRecord| run.pipelines.iter().map(|one| one.entity_name.clone()).collect::<Vec<_>>();
    // Each of the windows must have been read to its end: a run that resumed a stopped one has read other windows, and a run
    // that found nothing to do has read none.
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
    // The newest run comes first.
    let is_before = |one: &RunRecord| (one.started_at, &one.id) < (run.started_at, &run.id);
    let first = runs.iter().rposition(is_before);
    first.or(if runs.is_empty() { None } else { Some(0) }).map(|at| runs.swap_remove(at))
}

impl PipelineReport {
    /// Returns the number of windows in this state.
    pub fn count(&self, state: WindowState) -> usize {
        self.windows.iter().filter(|line| line.state == state).count()
    }

    /// Returns the parts of its requests that QuickBooks refuses.
    pub fn left_out(&self) -> &[RequestPart] {
        self.spec.as_ref().map_or(&[], EntitySpec::left_out)
    }

    /// Returns how many of the records read in the pipeline's windows are known to have all their custom fields. `None` for an
    /// entity whose custom fields are not requested.
    pub fn custom_fields(&self) -> Option<CustomFields> {
        self.spec.as_ref().filter(|spec| spec.has_custom_fields()).map(|_| CustomFields::of(&self.windows))
    }

    /// Returns the time spent on the pipeline's windows.
    pub fn duration(&self) -> Duration {
        self.windows.iter().map(|line| line.duration).sum()
    }

    /// Returns the number of records read in the pipeline's windows.
    pub fn records_read(&self) -> u64 {
        self.windows.iter().map(|line| line.metrics.records_read).sum()
    }
}

async fn pipeline(
    store: &dyn Store,
    (spec, refusals, at): (Option<&EntitySpec>, &[SourceRefusal], OffsetDateTime),
    run: &RunRecord,
    totals: &PipelineTotals,
) -> Result<PipelineReport, ReportError> {
    let filter = LogFilter {
        entity_name: Some(totals.entity_name.clone()),
        span: Some(run.span),
        ..LogFilter::default()
    };
    let mut windows = store.lines(&filter).await?;
    // The same range may also have been read with other chunk sizes or along another axis: those are other lines.
    let own = |line: &&LogLine| line.run.as_ref() == Some(&run.id);
    let axis = windows.iter().find(own).or(windows.first()).and_then(|line| line.time_axis.parse().ok());
    let axis: Axis = axis.unwrap_or_default();
    let spec = spec.map(|spec| spec.clone().as_accepted(axis, refusals, at));
    keep_own(&mut windows, run, axis, spec.as_ref());
    let open_quarantine = match &spec {
        Some(spec) => store.open_quarantine(&[spec.pipeline(axis)], Some(run.span)).await?,
        None => 0,
    };
    Ok(PipelineReport {
        pipeline: pipeline_name(&totals.entity_name),
        table: format!("qb_{}", totals.entity_name),
        axis,
        spec,
        totals: totals.clone(),
        windows,
        rows: 0,
        has_more_rows: false,
        open_quarantine,
        verified: Vec::new(),
    })
}

/// Keeps the lines of the run's range that the run accounts for.
fn keep_own(windows: &mut Vec<LogLine>, run: &RunRecord, axis: Axis, spec: Option<&EntitySpec>) {
    windows.retain(|line| &*line.time_axis == axis.as_str());
    match run.chunk.parse::<ChunkSize>() {
        Ok(chunk) => {
            let tiles = spec.map_or_else(|| tile(run.span, chunk), |spec| spec.windows(run.span, chunk));
            match tiles {
                Ok(tiles) => windows.retain(|line| tiles.binary_search(&line.window).is_ok()),
                // The run has more windows than are allowed today.
                Err(_) => windows.retain(|line| line.run.as_ref() == Some(&run.id)),
            }
        }
        // The run's windows were chosen one by one.
        Err(_) => windows.retain(|line| line.run.as_ref() == Some(&run.id)),
    }
}
