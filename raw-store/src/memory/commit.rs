//! Leases and page commits of the store in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::state::{Aside, KeptPage, Line, State, StoredRow};
use super::{MemoryStore, ledger};
use crate::prepare::{CHANGES_SPREAD_WITHIN, Candidate, LANDS_WITHIN, PreparedPage, note_altered};
use crate::{
    Altered, Lease, Leases, PageCommit, PageOutcome, PageSink, Pipeline, Quarantined, Row, RunRecord,
    StoreError, StoreErrorKind, StoreIdentity, Tables, WindowChange, WindowCounts, WindowMetrics,
    WindowState,
};

#[async_trait]
impl Tables for MemoryStore {
    async fn bind(&self, identity: &StoreIdentity) -> Result<(), StoreError> {
        let mut state = self.state();
        let bound = state.identity.get_or_insert_with(|| identity.clone()).clone();
        if bound == *identity {
            Ok(())
        } else {
            let kind = StoreErrorKind::OtherCompany { bound, asked: identity.clone() };
            Err(StoreError::new("binding the schema to a company", kind))
        }
    }

    async fn identity(&self) -> Result<Option<StoreIdentity>, StoreError> {
        Ok(self.state().identity.clone())
    }

    async fn prepare(&self, pipeline: &Pipeline) -> Result<(), StoreError> {
        self.state().tables.entry(pipeline.table.clone()).or_default();
        Ok(())
    }

    async fn count_rows(&self, pipeline: &Pipeline) -> Result<u64, StoreError> {
        match self.state().tables.get(&pipeline.table) {
            Some(rows) => Ok(rows.len() as u64),
            None => Err(StoreError::new("counting rows", no_table())),
        }
    }
}

#[async_trait]
impl Leases for MemoryStore {
    async fn acquire(&self, pipeline: &Pipeline, holder: &str) -> Result<Lease, StoreError> {
        self.take_lease(&pipeline.entity_name, holder)
            .map_err(|kind| StoreError::new("acquiring a pipeline", kind))
    }

    /// A lost lease cannot be reported from here: the next change finds it.
    async fn lost(&self, _: &Lease) -> StoreError {
        std::future::pending().await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        if let Some(ownership) = self.state().leases.get_mut(&lease.entity_name)
            && ownership.epoch == lease.epoch
        {
            ownership.session = None;
        }
        Ok(())
    }
}

#[async_trait]
impl PageSink for MemoryStore {
    async fn commit_page(&self, page: &PageCommit) -> Result<PageOutcome, StoreError> {
        let refused =
            |kind| StoreError::new(format!("storing a page of {}", page.pipeline.entity_name), kind);
        commit(&mut self.state(), page).map_err(refused)
    }
}

/// Commits a page. Everything is checked first, so that a refusal changes nothing.
pub(super) fn commit(state: &mut State, page: &PageCommit) -> Result<PageOutcome, StoreErrorKind> {
    let mut landing = PreparedPage::of(page)?;
    let entity_name = &page.pipeline.entity_name;
    state.fence(&page.lease)?;
    let name = (page.run.clone(), entity_name.clone(), page.page_number);
    if let Some(page) = state.pages.get(&name) {
        return Ok(page.outcome.clone());
    }
    check_lines(state, page)?;
    if state.keeps_no_documents {
        let outcome = counted(page);
        enter(state, page, &outcome);
        return Ok(outcome);
    }

    check_kept(state, page, &landing)?;
    let drops: Vec<_> = landing.candidates.iter().map(|candidate| state.drops(&candidate.row.id)).collect();
    let table = state.tables.get_mut(&page.pipeline.table).ok_or_else(no_table)?;
    let mut altered = Altered::default();
    for (candidate, is_dropped) in landing.candidates.iter().zip(drops) {
        if let Some(stored) = table.get(&candidate.row.id).filter(|_| !page.by_content)
            && same_json(&stored.payload, &candidate.row.payload)
            && !replaces(stored, &stored_row(page, candidate.row), page)
        {
            note_altered(&mut altered, candidate.row, stored.updated_at, false);
        }
        let counts = landing.tally.of(candidate.row);
        if is_dropped {
            counts.unchanged += 1;
        } else {
            land(table, page, candidate, counts);
        }
    }
    for (digest, kept) in landing.take_kept() {
        let key = (entity_name.clone(), digest);
        let before = state.quarantine.get(&key).map(|aside| &aside.shown);
        let first_seen_at = before.map_or(page.ingested_at, |shown| shown.first_seen_at);
        let accepted = before.and_then(|shown| shown.accepted.clone());
        let raw = Bytes::copy_from_slice(kept.stored_bytes());
        let shown = Quarantined {
            entity_name: entity_name.clone(),
            digest: format!("{digest:?}").into(),
            record_id: kept.id.map(Into::into),
            reason: kept.reason.into(),
            window: page.windows[kept.window].window,
            time_axis: Some(page.pipeline.time_axis.clone()),
            run: Some(page.run.clone()),
            first_seen_at,
            last_seen_at: page.ingested_at,
            resolved_at: None,
            accepted,
            has_row: kept.has_row,
        };
        state.quarantine.insert(key, Aside { shown, raw });
    }
    let outcome = PageOutcome { altered, ..landing.tally.outcome() };
    enter(state, page, &outcome);
    Ok(outcome)
}

