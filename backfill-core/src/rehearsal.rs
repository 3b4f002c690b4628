//! A store that lands nothing: pages are compared with what is stored, and the log is one of its own, in memory. A run
//! over it reads all that a run reads, in as many places and past the same obstacles, and cannot change anything.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use raw_store::{
    BackfillLog, Bytes, Deviation, Lease, LogFilter, LogLine, MemoryStore, OpenWindow, Owner, PageCommit,
    PageComparison, PageOutcome, Pipeline, Quarantine, Quarantined, RawInspection, RawStore, Reopen, RunEnd,
    RunId, RunRecord, RunStart, StoreError, StoreIdentity, Window, WindowFailure,
};

use time::OffsetDateTime;

use crate::rescue::UNREADABLE;
use crate::verify::{Difference, Disagreement, VerifiedPipeline};
use crate::{EntitySpec, EventSink, RunEvent, RunRequest};

#[derive(Debug)]
pub(crate) struct Rehearsal {
    log: MemoryStore,
    rows: Arc<dyn RawInspection>,
    sink: Arc<dyn EventSink>,
    found: Mutex<BTreeMap<Box<str>, Found>>,
}

/// What was found of one pipeline, and what is needed to find the rest.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) verified: VerifiedPipeline,
    /// QBO's clock when it answered last.
    pub(crate) answered_at: Option<OffsetDateTime>,
    /// A mark for each record that QBO delivered: eight bytes, because there may be millions.
    pub(crate) met: Vec<u64>,
    /// The windows of records that QBO could not deliver.
    unreadable: Vec<Window>,
}

/// The mark of an id. Two ids share one by a chance of one in 2^64, and then a record that is gone passes unseen.
pub(crate) fn mark(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

impl Found {
    fn new(spec: &EntitySpec, span: Window) -> Self {
        Self {
            verified: VerifiedPipeline::new(spec, span),
            answered_at: None,
            met: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    /// Notes a difference, and tells it.
    pub(crate) fn note(&mut self, sink: &dyn EventSink, difference: Difference) {
        match difference.kind {
            Disagreement::Missing => self.verified.missing += 1,
            Disagreement::Changed => self.verified.changed += 1,
            Disagreement::Gone => self.verified.gone += 1,
        }
        self.verified.read_again.extend(difference.window);
        sink.emit(&RunEvent::Differs(difference));
    }

    pub(crate) fn has_unreadable(&self) -> bool {
        !self.unreadable.is_empty()
    }

    /// Compares the records that QBO could not deliver with those of earlier runs: by their windows, or by their number
    /// where those measured another time.
    pub(crate) fn know_unreadable(&mut self, sink: &dyn EventSink, known: Vec<Quarantined>, axis: &str) {
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
            let (pipeline, kind) = (self.verified.pipeline.clone(), Disagreement::Missing);
            self.note(sink, Difference { pipeline, kind, id: None, window: Some(window), deleted_at: None });
        }
    }

    /// Notes how a page compares.
    pub(crate) fn enter(&mut self, sink: &dyn EventSink, page: &PageCommit, comparison: PageComparison) {
        self.verified.same += comparison.same;
        self.verified.quarantined += comparison.quarantined;
        let both = [(Disagreement::Missing, comparison.missing), (Disagreement::Changed, comparison.changed)];
        for (kind, deviations) in both {
            for Deviation { id, window } in deviations {
                let (pipeline, window) = (self.verified.pipeline.clone(), Some(page.windows[window].window));
                self.note(sink, Difference { pipeline, kind, id, window, deleted_at: None });
            }
        }
    }
}

impl Rehearsal {
    pub(crate) fn new(rows: Arc<dyn RawInspection>, sink: Arc<dyn EventSink>, request: &RunRequest) -> Self {
        let found = |spec: &EntitySpec| (spec.entity_name().into(), Found::new(spec, request.span));
        let found = Mutex::new(request.entities.iter().map(found).collect());
        Self { log: MemoryStore::new(), rows, sink, found }
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
impl RawStore for Rehearsal {
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

    /// The page in the log has no documents, so it counts none: those are counted here.
    async fn commit_page(&self, page: &PageCommit) -> Result<PageOutcome, StoreError> {
        let (unreadable, rejected): (Vec<_>, Vec<_>) =
            page.rejected.iter().partition(|row| row.reason.starts_with(UNREADABLE));
        let comparison = if unreadable.is_empty() {
            self.rows.compare(page).await?
        } else {
            let rejected = rejected.into_iter().cloned().collect();
            self.rows.compare(&PageCommit { rejected, ..page.clone() }).await?
        };
        let entry = PageCommit { rows: Vec::new(), rejected: Vec::new(), ..page.clone() };
        let outcome = self.log.commit_page(&entry).await?;
        if let Some(found) = self.found().get_mut(&page.pipeline.entity_name) {
            found.answered_at = found.answered_at.max(Some(page.answered_at));
            found.met.extend(page.rows.iter().map(|row| mark(&row.id)));
            found.unreadable.extend(unreadable.iter().map(|row| page.windows[row.window].window));
            found.enter(&*self.sink, page, comparison);
        }
        Ok(outcome)
    }

    async fn count_rows(&self, pipeline: &Pipeline) -> Result<u64, StoreError> {
        self.log.count_rows(pipeline).await
    }
}

#[async_trait]
impl RawInspection for Rehearsal {
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
impl Quarantine for Rehearsal {
    async fn quarantined(&self, entity_name: Option<&str>) -> Result<Vec<Quarantined>, StoreError> {
        self.log.quarantined(entity_name).await
    }

    async fn quarantined_bytes(&self, entity_name: &str, digest: &str) -> Result<Option<Bytes>, StoreError> {
        self.log.quarantined_bytes(entity_name, digest).await
    }

    async fn resolve_quarantine(&self, owner: Owner<'_>) -> Result<u64, StoreError> {
        self.log.resolve_quarantine(owner).await
    }
}

#[async_trait]
impl BackfillLog for Rehearsal {
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

    async fn reopen_windows(&self, owner: Owner<'_>, windows: &[Window]) -> Result<(), StoreError> {
        self.log.reopen_windows(owner, windows).await
    }

    async fn note_counted(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.log.note_counted(owner, windows, at).await
    }

    async fn fail_windows(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        failure: &WindowFailure,
    ) -> Result<(), StoreError> {
        self.log.fail_windows(owner, windows, failure).await
    }

    async fn mark_unavailable(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        reason: &WindowFailure,
    ) -> Result<(), StoreError> {
        self.log.mark_unavailable(owner, windows, reason).await
    }

    async fn lines(&self, filter: &LogFilter) -> Result<Vec<LogLine>, StoreError> {
        self.log.lines(filter).await
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
