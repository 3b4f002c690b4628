//! Searches for the rows whose records a verification did not meet: edited since, or gone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use qbo_client::{Advice, PageSize, RawPage};
use raw_store::{GoneRecord, Lease, PageCommit, Window, WindowChange, WindowState};
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;

use super::comparing_sink::Found;
use super::request::VerifyRequest;
use crate::answer::unless_stopped;
use crate::catalog::{Axis, EntityKind, EntitySpec, IDS_AT_ONCE};
use crate::chunk::TooManyWindows;
use crate::engine::Engine;
use crate::error::{Failure, RunError};
use crate::event::Emitter;
use crate::id_hash::id_hash;
use crate::lease_guard::LeaseGuard;
use crate::mismatch::{Mismatch, MismatchKind};
use crate::plan::{span, stretches};
use crate::scan::{put, request_payload};

/// The number of ids read from the store at once.
const STORED_AT_ONCE: u32 = 5000;

/// How far back change data capture is queried: it refuses more than thirty days, by its own clock.
const LOOK_BACK: Duration = Duration::days(29);

/// A page, and when it was requested by the host's clock.
struct Asked {
    page: RawPage,
    asked_at: OffsetDateTime,
}

/// Searches for rows whose records were not met in the span that they were last changed in: edited since, or gone.
pub(super) struct Search<'a> {
    engine: &'a Engine,
    spec: &'a EntitySpec,
    request: &'a VerifyRequest,
    events: &'a Emitter,
    stop: &'a CancellationToken,
    /// The response of change data capture, once it was queried.
    deleted: Option<HashMap<Box<str>, Option<OffsetDateTime>>>,
    /// The right to mark rows. It is taken before the records are queried, so that no page with an earlier answer can be
    /// committed after the mark.
    lease: Option<LeaseGuard>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        (engine, spec): (&'a Engine, &'a EntitySpec),
        request: &'a VerifyRequest,
        events: &'a Emitter,
        stop: &'a CancellationToken,
    ) -> Self {
        Self { engine, spec, request, events, stop, deleted: None, lease: None }
    }

    /// Accounts for the stored rows whose records were not met, and marks those that are gone, if that was requested.
    pub(super) async fn account_for_unmet(mut self, found: &mut Found) -> Result<(), RunError> {
        let explained = self.explain_all(found).await;
        if let Some(guard) = self.lease.take() {
            let released = guard.release().await;
            explained?;
            return released.map_err(|error| self.error(error));
        }
        explained
    }

    async fn explain_all(&mut self, found: &mut Found) -> Result<(), RunError> {
        let mut met = std::mem::take(&mut found.met);
        met.sort_unstable();
        let pipeline = self.spec.pipeline(Axis::Updated);
        let mut unmet = Vec::new();
        for span in self.spans().map_err(RunError::general)? {
            let mut after: Box<str> = "".into();
            loop {
                let stored = self.engine.store.rows.stored_ids(&pipeline, span, &after, STORED_AT_ONCE).await;
                let stored = stored.map_err(|error| self.error(error))?;
                let is_last = stored.len() < STORED_AT_ONCE as usize;
                if let Some(last) = stored.last() {
                    after.clone_from(last);
                }
                unmet.extend(stored.into_iter().filter(|id| met.binary_search(&id_hash(id)).is_err()));
                // Those of many short stretches are queried together.
                if unmet.len() >= STORED_AT_ONCE as usize {
                    self.explain(std::mem::take(&mut unmet), found).await?;
                }
                if is_last {
                    break;
                }
            }
        }
        self.explain(unmet, found).await
    }

    /// The stretches that were read; `None` is everything, because an entity that is read whole was met as a whole.
    fn spans(&self) -> Result<Vec<Option<Window>>, TooManyWindows> {
        if self.spec.is_snapshot() {
            return Ok(vec![None]);
        }
        let windows = self.request.run.windows(self.spec)?;
        Ok(stretches(windows).iter().map(|stretch| Some(span(stretch))).collect())
    }

    /// Decides about records that were not met, and marks those that are gone.
    async fn explain(&mut self, unmet: Vec<Box<str>>, found: &mut Found) -> Result<(), RunError> {
        if unmet.is_empty() {
            return Ok(());
        }
        if self.request.marks_gone && self.lease.is_none() {
            let (pipeline, leases) = (self.spec.pipeline(Axis::Updated), &self.engine.store.leases);
            let lease = leases.acquire(&pipeline, &self.request.run.holder).await;
            let lease = lease.map_err(|error| self.error(error))?;
            self.lease = Some(LeaseGuard::new(Arc::clone(leases), lease));
        }
        let mut parts: Vec<&[Box<str>]> = unmet.chunks(IDS_AT_ONCE).collect();
        while let Some(ids) = parts.pop() {
            let asked = if self.spec.has_ids() { self.ask_for(ids).await? } else { Err(Advice::GiveUp) };
            let page = match asked {
                Ok(page) => page,
                // One record that cannot be delivered says nothing of the others.
                Err(Advice::AskFewer) if ids.len() > 1 => {
                    let (first, second) = ids.split_at(ids.len() / 2);
                    parts.extend([second, first]);
                    continue;
                }
                // The entity was read whole, and these records are not in it.
                Err(Advice::GiveUp) if self.spec.is_snapshot() && !self.may_hide_inactive() => {
                    for id in ids {
                        self.gone(id, None, found);
                    }
                    continue;
                }
                Err(_) => {
                    found.verified.unknown += ids.len() as u64;
                    continue;
                }
            };
            let absent = self.compare_and_miss(&page, ids, found).await?;
            drop(page);
            self.confirm_gone(absent, found).await?;
        }
        self.mark(found).await
    }

    /// Compares the records that came, and returns the ids of those that did not.
    async fn compare_and_miss(
        &self,
        asked: &Asked,
        ids: &[Box<str>],
        found: &mut Found,
    ) -> Result<Vec<Box<str>>, RunError> {
        self.compare(asked, found).await?;
        let there: HashSet<_> = asked.page.records().filter_map(|record| record.id().ok()).collect();
        Ok(ids.iter().filter(|id| !there.contains(&***id)).cloned().collect())
    }

    /// Decides about records that did not come. One response without a record does not prove that it is gone, and neither does
    /// change data capture, which may report an edited record as deleted: two of these three have to agree. A record that change
    /// data capture does not know is requested once more.
    async fn confirm_gone(&mut self, mut absent: Vec<Box<str>>, found: &mut Found) -> Result<(), RunError> {
        if absent.is_empty() {
            return Ok(());
        }
        let deleted = self.deletions(found.answered_at).await?;
        absent.retain(|id| match deleted.get(id) {
            Some(at) => {
                self.gone(id, *at, found);
                false
            }
            None => true,
        });
        self.deleted = Some(deleted);
        if absent.is_empty() {
            return Ok(());
        }
        if self.may_hide_inactive() {
            found.verified.unknown += absent.len() as u64;
            return Ok(());
        }
        let Ok(page) = self.ask_for(&absent).await? else {
            found.verified.unknown += absent.len() as u64;
            return Ok(());
        };
        for id in self.compare_and_miss(&page, &absent, found).await? {
            self.gone(&id, None, found);
        }
        Ok(())
    }

    /// Whether a record that does not come may be inactive instead of gone, because QBO returns inactive ones only if asked.
    fn may_hide_inactive(&self) -> bool {
        self.spec.kind() == EntityKind::List && !self.spec.asks_for_inactive()
    }

    /// Returns what QBO still knows of deleted records; empty if it does not tell.
    async fn deletions(
        &mut self,
        now: Option<OffsetDateTime>,
    ) -> Result<HashMap<Box<str>, Option<OffsetDateTime>>, RunError> {
        if let Some(known) = self.deleted.take() {
            return Ok(known);
        }
        if !self.spec.is_captured() {
            return Ok(HashMap::new());
        }
        let since = now.unwrap_or_else(|| self.engine.clock.now_utc()) - LOOK_BACK;
        let asked = self.unless_stopped(self.engine.client.deleted_since(self.spec.name(), since)).await?;
        let deleted = asked.map_or_else(|_| Vec::new(), |answer| answer.deleted);
        Ok(deleted.into_iter().map(|one| (one.id, one.at)).collect())
    }

    /// Requests these records; QBO returns those that exist.
    async fn ask_for(&self, ids: &[Box<str>]) -> Result<Result<Asked, Advice>, RunError> {
        let asked_at = self.engine.clock.now_utc();
        let query = self.spec.query_by_id(ids.iter().map(|id| &**id)).page(1, PageSize::MAX);
        let page = self.unless_stopped(self.engine.client.fetch_page(&query)).await?;
        Ok(page.map(|page| Asked { page, asked_at }))
    }

    /// Returns the response, or the advice of an error that concerns this query alone; other errors end the verification.
    async fn unless_stopped<T>(
        &self,
        asked: impl Future<Output = Result<T, qbo_client::Error>>,
    ) -> Result<Result<T, Advice>, RunError> {
        let answer = unless_stopped(self.stop, asked).await.map_err(|failure| self.error(failure))?;
        Ok(answer.map_err(|error| error.advice()))
    }

    /// Compares records that exist after all: they were edited since, so that they lie outside of the span, or while it was
    /// read.
    async fn compare(&self, Asked { page, asked_at }: &Asked, found: &mut Found) -> Result<(), RunError> {
        let mut by_window: BTreeMap<Window, PageCommit> = BTreeMap::new();
        for record in page.records() {
            let window = record.updated_at().and_then(day).unwrap_or(self.request.run.span);
            put(by_window.entry(window).or_insert_with(|| self.page(window, page, *asked_at)), &record, 0);
        }
        for commit in by_window.into_values() {
            let compared =
                self.engine.store.rows.compare(&commit).await.map_err(|error| self.error(error))?;
            found.enter(self.events, &commit, compared);
        }
        Ok(())
    }

    /// Creates an empty page.
    fn page(&self, window: Window, page: &RawPage, asked_at: OffsetDateTime) -> PageCommit {
        let pipeline = self.spec.pipeline(Axis::Updated);
        let now = self.engine.clock.now_utc();
        PageCommit {
            lease: Lease { entity_name: pipeline.entity_name.clone(), epoch: 0 },
            pipeline,
            run: self.request.run.id.clone(),
            page_number: 0,
            page_size: PageSize::MAX.get().into(),
            request: request_payload("", None),
            started_at: asked_at,
            ingested_at: now,
            answered_at: page.answered_at().unwrap_or(now),
            latest_at: page.answered_at().map_or(now, |at| at.max(now)),
            all_fields: self.spec.asks_for_all_fields(),
            by_content: true,
            rows: Vec::new(),
            rejected: Vec::new(),
            windows: vec![WindowChange {
                window,
                state: WindowState::Running,
                cursor: None,
                duration: std::time::Duration::ZERO,
                after: None,
            }],
        }
    }

    /// Marks the rows that were found gone, if that was requested.
    async fn mark(&self, found: &mut Found) -> Result<(), RunError> {
        let gone = std::mem::take(&mut found.gone);
        let Some(guard) = self.lease.as_ref().filter(|_| !gone.is_empty()) else { return Ok(()) };
        let (store, pipeline) = (&self.engine.store.gone, self.spec.pipeline(Axis::Updated));
        let marked = store.mark_gone(&pipeline, guard.lease(), &gone, self.engine.clock.now_utc()).await;
        found.verified.marked += marked.map_err(|error| self.error(error))?;
        Ok(())
    }

    fn gone(&self, id: &str, deleted_at: Option<OffsetDateTime>, found: &mut Found) {
        found.gone.push(GoneRecord { id: id.into(), deleted_at });
        let (pipeline, id) = (self.spec.pipeline_name(), Some(id.into()));
        let kind = MismatchKind::Gone;
        found.note(self.events, Mismatch { pipeline, kind, id, window: None, deleted_at });
    }

    fn error(&self, failure: impl Into<Failure>) -> RunError {
        RunError { pipeline: Some(self.spec.pipeline_name()), window: None, failure: failure.into() }
    }
}

/// Returns the UTC day of an instant.
fn day(at: OffsetDateTime) -> Option<Window> {
    let start = at.to_offset(time::UtcOffset::UTC).date().midnight().assume_utc();
    Window::new(start, start + Duration::DAY).ok()
}
