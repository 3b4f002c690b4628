//! A store in memory that keeps the whole contract without a database.

mod attachments;
mod call_table;
mod calls;
mod commit;
mod gone;
mod inspect;
mod ledger;
mod monitoring;
mod presence;
mod refusals;
mod reports;
mod state;
mod table_digest;
#[cfg(feature = "test-util")]
mod test_hooks;
mod trigger_table;
mod triggers;
mod validation;
mod verification;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;

use self::call_table::Calls;
use self::state::State;
use crate::{
    Acceptance, LineageCheck, Owner, Pipeline, Quarantine, Quarantined, StoreError, TableName,
    TokenFingerprint, TokenLineage, Window, WindowState,
};

pub use state::StoredRow;
#[cfg(feature = "test-util")]
pub use test_hooks::Snapshot;

/// A store in this process's memory: it keeps the whole contract, and writes nothing to disk.
///
/// One value stands for one process. When it is dropped, or [`MemoryStore::end`] is called, its leases become free, as those of
/// a process that died. Unlike `jsonb`, it treats two spellings of one number, such as `1.0` and `1.00`, as different.
#[derive(Debug)]
pub struct MemoryStore {
    shared: Arc<Mutex<State>>,
    session: u64,
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
