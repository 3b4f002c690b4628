//! A page sink that stores nothing: it compares pages with what is stored, and counts them in a log in memory. A run over it
//! reads everything that a run reads, with as many permits and past the same obstacles, and cannot change anything.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use raw_store::{
    BackfillLog as _, Deviation, GoneRecord, LogFilter, MemoryStore, PageCommit, PageComparison, PageOutcome,
    PageSink, Quarantined, RawInspection, RejectedRow, StoreError, Window, WindowChange,
};
use time::OffsetDateTime;

use super::outcome::VerifiedPipeline;
use crate::catalog::EntitySpec;
use crate::event::{Emitter, RunEventKind};
use crate::id_hash::id_hash;
use crate::mismatch::{Mismatch, MismatchKind};
use crate::plan::RunRequest;
use crate::scan::undeliverable_record::UNREADABLE;

/// Compares each page with the stored rows instead of writing it.
#[derive(Debug)]
pub(crate) struct ComparingSink {
    log: Arc<MemoryStore>,
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
    /// Rows whose records are gone, and that are not marked yet.
    pub(crate) gone: Vec<GoneRecord>,
    /// The windows of records that QBO could not deliver.
    unreadable: Vec<Window>,
    /// Windows that a page has changed.
    begun: HashSet<Window>,
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
            gone: Vec::new(),
            unreadable: Vec::new(),
            begun: HashSet::new(),
            again: HashSet::new(),
            met_before: HashSet::new(),
        }
    }

    /// Returns the documents of a page that were not compared before.
    fn fresh(&mut self, page: &PageCommit) -> PageCommit {
        // The log says that no page has changed the window since it was opened; one has, so it was opened again.
        let is_again =
            |change: &&WindowChange| change.after == Some(0) && self.begun.contains(&change.window);
        let again: Vec<_> = page.windows.iter().filter(is_again).map(|change| change.window).collect();
        if self.again.is_empty() && !again.is_empty() {
            self.met_before = self.met.iter().copied().collect();
        }
        self.again.extend(again);
        let is_known = |place: usize, mark: u64| {
            self.again.contains(&page.windows[place].window) && self.met_before.contains(&mark)
        };
        let mut fresh = page.clone();
        fresh.rows.retain(|row| !is_known(row.window, id_hash(&row.id)));
        fresh.rejected.retain(|row| !is_known(row.window, id_hash(&row.raw)));
        fresh
    }

    /// Notes documents that were compared, and the page that they came with.
    fn meet(&mut self, fresh: &PageCommit) {
        self.begun.extend(fresh.windows.iter().map(|change| change.window));
        self.met.extend(fresh.rows.iter().map(|row| id_hash(&row.id)));
        self.met.extend(fresh.rejected.iter().map(|row| id_hash(&row.raw)));
        self.answered_at = self.answered_at.max(Some(fresh.answered_at));
    }

    /// Adds to the windows to read again those between two of them that hold no more than a page: a range costs a request and a
    /// count, however short it is.
    pub(crate) fn bridge(&mut self, windows: &[Window], read: &HashMap<Window, u64>, page: u64) {
        let again = &mut self.verified.read_again;
        let (mut between, mut records) = (Vec::new(), None::<u64>);
        for window in windows {
            let read = read.get(window).copied().unwrap_or(0);
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

impl ComparingSink {
    pub(crate) fn new(rows: Arc<dyn RawInspection>, events: Emitter, request: &RunRequest) -> Self {
        let found = |spec: &EntitySpec| (spec.entity_name().into(), Found::new(spec, request.span));
        let found = Mutex::new(request.entities.iter().map(found).collect());
        Self { log: Arc::new(MemoryStore::without_documents()), rows, events, found }
    }

    /// The log that the pages are counted in.
    pub(crate) fn log(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.log)
    }

    /// The number of records read in each window of an entity.
    pub(crate) async fn read(&self, spec: &EntitySpec) -> Result<HashMap<Window, u64>, StoreError> {
        let filter = LogFilter { entity_name: Some(spec.entity_name().into()), ..LogFilter::default() };
        let lines = self.log.lines(&filter).await?;
        Ok(lines.iter().map(|line| (line.window, line.metrics.records_read)).collect())
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
impl PageSink for ComparingSink {
    /// Compares the page, and counts it in the log. A page that could not be compared leaves no trace, so that it can be
    /// committed once more.
    async fn commit_page(&self, page: &PageCommit) -> Result<PageOutcome, StoreError> {
        let entity_name = &page.pipeline.entity_name;
        let Some(fresh) = self.found().get_mut(entity_name).map(|found| found.fresh(page)) else {
            return self.log.commit_page(page).await;
        };
        let is_unreadable = |row: &&RejectedRow| row.reason.starts_with(UNREADABLE);
        let readable = PageCommit {
            rejected: fresh.rejected.iter().filter(|row| !is_unreadable(row)).cloned().collect(),
            ..fresh.clone()
        };
        let comparison = self.rows.compare(&readable).await?;
        let outcome = self.log.commit_page(page).await?;
        if let Some(found) = self.found().get_mut(entity_name) {
            let unreadable = fresh.rejected.iter().filter(is_unreadable);
            found.unreadable.extend(unreadable.map(|row| page.windows[row.window].window));
            found.meet(&fresh);
            found.enter(&self.events, page, comparison);
        }
        Ok(outcome)
    }
}