/// The outcome of a page whose documents are not kept.
fn counted(page: &PageCommit) -> PageOutcome {
    let mut windows = vec![WindowCounts::default(); page.windows.len()];
    page.rows.iter().for_each(|row| windows[row.window].unchanged += 1);
    page.rejected.iter().for_each(|row| windows[row.window].quarantined += 1);
    PageOutcome { total: windows.iter().copied().sum(), windows, altered: Altered::default() }
}

/// Enters the outcome of a page into the log.
pub(super) fn enter(state: &mut State, page: &PageCommit, outcome: &PageOutcome) {
    add_to_ledger(state, page, outcome);
    let name = (page.run.clone(), page.pipeline.entity_name.clone(), page.page_number);
    let kept = KeptPage { outcome: outcome.clone(), committed_at: page.ingested_at };
    state.pages.insert(name, kept);
}

/// The error of a table that was never prepared.
pub(super) fn no_table() -> StoreErrorKind {
    StoreErrorKind::NotSetUp("in memory".into())
}

/// Checks that the page follows the page that it names as the one before it.
fn check_lines(state: &State, page: &PageCommit) -> Result<(), StoreErrorKind> {
    let pipeline = &page.pipeline;
    let follows = |change: &WindowChange| {
        let key = (pipeline.entity_name.clone(), pipeline.time_axis.clone(), change.window);
        let Some(line) = state.lines.get(&key) else { return false };
        let is_own = line.shown.run.as_ref() == Some(&page.run);
        change.after.is_none_or(|after| is_own && line.page == after)
    };
    let moved = || StoreErrorKind::LogMoved(pipeline.entity_name.clone());
    if !page.windows.iter().all(follows) {
        return Err(moved());
    }
    let has_totals =
        |run: &RunRecord| run.pipelines.iter().any(|totals| totals.entity_name == pipeline.entity_name);
    if !state.runs.iter().any(|run| run.id == page.run && has_totals(run)) {
        return Err(moved());
    }
    Ok(())
}

/// Checks that documents that will not be written are stored already.
fn check_kept(state: &State, page: &PageCommit, landing: &PreparedPage<'_>) -> Result<(), StoreErrorKind> {
    let table = state.tables.get(&page.pipeline.table).ok_or_else(no_table)?;
    let is_missing = |candidate: &&Candidate<'_>| {
        let stored = table.get(&candidate.row.id);
        stored.is_none_or(|stored| {
            stored.gone_found_at.is_some() || replaces(stored, &stored_row(page, candidate.row), page)
        })
    };
    let dropped = landing.candidates.iter().filter(|candidate| state.drops(&candidate.row.id));
    let rows = dropped.filter(is_missing).count() as u64;
    if rows == 0 {
        return Ok(());
    }
    Err(StoreErrorKind::RowsAltered { table: page.pipeline.table.as_str().into(), rows })
}

fn land(
    table: &mut BTreeMap<Box<str>, StoredRow>,
    page: &PageCommit,
    candidate: &Candidate<'_>,
    counts: &mut WindowCounts,
) {
    let new = stored_row(page, candidate.row);
    match table.get_mut(&new.id) {
        None => {
            counts.inserted += 1;
            table.insert(new.id.clone(), new);
        }
        Some(stored) if replaces(stored, &new, page) => {
            counts.updated += 1;
            *stored = new;
        }
        // The record came back as it was.
        Some(stored) if stored.gone_found_at.is_some() => {
            counts.updated += 1;
            (stored.gone_found_at, stored.source_deleted_at) = (None, None);
        }
        Some(_) => counts.unchanged += 1,
    }
}

/// A document as it would be stored.
pub(super) fn stored_row(page: &PageCommit, row: &Row) -> StoredRow {
    StoredRow {
        id: row.id.clone(),
        payload: row.payload.clone(),
        ingested_at: page.ingested_at,
        window: page.windows[row.window].window,
        page_number: page.page_number,
        page_size: page.page_size,
        request: page.request.clone(),
        updated_at: row.updated_at,
        updated_on: row.updated_on,
        sync_token: row.sync_token,
        answered_at: page.answered_at,
        gone_found_at: None,
        source_deleted_at: None,
    }
}

