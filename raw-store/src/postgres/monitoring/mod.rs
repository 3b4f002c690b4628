//! Shows people what the database holds, and keeps what is only for them.

mod activity;
mod coverage;
mod event;
mod history;
mod history_sql;
mod issues;
mod rows;
mod runs;
mod snapshot;

use async_trait::async_trait;

use super::{PgStore, in_session};
use crate::{
    ActivityReader, AsOf, CallBudget, CoverageMonth, CoverageReader, CoverageStretch, EventLog, HeldLease,
    HistoryEntry, HistoryFilter, HistoryKey, HistoryOrder, HistoryReader, InsertedRows, IssueReader,
    LineFilter, LineKey, LogLine, NewEvent, NewestFinding, NumberSearch, Pipeline, QuarantineFilter,
    QuarantineKey, Quarantined, RowReader, RowRecord, RunFilter, RunId, RunKey, RunProgress, RunReader,
    RunRecord, StoreError, Window, WorkerBeat, WorkerLog, WorkerRecord,
};

#[async_trait]
impl CoverageReader for PgStore {
    async fn months(&self, zone: &str) -> Result<AsOf<Vec<CoverageMonth>>, StoreError> {
        in_session!(self.session, "reading the months of the log", |session| coverage::months(
            &mut session,
            zone
        ))
    }

    async fn stretches(&self) -> Result<AsOf<Vec<CoverageStretch>>, StoreError> {
        in_session!(self.session, "reading the stretches of the log", |session| coverage::stretches(
            &mut session
        ))
    }

    async fn inserted_rows(&self) -> Result<AsOf<Vec<InsertedRows>>, StoreError> {
        in_session!(self.session, "adding up the inserted rows", |session| coverage::inserted_rows(
            &mut session
        ))
    }

    async fn page_of_lines<'a>(
        &self,
        filter: &LineFilter,
        after: Option<&'a LineKey>,
        limit: u32,
    ) -> Result<AsOf<Vec<LogLine>>, StoreError> {
        in_session!(self.session, "reading a page of the log", |session| coverage::page_of_lines(
            &mut session,
            filter,
            after,
            limit
        ))
    }
}

#[async_trait]
impl RunReader for PgStore {
    async fn page_of_runs<'a>(
        &self,
        filter: &RunFilter,
        before: Option<&'a RunKey>,
        limit: u32,
    ) -> Result<AsOf<Vec<RunRecord>>, StoreError> {
        in_session!(self.session, "reading a page of runs", |session| runs::page(
            &mut session,
            filter,
            before,
            limit
        ))
    }

    async fn progress(&self, run: &RunId) -> Result<AsOf<Option<RunProgress>>, StoreError> {
        in_session!(self.session, "reading the progress of a run", |session| runs::progress(
            &mut session,
            run
        ))
    }
}

#[async_trait]
impl ActivityReader for PgStore {
    async fn held_leases(&self) -> Result<AsOf<Vec<HeldLease>>, StoreError> {
        in_session!(self.session, "listing the leases", |session| activity::held_leases(&mut session))
    }

    async fn call_budget(&self) -> Result<AsOf<CallBudget>, StoreError> {
        in_session!(self.session, "reading the budget of calls", |session| activity::call_budget(
            &mut session
        ))
    }

    async fn workers(&self, limit: u32) -> Result<AsOf<Vec<WorkerRecord>>, StoreError> {
        in_session!(self.session, "listing the workers", |session| activity::workers(&mut session, limit))
    }
}

#[async_trait]
impl WorkerLog for PgStore {
    async fn heartbeat(&self, beat: &WorkerBeat) -> Result<(), StoreError> {
        in_session!(self.session, "recording a worker's heartbeat", |session| activity::heartbeat(
            &session, beat
        ))
    }
}

#[async_trait]
impl EventLog for PgStore {
    async fn record_events(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        in_session!(self.session, "recording events", |session| event::record(&session, events))
    }

    async fn remove_old_events(&self) -> Result<u64, StoreError> {
        in_session!(self.session, "removing old events", |session| event::remove_old(&session))
    }
}

#[async_trait]
impl HistoryReader for PgStore {
    async fn happened<'a>(
        &self,
        span: Window,
        filter: &HistoryFilter,
        order: HistoryOrder,
        after: Option<&'a HistoryKey>,
        limit: u32,
    ) -> Result<AsOf<Vec<HistoryEntry>>, StoreError> {
        in_session!(self.session, "reading the history", |session| history::happened(
            &mut session,
            (span, filter),
            order,
            (after, limit)
        ))
    }
}

#[async_trait]
impl RowReader for PgStore {
    async fn row(&self, search: &NumberSearch, id: &str) -> Result<AsOf<Option<RowRecord>>, StoreError> {
        in_session!(self.session, "looking up a row", |session| rows::row(&mut session, search, id))
    }

    async fn rows_by_number(
        &self,
        searches: &[NumberSearch],
        number: &str,
        limit: u32,
    ) -> Result<AsOf<Vec<RowRecord>>, StoreError> {
        in_session!(self.session, "searching rows by number", |session| rows::by_number(
            &mut session,
            searches,
            number,
            limit
        ))
    }

    async fn document(&self, pipeline: &Pipeline, id: &str) -> Result<AsOf<Option<Box<str>>>, StoreError> {
        in_session!(self.session, "reading a document", |session| rows::document(
            &mut session,
            &pipeline.table,
            id
        ))
    }
}

#[async_trait]
impl IssueReader for PgStore {
    async fn newest_findings(&self, limit: u32) -> Result<AsOf<Vec<NewestFinding>>, StoreError> {
        in_session!(self.session, "reading the newest findings", |session| issues::newest_findings(
            &mut session,
            limit
        ))
    }

    async fn page_of_quarantine<'a>(
        &self,
        filter: &QuarantineFilter,
        after: Option<&'a QuarantineKey>,
        limit: u32,
    ) -> Result<AsOf<Vec<Quarantined>>, StoreError> {
        in_session!(self.session, "reading a page of the quarantine", |session| issues::page_of_quarantine(
            &mut session,
            filter,
            after,
            limit
        ))
    }
}
