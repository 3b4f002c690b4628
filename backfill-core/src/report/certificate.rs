//! What is stored of a company, and what was shown of it, when and by which method: the data of a certificate.

use raw_store::{
    LogFilter, Pipeline, Store, StoreIdentity, TableDigest, TableDigests, TableName, VerificationRecord,
    Window, WindowState,
};
use time::OffsetDateTime;

use super::ReportError;
use super::coverage::{by_pipeline, covered};
use crate::catalog::{Axis, Catalog, EntitySpec, RequestPart};

/// What is stored of a company, and what its verifications have shown. It states what is in the database at one time, and proves
/// nothing by itself.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The company.
    pub identity: StoreIdentity,
    /// When the tables were summed up, by the store's clock.
    pub issued_at: OffsetDateTime,
    /// From the start of the first window to the end of the last one, of all pipelines. Each pipeline has its own span, and may
    /// have gaps in it.
    pub span: Window,
    /// The pipelines that the log knows, in the order of names and time axes.
    pub pipelines: Vec<CertifiedPipeline>,
    /// The newest results of verifications that concern no pipeline of the log, such as a comparison with the source's reports
    /// as a whole.
    pub others: Vec<VerificationRecord>,
}

/// What a certificate says of one pipeline.
#[derive(Clone, Debug)]
pub struct CertifiedPipeline {
    /// The pipeline's name in the log, its table, and the time that its windows measure.
    pub pipeline: Pipeline,
    /// From the start of its first window to the end of its last one.
    pub span: Window,
    /// Windows that were read to their end.
    pub completed: u64,
    /// Windows that the company has nothing for, because it does not have the entity.
    pub unavailable: u64,
    /// Windows that are not read to their end, or ended too near to the time of reading.
    pub open: u64,
    /// Ranges between its windows that no window covers.
    pub never_read: Vec<Window>,
    /// The table's rows, and one digest over all of them.
    pub table: TableDigest,
    /// Records in quarantine, neither resolved nor accepted.
    pub open_quarantine: u64,
    /// Parts of its requests that QuickBooks refuses.
    pub left_out: Vec<RequestPart>,
    /// The newest result of its verifications by each method. They concern the time of the last update, whatever was read.
    pub verified: Vec<VerificationRecord>,
}

impl Certificate {
    /// Sums up all tables that the log knows.
    ///
    /// # Errors
    ///
    /// [`ReportError::NoRuns`] if nothing has been run; [`ReportError::Store`] if the store cannot be read.
    pub async fn issue<S: Store + TableDigests>(store: &S, catalog: &Catalog) -> Result<Self, ReportError> {
        let lines = store.lines(&LogFilter::default()).await?;
        let run = store.runs(1).await?.into_iter().next().ok_or(ReportError::NoRuns)?;
        let span = range(&covered(&lines)).ok_or(ReportError::NoRuns)?;
        let issued_at = store.clock().await?;
        let refusals = store.refusals().await?;
        let mut verified = store.last_verifications().await?;
        let mut pipelines = Vec::new();
        for ((entity_name, time_axis), lines) in by_pipeline(&lines) {
            let covered = covered(lines.iter().copied());
            let Some(span) = range(&covered) else { continue };
            let Ok(table) = format!("qb_{entity_name}").parse::<TableName>() else { continue };
            let pipeline = Pipeline { entity_name: entity_name.into(), table, time_axis: time_axis.into() };
            let axis: Axis = time_axis.parse().unwrap_or_default();
            let spec = catalog.find(entity_name).ok();
            let spec = spec.map(|spec| spec.clone().as_accepted(axis, &refusals, issued_at));
            let count = |states: &[WindowState]| {
                lines.iter().filter(|line| states.contains(&line.state)).count() as u64
            };
            let (completed, unavailable) =
                (count(&[WindowState::Completed]), count(&[WindowState::Unavailable]));
            pipelines.push(CertifiedPipeline {
                span,
                completed,
                unavailable,
                open: lines.len() as u64 - completed - unavailable,
                never_read: gaps(&covered),
                table: store.table_digest(&pipeline).await?,
                open_quarantine: store.open_quarantine(std::slice::from_ref(&pipeline), None).await?,
                left_out: spec.as_ref().map(EntitySpec::left_out).unwrap_or_default().to_vec(),
                verified: verified.iter().filter(|one| *one.entity_name == *entity_name).cloned().collect(),
                pipeline,
            });
        }
        verified.retain(|one| pipelines.iter().all(|known| known.pipeline.entity_name != one.entity_name));
        Ok(Self { identity: run.identity, issued_at, span, pipelines, others: verified })
    }
}

/// Returns the ranges between these spans.
fn gaps(spans: &[Window]) -> Vec<Window> {
    let between = |pair: &[Window]| Window::new(pair[0].end(), pair[1].start()).ok();
    spans.windows(2).filter_map(between).collect()
}

/// Returns the range from the start of the first of these spans to the end of the last.
fn range(spans: &[Window]) -> Option<Window> {
    let (first, last) = spans.first().zip(spans.last())?;
    Window::new(first.start(), last.end()).ok()
}