/// Whether a document replaces the stored one: its content differs, and it is not older. The version that a row claims counts
/// as far as it can be true: equal bytes are one version, and a row that was stored before the page was requested cannot be
/// newer than the page's answer, except for a change that the answer did not know yet. For versions in the past, this second
/// rule applies only to pages that are compared by content, because an answer from a copy that lags far behind is not news.
pub(super) fn replaces(stored: &StoredRow, new: &StoredRow, page: &PageCommit) -> bool {
    let is_other = !same_json(&stored.payload, &new.payload);
    let says_other = (stored.updated_at, stored.sync_token) != (new.updated_at, new.sync_token);
    if version(stored) <= version(new) && is_other || says_other && stored.payload == new.payload {
        return true;
    }
    let was_there =
        stored.ingested_at <= page.started_at || stored.ingested_at > page.ingested_at + LANDS_WITHIN;
    let latest = stored.answered_at.max(stored.updated_at.unwrap_or(stored.answered_at));
    // By all clocks: a clock that is behind does not turn a past version into a future one.
    let now = page.answered_at.max(page.ingested_at).max(page.latest_at);
    let is_of_the_future = latest > now + CHANGES_SPREAD_WITHIN;
    // If the clocks contradict each other, the source's is either the likely one or the latest.
    let is_close = |at: OffsetDateTime| {
        [page.answered_at, page.latest_at].iter().any(|by| (at - *by).abs() <= CHANGES_SPREAD_WITHIN)
    };
    let is_recent = stored.updated_at.is_some_and(is_close);
    let is_untrue = is_of_the_future || (page.by_content && !is_recent);
    was_there && is_untrue && (is_other || says_other)
}

/// What "newer" compares: a missing source time is older than any, a missing sync token lower than any.
fn version(row: &StoredRow) -> (Option<OffsetDateTime>, i64, OffsetDateTime) {
    (row.updated_at, row.sync_token.unwrap_or(-1), row.answered_at)
}

/// Whether two texts are the same `jsonb` value: whitespace and the order of keys do not count.
fn same_json(a: &[u8], b: &[u8]) -> bool {
    fn parsed<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Option<T> {
        serde_json::from_str(text).ok()
    }
    fn same(a: &str, b: &str) -> Option<bool> {
        Some(match (a.as_bytes().first()?, b.as_bytes().first()?) {
            (b'{', b'{') => {
                let (a, b): (BTreeMap<String, &RawValue>, BTreeMap<String, &RawValue>) =
                    (parsed(a)?, parsed(b)?);
                a.len() == b.len()
                    && a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && same(a.1.get(), b.1.get()) == Some(true))
            }
            (b'[', b'[') => {
                let (a, b): (Vec<&RawValue>, Vec<&RawValue>) = (parsed(a)?, parsed(b)?);
                a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same(a.get(), b.get()) == Some(true))
            }
            (b'"', b'"') => parsed::<String>(a)? == parsed::<String>(b)?,
            _ => a == b,
        })
    }
    let text = |bytes| std::str::from_utf8(bytes).ok().map(str::trim);
    a == b || text(a).zip(text(b)).and_then(|(a, b)| same(a, b)) == Some(true)
}

fn add_to_ledger(state: &mut State, page: &PageCommit, outcome: &PageOutcome) {
    let pipeline = &page.pipeline;
    for (change, counts) in page.windows.iter().zip(&outcome.windows) {
        let key = (pipeline.entity_name.clone(), pipeline.time_axis.clone(), change.window);
        let Some(line) = state.lines.get_mut(&key) else {
            continue;
        };
        let before = line.closed_by(&page.run);
        add_to_line(line, page, change, counts);
        ledger::recount(state, &page.run, &pipeline.entity_name, before, Some(change.state));
    }
    let Some(totals) = ledger::totals(state, &page.run, &pipeline.entity_name) else {
        return;
    };
    totals.pages += 1;
    totals.counts += outcome.total;
}

fn add_to_line(line: &mut Line, page: &PageCommit, change: &WindowChange, counts: &WindowCounts) {
    let closed = matches!(change.state, WindowState::Completed | WindowState::Provisional);
    let shown = &mut line.shown;
    shown.state = change.state;
    shown.metrics = WindowMetrics {
        records_read: shown.metrics.records_read + counts.read(),
        records_inserted: shown.metrics.records_inserted + counts.inserted,
        records_updated: shown.metrics.records_updated + counts.updated,
        records_unchanged: shown.metrics.records_unchanged + counts.unchanged,
        records_quarantined: shown.metrics.records_quarantined + counts.quarantined,
        pages_read: shown.metrics.pages_read + u64::from(counts.read() > 0),
    };
    shown.duration += change.duration;
    shown.started_at = Some(shown.started_at.map_or(page.started_at, |at| at.min(page.started_at)));
    shown.finished_at = closed.then_some(page.ingested_at);
    (shown.error_message, shown.error_code) = (None, None);
    shown.all_fields &= page.all_fields;
    shown.run = Some(page.run.clone());
    line.cursor.clone_from(&change.cursor);
    line.page = page.page_number;
}
