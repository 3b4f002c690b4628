//! A store in memory that keeps the whole contract without a database.

mod call_table;
mod calls;
mod commit;
mod inspect;
mod ledger;
mod state;
mod trigger_table;
mod triggers;
mod validation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;

use self::call_table::Calls;
use self::state::{Aside, Line, LineKey, State};
use self::trigger_table::Triggers;
use crate::digest::Digest;
use crate::planted::is_planted;
use crate::{
    Acceptance, Lease, LineageCheck, Owner, PageOutcome, Pipeline, Quarantine, Quarantined, RunId, RunRecord,
    StoreError, TableName, TokenFingerprint, TokenLineage, ValidationResult, Window, WindowState,
};

pub use state::StoredRow;

/// A store in this process's memory: it keeps the whole contract, and writes nothing to disk.
///
/// One value stands for one process. When it is dropped, or [`MemoryStore::end`] is called, its leases become free, as those of
/// a process that died. Unlike `jsonb`, it treats two spellings of one number, such as `1.0` and `1.00`, as different.
#[derive(Debug)]
pub struct MemoryStore {
    shared: Arc<Mutex<State>>,
    session: u64,
}

/// The runs, rows and triggers of a store at one moment; see [`MemoryStore::snapshot`].
#[derive(Clone, Debug)]
pub struct Snapshot {
    tables: BTreeMap<TableName, BTreeMap<Box<str>, StoredRow>>,
    quarantine: BTreeMap<(Box<str>, Digest), Aside>,
    pages: BTreeMap<(RunId, Box<str>, u32), PageOutcome>,
    lines: BTreeMap<LineKey, Line>,
    triggers: Triggers,
    runs: Vec<RunRecord>,
    to_stop: BTreeSet<RunId>,
    validated: Vec<(RunId, ValidationResult)>,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self { shared: Arc::default(), session: 0 }
    }

    /// Creates a store that keeps a log and no documents: the records of a page are only counted, its rows as unchanged and its
    /// rejected documents as quarantined. For a run that reads without storing, whatever the number of records.
    pub fn without_documents() -> Self {
        let store = Self::new();
        store.state().keeps_no_documents = true;
        store
    }

    /// Opens the same data as another process would see it, with leases of its own.
    pub fn another_process(&self) -> Self {
        let mut state = self.state();
        state.sessions += 1;
        Self { shared: Arc::clone(&self.shared), session: state.sessions }
    }

    /// Rows of a table by id; empty if there is no such table.
    pub fn rows(&self, table: &TableName) -> BTreeMap<String, StoredRow> {
        let state = self.state();
        let rows = state.tables.get(table).into_iter().flatten();
        rows.map(|(id, row)| (id.to_string(), row.clone())).collect()
    }

    /// All documents in quarantine, sorted by pipeline.
    pub fn quarantine(&self) -> Vec<Quarantined> {
        self.state().quarantine.values().map(|aside| aside.shown.clone()).collect()
    }

    /// Lets this process's leases run out, as if it was frozen or cut off for longer than a lease lasts.
    pub fn let_leases_run_out(&self) {
        for ownership in self.state().owned_by(self.session) {
            ownership.overdue = true;
        }
    }

    /// Sends a heartbeat: renews a lease unless another process has taken it over. Returns whether it was renewed.
    pub fn renew(&self, lease: &Lease) -> bool {
        let mut state = self.state();
        let Some(ownership) = state.leases.get_mut(&lease.entity_name) else { return false };
        if is_planted("lease renewed by a stale owner") {
            (ownership.epoch, ownership.session) = (lease.epoch, Some(self.session));
        }
        let is_own = ownership.epoch == lease.epoch && ownership.session == Some(self.session);
        if is_own {
            ownership.overdue = false;
        }
        is_own
    }

    /// Number of the process that this value stands for.
    pub fn number(&self) -> u64 {
        self.session
    }

    /// Releases what this process owns without knowing it, because the answer to its request was lost.
    pub fn disown(&self, name: &str) {
        let session = self.session;
        let mut state = self.state();
        if let Some(ownership) = state.leases.get_mut(name).filter(|lease| lease.session == Some(session)) {
            ownership.session = None;
        }
    }

    /// Whether no other process has taken the lease over.
    pub fn is_current(&self, lease: &Lease) -> bool {
        self.state().fence(lease).is_ok()
    }

    /// Names of the pipelines and triggers that are owned now.
    pub fn owned(&self) -> Vec<Box<str>> {
        let state = self.state();
        let owned = state.leases.iter().filter(|(_, lease)| lease.session.is_some());
        owned.map(|(name, _)| name.clone()).collect()
    }

    /// Ends the process that this value stands for: its connections close, and its leases and call slots are released.
    pub fn end(&self) {
        self.calls(|calls, now| calls.release_dead(now, self.session));
        for ownership in self.state().owned_by(self.session) {
            ownership.session = None;
        }
    }

    /// Looks up one row of a table.
    pub fn row(&self, table: &TableName, id: &str) -> Option<StoredRow> {
        self.state().tables.get(table)?.get(id).cloned()
    }

    /// Replaces a row, as a person would by hand.
    pub fn put_row(&self, table: &TableName, row: StoredRow) {
        self.state().tables.entry(table.clone()).or_default().insert(row.id.clone(), row);
    }

    /// Stops the store's clock at a moment. For tests, which then move it themselves.
    pub fn stand_at(&self, moment: OffsetDateTime) {
        self.state().stands_at = Some(moment);
    }

    /// Copies what the store holds now, except for leases and calls.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.state();
        Snapshot {
            tables: state.tables.clone(),
            quarantine: state.quarantine.clone(),
            pages: state.pages.clone(),
            lines: state.lines.clone(),
            triggers: state.triggers.clone(),
            runs: state.runs.clone(),
            to_stop: state.to_stop.clone(),
            validated: state.validated.clone(),
        }
    }

    /// Restores a snapshot and forgets everything that came after it, like a database restored from a backup, or a lagging
    /// standby that took over.
    pub fn put_back(&self, snapshot: &Snapshot) {
        let mut state = self.state();
        let Snapshot { tables, quarantine, pages, lines, triggers, runs, to_stop, validated } =
            snapshot.clone();
        (state.tables, state.quarantine, state.pages, state.lines) = (tables, quarantine, pages, lines);
        (state.triggers, state.runs, state.to_stop, state.validated) = (triggers, runs, to_stop, validated);
    }

    /// Drops one in `rows` written rows, chosen by their ids, as a trigger of the database's owner may; 0 drops none.
    pub fn drop_one_of(&self, rows: u32) {
        self.state().drops_one_of = rows;
    }

    /// Runs `act` on the calls with the present time of the store's clock.
    fn calls<T>(&self, act: impl FnOnce(&mut Calls, OffsetDateTime) -> T) -> T {
        let mut state = self.state();
        let now = state.now();
        act(&mut state.calls, now)
    }

    /// No code under the lock can panic in the middle of a change, so a poisoned lock is safe to use.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.end();
    }
}

