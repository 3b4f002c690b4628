//! A store that commits nothing: it compares pages with what is stored, and keeps a log of its own in memory. A run over it
//! reads everything that a run reads, with as many permits and past the same obstacles, and cannot change anything.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use raw_store::{
    BackfillLog, Bytes, Confirmation, Deviation, Lease, LogFilter, LogLine, MemoryStore, OpenWindow, Owner,
    PageCommit, PageComparison, PageOutcome, Pipeline, Quarantine, Quarantined, RawInspection, RawStore,
    Reopen, RunEnd, RunId, RunRecord, RunStart, StoreError, StoreIdentity, Window, WindowCounts,
    WindowUpdate,
};
use time::OffsetDateTime;

use super::outcome::VerifiedPipeline;
use crate::catalog::EntitySpec;
use crate::event::{Emitter, RunEventKind};
use crate::id_hash::id_hash;
use crate::mismatch::{Mismatch, MismatchKind};
use crate::plan::RunRequest;
use crate::scan::undeliverable_record::UNREADABLE;

/// A store that compares each page with the stored rows instead of writing it, and keeps its log in memory.
#[derive(Debug)]
pub(crate) struct ComparingStore {
    log: MemoryStore,
    rows: Arc<dyn RawInspection>,
    events: Emitter,
    found: Mutex<BTreeMap<Box<str>, Found>>,
}

/// What was found of one pipeline, and what is needed to find the rest.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) verified: VerifiedPipeline,
    /// QBO's clock at its last response.
    pub(crate) answered_at: Option<OffsetDateTime>,
    /// A hash of each record that QBO delivered: eight bytes, because there may be millions.
    pub(crate) met: Vec<u64>,
    /// The windows of records that QBO could not deliver.
    unreadable: Vec<Window>,
    /// Records read in each window: the log has no documents to count.
    read: HashMap<Window, u64>,
    /// Windows that are read again; records met before are compared only once.
    again: HashSet<Window>,
    met_before: HashSet<u64>,
}

impl Found {
    fn new(spec: &EntitySpec, span: Window) -> Self {
        Self {
            verified: VerifiedPipeline::new(spec, span),
            answered_at: None,
            met: Vec::new(),
            unreadable: Vec::new(),
            read: HashMap::new(),
            again: HashSet::new(),
            met_before: HashSet::new(),
        }
    }

    /// Counts the documents of a page for their windows, and returns those that were not compared before.
    fn count(&mut self, page: &PageCommit) -> PageCommit {
        let window = |place: usize| page.windows[place].window;
        for place in page.rows.iter().map(|row| row.window).chain(page.rejected.iter().map(|row| row.window))
        {
            *self.read.entry(window(place)).or_default() += 1;
        }
        let is_known =
            |place, mark: u64| self.again.contains(&window(place)) && self.met_before.contains(&mark);
        let mut fresh = page.clone();
        fresh.rows.retain(|row| !is_known(row.window, id_hash(&row.id)));
        fresh.rejected.retain(|row| !is_known(row.window, id_hash(&row.raw)));
        self.met.extend(fresh.rows.iter().map(|row| id_hash(&row.id)));
        self.met.extend(fresh.rejected.iter().map(|row| id_hash(&row.raw)));
        fresh
    }

    /// Adds to the windows to read again those between two of them that hold no more than a page: a range costs a request and a
    /// count, however short it is.
    pub(crate) fn bridge(&mut self, windows: &[Window], page: u64) {
        let again = &mut self.verified.read_again;
        let (mut between, mut records) = (Vec::new(), None::<u64>);
        for window in windows {
            let read = self.read.get(window).copied().unwrap_or(0);
            if again.contains(window) {
                if records.is_some_and(|records| records <= page) {
                    again.extend(between.drain(..));
                }
                between.clear();
                records = Some(0);
            } else if let Some(records) = &mut records {
                between.push(*window);
                *records += read;
            }
        }
    }

    /// Notes that windows are read again from their start.
    fn read_again(&mut self, windows: &[Window]) {
        self.read.retain(|window, _| !windows.contains(window));
        self.again.extend(windows);
        self.met_before = self.met.iter().copied().collect();
    }

    /// Notes a mismatch, and emits it.
    pub(crate) fn note(&mut self, events: &Emitter, difference: Mismatch) {
        match difference.kind {
            MismatchKind::Missing => self.verified.missing += 1,
            MismatchKind::Changed => self.verified.changed += 1,
            MismatchKind::Gone => self.verified.gone += 1,
        }
        self.verified.read_again.extend(difference.window);
        events.emit(RunEventKind::Mismatch(difference));
    }

