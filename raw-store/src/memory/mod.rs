//! A store in memory, which keeps the whole contract without a database.

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

/// A store in this process's memory: the whole contract, nothing on disk.
///
/// One value stands for one process. When it is dropped, or [`MemoryStore::end`] is called, its leases are free, as those of
/// a process that died.
/// Unlike `jsonb` it takes two numbers of different spelling, such as `1.0` and `1.00`, for different ones.
#[derive(Debug)]
pub struct MemoryStore {
    shared: Arc<Mutex<State>>,
    session: u64,
}

/// What a database holds of runs, rows and triggers at some moment; see [`MemoryStore::snapshot`].
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
    /// An empty store.
    pub fn new() -> Self {
        Self { shared: Arc::default(), session: 0 }
    }

    /// The same data as another process would see it: with leases of its own.
    pub fn another_process(&self) -> Self {
        let mut state = self.state();
        state.sessions += 1;
        Self { shared: Arc::clone(&self.shared), session: state.sessions }
    }

    /// The rows of a table by id; none if there is no such table.
    pub fn rows(&self, table: &TableName) -> BTreeMap<String, StoredRow> {
        let state = self.state();
        let rows = state.tables.get(table).into_iter().flatten();
        rows.map(|(id, row)| (id.to_string(), row.clone())).collect()
    }

    /// The documents in quarantine, by pipeline.
    pub fn quarantine(&self) -> Vec<Quarantined> {
        self.state().quarantine.values().map(|aside| aside.shown.clone()).collect()
    }

    /// What becomes of the leases of a process that is frozen, or cut off, for longer than a lease lasts.
    pub fn let_leases_run_out(&self) {
        for ownership in self.state().owned_by(self.session) {
            ownership.overdue = true;
        }
    }

    /// A heartbeat: keeps a lease, unless another process has taken it over. Returns whether it is kept.
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

    /// The number of the process that this value stands for.
    pub fn number(&self) -> u64 {
        self.session
    }

    /// Gives back what this process owns without knowing of it, because the answer to its asking was lost.
    pub fn disown(&self, name: &str) {
        let session = self.session;
        let mut state = self.state();
        if let Some(ownership) = state.leases.get_mut(name).filter(|lease| lease.session == Some(session)) {
            ownership.session = None;
        }
    }

    /// Whether nobody has taken a lease over.
    pub fn is_current(&self, lease: &Lease) -> bool {
        self.state().fence(lease).is_ok()
    }

    /// The pipelines and triggers that somebody owns now.
    pub fn owned(&self) -> Vec<Box<str>> {
        let state = self.state();
        let owned = state.leases.iter().filter(|(_, lease)| lease.session.is_some());
        owned.map(|(name, _)| name.clone()).collect()
    }

    /// The process that this value stands for is gone: its connections close, and with them go its leases and its places among
    /// the calls.
    pub fn end(&self) {
        self.calls(|calls, now| calls.release_dead(now, self.session));
        for ownership in self.state().owned_by(self.session) {
            ownership.session = None;
        }
    }

    /// One row of a table.
    pub fn row(&self, table: &TableName, id: &str) -> Option<StoredRow> {
        self.state().tables.get(table)?.get(id).cloned()
    }

    /// Puts a row in place of another one, as somebody does by hand.
    pub fn put_row(&self, table: &TableName, row: StoredRow) {
        self.state().tables.entry(table.clone()).or_default().insert(row.id.clone(), row);
    }

    /// Stops its clock at a moment: for tests, which move it themselves.
    pub fn stand_at(&self, moment: OffsetDateTime) {
        self.state().stands_at = Some(moment);
    }

    /// What it holds now, except for leases and calls.
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

    /// Forgets whatever came after a snapshot, as a database that was put back, or a standby that lagged behind and took over.
    pub fn put_back(&self, snapshot: &Snapshot) {
        let mut state = self.state();
        let Snapshot { tables, quarantine, pages, lines, triggers, runs, to_stop, validated } =
            snapshot.clone();
        (state.tables, state.quarantine, state.pages, state.lines) = (tables, quarantine, pages, lines);
        (state.triggers, state.runs, state.to_stop, state.validated) = (triggers, runs, to_stop, validated);
    }

    /// Drops one of so many rows that are written, by their ids, as a trigger of the database's owner may; 0 for none.
    pub fn drop_one_of(&self, rows: u32) {
        self.state().drops_one_of = rows;
    }

    /// Does something to the calls, at the time that the store's clock shows.
    fn calls<T>(&self, act: impl FnOnce(&mut Calls, OffsetDateTime) -> T) -> T {
        let mut state = self.state();
        let now = state.now();
        act(&mut state.calls, now)
    }

    /// Nothing that runs under the lock can panic half-way through a change, so poison says nothing.
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
    async fn quarantined(&self, entity_name: Option<&str>) -> Result<Vec<Quarantined>, StoreError> {
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

    async fn resolve_quarantine(&self, owner: Owner<'_>) -> Result<u64, StoreError> {
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
            // A window that was only gone on with began before: what lies in front of its cursor was not read again.
            let done = done.filter(|line| line.started_at.is_some_and(|began| one.last_seen_at < began));
            if let (Some(line), true) = (done, unseen) {
                one.resolved_at = line.finished_at;
                resolved += 1;
            }
        }
        Ok(resolved)
    }
}