#[async_trait]
impl TokenLineage for MemoryStore {
    async fn testify(&self, seen: &TokenFingerprint) -> Result<LineageCheck, StoreError> {
        let mut state = self.state();
        let noted = state.witnesses.entry(seen.lineage.clone()).or_insert_with(|| seen.clone());
        if noted.generation < seen.generation {
            *noted = seen.clone();
        }
        Ok(LineageCheck::of(seen, noted.clone()))
    }
}

#[async_trait]
impl Quarantine for MemoryStore {
    async fn quarantined<'a>(&self, entity_name: Option<&'a str>) -> Result<Vec<Quarantined>, StoreError> {
        let mut kept = self.quarantine();
        kept.retain(|one| entity_name.is_none_or(|name| *name == *one.entity_name));
        kept.sort_by(|a, b| {
            (&a.entity_name, a.window, &a.digest).cmp(&(&b.entity_name, b.window, &b.digest))
        });
        Ok(kept)
    }

    async fn quarantined_bytes(&self, entity_name: &str, digest: &str) -> Result<Option<Bytes>, StoreError> {
        let state = self.state();
        let mut kept = state.quarantine.values();
        let found = kept.find(|one| *one.shown.entity_name == *entity_name && *one.shown.digest == *digest);
        Ok(found.map(|one| one.raw.clone()))
    }

    async fn open_quarantine(&self, pipelines: &[Pipeline], span: Option<Window>) -> Result<u64, StoreError> {
        let meets = |one: &Quarantined, pipeline: &Pipeline| {
            let apart = span.is_some_and(|span| {
                one.time_axis.as_ref() == Some(&pipeline.time_axis)
                    && (one.window.end() <= span.start() || span.end() <= one.window.start())
            });
            one.entity_name == pipeline.entity_name && !apart
        };
        let is_open = |one: &&Quarantined| one.is_open() && pipelines.iter().any(|asked| meets(one, asked));
        Ok(self.quarantine().iter().filter(is_open).count() as u64)
    }

    async fn accept_quarantined(
        &self,
        entity_name: &str,
        digest: &str,
        by: &str,
        reason: &str,
    ) -> Result<Option<Quarantined>, StoreError> {
        let mut state = self.state();
        let at = state.now();
        let mut kept = state.quarantine.values_mut().map(|aside| &mut aside.shown);
        let found = kept.find(|one| *one.entity_name == *entity_name && *one.digest == *digest);
        Ok(found.map(|one| {
            if one.is_open() {
                one.accepted = Some(Acceptance { at, by: by.into(), reason: reason.into() });
            }
            one.clone()
        }))
    }

    async fn resolve_quarantine<'a>(&self, owner: Owner<'a>) -> Result<u64, StoreError> {
        let Owner { run, pipeline, lease, .. } = owner;
        let mut state = self.state();
        state.fence(lease).map_err(|kind| StoreError::new("resolving the quarantine", kind))?;
        let State { lines, quarantine, .. } = &mut *state;
        let mut resolved = 0;
        for one in quarantine.values_mut().map(|aside| &mut aside.shown) {
            let key = (one.entity_name.clone(), pipeline.time_axis.clone(), one.window);
            let line = lines.get(&key).map(|line| &line.shown);
            let done =
                line.filter(|line| line.state == WindowState::Completed && line.run.as_ref() == Some(run));
            let unseen = one.entity_name == pipeline.entity_name
                && one.time_axis.as_ref().is_none_or(|axis| *axis == pipeline.time_axis)
                && one.resolved_at.is_none();
            // A resumed window began before: what lies before its cursor was not read again.
            let done = done.filter(|line| line.started_at.is_some_and(|began| one.last_seen_at < began));
            if let (Some(line), true) = (done, unseen) {
                one.resolved_at = line.finished_at;
                resolved += 1;
            }
        }
        Ok(resolved)
    }
}