    pub(crate) fn has_unreadable(&self) -> bool {
        !self.unreadable.is_empty()
    }

    /// Compares the records that QBO could not deliver with those of earlier runs: by their windows, or by their number if the
    /// earlier runs measured another time.
    pub(crate) fn know_unreadable(&mut self, events: &Emitter, known: Vec<Quarantined>, axis: &str) {
        let mut known: Vec<_> = known
            .into_iter()
            .filter(|one| one.resolved_at.is_none() && one.reason.starts_with(UNREADABLE))
            .map(|one| (one.time_axis.as_deref() == Some(axis)).then_some(one.window))
            .collect();
        for window in std::mem::take(&mut self.unreadable) {
            let here = |known: &Option<Window>| known.is_some_and(|known| known.overlaps(window));
            let place = known.iter().position(here).or_else(|| known.iter().position(Option::is_none));
            if let Some(place) = place {
                known.swap_remove(place);
                self.verified.quarantined += 1;
                continue;
            }
            let (pipeline, kind) = (self.verified.pipeline.clone(), MismatchKind::Missing);
            self.note(events, Mismatch { pipeline, kind, id: None, window: Some(window), deleted_at: None });
        }
    }

    /// Notes the result of comparing a page.
    pub(crate) fn enter(&mut self, events: &Emitter, page: &PageCommit, comparison: PageComparison) {
        self.verified.same += comparison.same;
        self.verified.quarantined += comparison.quarantined;
        let both = [(MismatchKind::Missing, comparison.missing), (MismatchKind::Changed, comparison.changed)];
        for (kind, deviations) in both {
            for Deviation { id, window } in deviations {
                let (pipeline, window) = (self.verified.pipeline.clone(), Some(page.windows[window].window));
                self.note(events, Mismatch { pipeline, kind, id, window, deleted_at: None });
            }
        }
    }
}

impl ComparingStore {
    pub(crate) fn new(rows: Arc<dyn RawInspection>, events: Emitter, request: &RunRequest) -> Self {
        let found = |spec: &EntitySpec| (spec.entity_name().into(), Found::new(spec, request.span));
        let found = Mutex::new(request.entities.iter().map(found).collect());
        Self { log: MemoryStore::new(), rows, events, found }
    }

    /// Takes what was found of an entity.
    pub(crate) fn take(&self, spec: &EntitySpec) -> Option<Found> {
        self.found().remove(spec.entity_name())
    }

