//! The data of the store in memory, in place of a database's tables.

use std::collections::BTreeMap;

use bytes::Bytes;
use time::{Date, OffsetDateTime};

use super::call_table::Calls;
use super::trigger_table::Triggers;
use crate::digest::Digest;
use crate::{
    AttachmentRecord, KeptReport, Lease, LogLine, NewEvent, PageOutcome, Quarantined, RunId, RunRecord,
    ScanCursor, SourceRefusal, StopRequest, StoreErrorKind, StoreIdentity, TableName, TokenFingerprint,
    ValidationResult, VerificationRecord, Window, WorkerRecord,
};

/// A row as [`MemoryStore`](crate::MemoryStore) holds it; the fields are the columns of a raw table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// Column `id`.
    pub id: Box<str>,
    /// Column `payload`, as received.
    pub payload: Bytes,
    /// Column `ingested_at_utc`.
    pub ingested_at: OffsetDateTime,
    /// Columns `extract_window_start_utc` and `extract_window_end_utc`.
    pub window: Window,
    /// Column `page_number`.
    pub page_number: u32,
    /// Column `page_size`.
    pub page_size: u32,
    /// Column `request_payload`.
    pub request: Box<str>,
    /// Column `source_updated_at_utc`.
    pub updated_at: Option<OffsetDateTime>,
    /// Column `source_updated_on`.
    pub updated_on: Option<Date>,
    /// Column `source_sync_token`.
    pub sync_token: Option<i64>,
    /// Column `source_answered_at_utc`.
    pub answered_at: OffsetDateTime,
    /// Column `gone_found_at_utc`.
    pub gone_found_at: Option<OffsetDateTime>,
    /// Column `source_deleted_at_utc`.
    pub source_deleted_at: Option<OffsetDateTime>,
}

/// A document in quarantine, with its bytes.
#[derive(Clone, Debug)]
pub(super) struct Aside {
    pub(super) shown: Quarantined,
    pub(super) raw: Bytes,
}

/// Run, pipeline and number: the primary key of `backfill_page`.
pub(super) type PageName = (RunId, Box<str>, u32);

/// A committed page.
#[derive(Clone, Debug)]
pub(super) struct KeptPage {
    pub(super) outcome: PageOutcome,
    pub(super) committed_at: OffsetDateTime,
}

/// The contents of the store; most fields stand for one table of the database.
#[derive(Debug, Default)]
pub(super) struct State {
    #[cfg(feature = "test-util")]
    pub(super) sessions: u64,
    pub(super) identity: Option<StoreIdentity>,
    pub(super) tables: BTreeMap<TableName, BTreeMap<Box<str>, StoredRow>>,
    pub(super) quarantine: BTreeMap<(Box<str>, Digest), Aside>,
    pub(super) leases: BTreeMap<Box<str>, Ownership>,
    pub(super) pages: BTreeMap<PageName, KeptPage>,
    pub(super) lines: BTreeMap<LineKey, Line>,
    pub(super) witnesses: BTreeMap<Box<str>, TokenFingerprint>,
    /// By entity and part.
    pub(super) refusals: BTreeMap<(Box<str>, Box<str>), SourceRefusal>,
    pub(super) calls: Calls,
    pub(super) triggers: Triggers,
    /// Time at which the clock is stopped.
    pub(super) stands_at: Option<OffsetDateTime>,
    /// By start; the newest last.
    pub(super) runs: Vec<RunRecord>,
    /// Runs that were asked to stop.
    pub(super) to_stop: BTreeMap<RunId, StopRequest>,
    pub(super) validated: Vec<(RunId, ValidationResult)>,
    pub(super) verified: Vec<VerificationRecord>,
    /// By id.
    pub(super) attachments: BTreeMap<Box<str>, AttachmentRecord>,
    /// By table and question.
    pub(super) reports: BTreeMap<(TableName, Box<str>), KeptReport>,
    /// Numbered in the order in which they were recorded.
    pub(super) events: BTreeMap<u64, NewEvent>,
    pub(super) workers: BTreeMap<Box<str>, WorkerRecord>,
    /// One in this many written rows is dropped; 0 drops none.
    pub(super) drops_one_of: u32,
    /// Whether pages are only counted.
    pub(super) keeps_no_documents: bool,
}

/// The lease on one pipeline, and the session that holds it.
#[derive(Debug)]
pub(super) struct Ownership {
    pub(super) epoch: i64,
    pub(super) holder: Box<str>,
    pub(super) session: Option<u64>,
    pub(super) since: OffsetDateTime,
    /// Whether its time has passed without a heartbeat.
    pub(super) overdue: bool,
}

/// `entity_name`, `time_axis`, window: the primary key of `backfill_log`.
pub(super) type LineKey = (Box<str>, Box<str>, Window);

/// One line of the log, with its cursor.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) shown: LogLine,
    pub(super) cursor: Option<ScanCursor>,
    /// The run's page that changed it last; 0 if none has since it was opened.
    pub(super) page: u32,
}

/// The time, as a database tells it.
#[expect(clippy::disallowed_methods, reason = "it stands for the database, whose clock is its own")]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

impl State {
    pub(super) fn now(&self) -> OffsetDateTime {
        self.stands_at.unwrap_or_else(now)
    }

    /// Whether a written row is dropped.
    pub(super) fn drops(&self, id: &str) -> bool {
        let sum: u32 = id.bytes().map(u32::from).sum();
        self.drops_one_of > 0 && sum.is_multiple_of(self.drops_one_of)
    }

    /// What a process owns.
    pub(super) fn owned_by(&mut self, session: u64) -> impl Iterator<Item = &mut Ownership> {
        self.leases.values_mut().filter(move |lease| lease.session == Some(session))
    }

    /// Refuses a process that no longer owns the pipeline.
    pub(super) fn fence(&self, lease: &Lease) -> Result<(), StoreErrorKind> {
        let owner = self.leases.get(&lease.entity_name);
        if owner.is_some_and(|owner| owner.epoch == lease.epoch) {
            Ok(())
        } else {
            Err(StoreErrorKind::LeaseLost(lease.entity_name.clone()))
        }
    }
}
