//! What is stored of a company, and what was shown of it, when and by which method: the data of a certificate.

use std::collections::BTreeMap;

use raw_store::{
    LogFilter, LogLine, Pipeline, Store, StoreIdentity, TableDigest, TableDigests, TableName,
    VerificationRecord, Window, WindowState,
};
use time::OffsetDateTime;

use super::ReportError;
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
        let span = span(&lines.iter().collect::<Vec<_>>()).ok_or(ReportError::NoRuns)?;
        let issued_at = store.clock().await?;
        let refusals = store.refusals().await?;
        let mut verified = store.last_verifications().await?;
        let mut pipelines = Vec::new();
        for ((entity_name, time_axis), lines) in grouped(&lines) {
            let Some(span) = self::span(&lines) else { continue };
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
                never_read: gaps(&lines),
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

fn grouped(lines: &[LogLine]) -> BTreeMap<(&str, &str), Vec<&LogLine>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in lines {
        groups.entry((&*line.entity_name, &*line.time_axis)).or_default().push(line);
    }
    groups
}

/// Returns the ranges between the first and the last window that none of them covers.
fn gaps(lines: &[&LogLine]) -> Vec<Window> {
    let mut windows: Vec<_> = lines.iter().map(|line| line.window).collect();
    windows.sort_unstable();
    let mut gaps = Vec::new();
    let mut covered: Option<OffsetDateTime> = None;
    for window in windows {
        if let Some(gap) = covered.and_then(|end| Window::new(end, window.start()).ok()) {
            gaps.push(gap);
        }
        covered = Some(covered.map_or(window.end(), |end| end.max(window.end())));
    }
    gaps
}

fn span(lines: &[&LogLine]) -> Option<Window> {
    let start = lines.iter().map(|line| line.window.start()).min()?;
    let end = lines.iter().map(|line| line.window.end()).max()?;
    Window::new(start, end).ok()
}