    fn found(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RawStore for ComparingStore {
    async fn bind(&self, identity: &StoreIdentity) -> Result<(), StoreError> {
        self.log.bind(identity).await
    }

    async fn identity(&self) -> Result<Option<StoreIdentity>, StoreError> {
        self.log.identity().await
    }

    async fn prepare(&self, pipeline: &Pipeline) -> Result<(), StoreError> {
        self.log.prepare(pipeline).await
    }

    async fn acquire(&self, pipeline: &Pipeline, holder: &str) -> Result<Lease, StoreError> {
        self.log.acquire(pipeline, holder).await
    }

    async fn lost(&self, lease: &Lease) -> StoreError {
        self.log.lost(lease).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.log.release(lease).await
    }

    /// Commits the page to the log without its documents, so the log counts none: they are counted here, as read and unchanged.
    /// A page that is committed once more, because the first attempt failed, has not been noted yet.
    async fn commit_page(&self, page: &PageCommit) -> Result<PageOutcome, StoreError> {
        let entry = PageCommit { rows: Vec::new(), rejected: Vec::new(), ..page.clone() };
        let landed = self.log.commit_page(&entry).await?;
        let mut windows = vec![WindowCounts::default(); page.windows.len()];
        page.rows.iter().for_each(|row| windows[row.window].unchanged += 1);
        page.rejected.iter().for_each(|row| windows[row.window].quarantined += 1);
        let outcome = PageOutcome { total: windows.iter().copied().sum(), windows, ..landed };
        let entity_name = &page.pipeline.entity_name;
        let Some(mut fresh) = self.found().get_mut(entity_name).map(|found| found.count(page)) else {
            return Ok(outcome);
        };
        let (unreadable, rejected): (Vec<_>, Vec<_>) =
            fresh.rejected.into_iter().partition(|row| row.reason.starts_with(UNREADABLE));
        fresh.rejected = rejected;
        let comparison = self.rows.compare(&fresh).await?;
        if let Some(found) = self.found().get_mut(entity_name) {
            found.answered_at = found.answered_at.max(Some(page.answered_at));
            found.unreadable.extend(unreadable.iter().map(|row| page.windows[row.window].window));
            found.enter(&self.events, page, comparison);
        }
        Ok(outcome)
    }

    async fn count_rows(&self, pipeline: &Pipeline) -> Result<u64, StoreError> {
        self.log.count_rows(pipeline).await
    }
}

/// Converts a confirmation for a log that counts no records and that no other process can put back.
fn in_memory(confirmed: Confirmation<'_>) -> Confirmation<'_> {
    Confirmation { records_read: None, ..confirmed }
}

#[async_trait]
impl RawInspection for ComparingStore {
    async fn clock(&self) -> Result<OffsetDateTime, StoreError> {
        self.rows.clock().await
    }

    async fn compare(&self, page: &PageCommit) -> Result<PageComparison, StoreError> {
        self.rows.compare(page).await
    }

    async fn stored_ids(
        &self,
        pipeline: &Pipeline,
        span: Option<Window>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Box<str>>, StoreError> {
        self.rows.stored_ids(pipeline, span, after, limit).await
    }
}

#[async_trait]
impl Quarantine for ComparingStore {
    async fn quarantined(&self, entity_name: Option<&str>) -> Result<Vec<Quarantined>, StoreError> {
        self.log.quarantined(entity_name).await
    }

    async fn quarantined_bytes(&self, entity_name: &str, digest: &str) -> Result<Option<Bytes>, StoreError> {
        self.log.quarantined_bytes(entity_name, digest).await
    }

    async fn open_quarantine(&self, pipelines: &[Pipeline], span: Option<Window>) -> Result<u64, StoreError> {
        self.log.open_quarantine(pipelines, span).await
    }

    async fn accept_quarantined(
        &self,
        entity_name: &str,
        digest: &str,
        by: &str,
        reason: &str,
    ) -> Result<Option<Quarantined>, StoreError> {
        self.log.accept_quarantined(entity_name, digest, by, reason).await
    }

    async fn resolve_quarantine(&self, owner: Owner<'_>) -> Result<u64, StoreError> {
        self.log.resolve_quarantine(owner).await
    }
}

#[async_trait]
impl BackfillLog for ComparingStore {
    async fn begin_run(&self, run: &RunStart) -> Result<(), StoreError> {
        self.log.begin_run(run).await
    }

    async fn finish_run(&self, run: &RunId, end: &RunEnd) -> Result<(), StoreError> {
        self.log.finish_run(run, end).await
    }

    async fn open_windows(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        reopen: Reopen,
    ) -> Result<Vec<OpenWindow>, StoreError> {
        self.log.open_windows(owner, windows, reopen).await
    }

    async fn update_windows(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        update: WindowUpdate<'_>,
    ) -> Result<(), StoreError> {
        let own = match update {
            WindowUpdate::Counted(by) => WindowUpdate::Counted(in_memory(by)),
            WindowUpdate::Confirmed(by) => WindowUpdate::Confirmed(in_memory(by)),
            other => other,
        };
        self.log.update_windows(owner, windows, own).await?;
        if let (WindowUpdate::Reopen, Some(found)) =
            (update, self.found().get_mut(&owner.pipeline.entity_name))
        {
            found.read_again(windows);
        }
        Ok(())
    }

    async fn lines(&self, filter: &LogFilter) -> Result<Vec<LogLine>, StoreError> {
        let mut lines = self.log.lines(filter).await?;
        let found = self.found();
        for line in &mut lines {
            let read = found.get(&line.entity_name).and_then(|found| found.read.get(&line.window));
            line.metrics.records_read = read.copied().unwrap_or(0);
        }
        Ok(lines)
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>, StoreError> {
        self.log.run(run).await
    }

    async fn request_stop(&self, run: &RunId) -> Result<bool, StoreError> {
        self.log.request_stop(run).await
    }

    async fn stop_requested(&self, run: &RunId) -> Result<bool, StoreError> {
        self.log.stop_requested(run).await
    }

    async fn last_page(&self, run: &RunId, entity_name: &str) -> Result<u32, StoreError> {
        self.log.last_page(run, entity_name).await
    }

    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        self.log.runs(limit).await
    }
}
