//! What only tests do to a store in memory: they open it as other processes, move its clock, let leases run out, and take the
//! store back to an earlier moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;

use super::MemoryStore;
use super::state::{Aside, KeptPage, Line, LineKey, PageName, StoredRow};
use super::trigger_table::Triggers;
use crate::digest::Digest;
use crate::{Lease, RunId, RunRecord, StopRequest, TableName, ValidationResult};

/// The runs, rows and triggers of a store at one moment; see [`MemoryStore::snapshot`].
#[derive(Clone, Debug)]
pub struct Snapshot {
    tables: BTreeMap<TableName, BTreeMap<Box<str>, StoredRow>>,
    quarantine: BTreeMap<(Box<str>, Digest), Aside>,
    pages: BTreeMap<PageName, KeptPage>,
    lines: BTreeMap<LineKey, Line>,
    triggers: Triggers,
    runs: Vec<RunRecord>,
    to_stop: BTreeMap<RunId, StopRequest>,
    validated: Vec<(RunId, ValidationResult)>,
}

impl MemoryStore {
    /// Opens the same data as another process would see it, with leases of its own.
    pub fn another_process(&self) -> Self {
        let mut state = self.state();
        state.sessions += 1;
        Self { shared: Arc::clone(&self.shared), session: state.sessions }
    }

    /// Number of the process that this value stands for.
    pub fn number(&self) -> u64 {
        self.session
    }

    /// Stops the store's clock at a moment; the caller moves it from then on.
    pub fn stand_at(&self, moment: OffsetDateTime) {
        self.state().stands_at = Some(moment);
    }

    /// Sends a heartbeat: renews a lease unless another process has taken it over. Returns whether it was renewed.
    pub fn renew(&self, lease: &Lease) -> bool {
        let mut state = self.state();
        let Some(ownership) = state.leases.get_mut(&lease.entity_name) else { return false };
        let is_own = ownership.epoch == lease.epoch && ownership.session == Some(self.session);
        if is_own {
            ownership.overdue = false;
        }
        is_own
    }

    /// Lets this process's leases run out, as if it was frozen or cut off for longer than a lease lasts.
    pub fn let_leases_run_out(&self) {
        for ownership in self.state().owned_by(self.session) {
            ownership.overdue = true;
        }
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

    /// Replaces a row, as a person would by hand.
    pub fn put_row(&self, table: &TableName, row: StoredRow) {
        self.state().tables.entry(table.clone()).or_default().insert(row.id.clone(), row);
    }

    /// Removes a row, as a person would by hand.
    pub fn remove_row(&self, table: &TableName, id: &str) {
        if let Some(rows) = self.state().tables.get_mut(table) {
            rows.remove(id);
        }
    }

    /// Drops one in `rows` written rows, chosen by their ids, as a trigger of the database's owner may; 0 drops none.
    pub fn drop_one_of(&self, rows: u32) {
        self.state().drops_one_of = rows;
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
}
