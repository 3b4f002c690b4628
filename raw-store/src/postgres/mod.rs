//! The store in a schema of a PostgreSQL database.
//!
//! [`PgStore`] implements every trait of [`store`](crate::store). [`DatabaseOptions`] says how it is reached, [`SchemaStatus`] and
//! [`SchemaDifference`] what was found there. [`SealedRow`] keeps one sealed value for hosts that share a vault.

mod calls;
mod commit;
mod connect;
mod grants;
mod identity;
mod inspect;
mod lease;
mod lineage;
mod log;
mod migrate;
mod rows;
mod schema;
mod scripts;
mod triggers;
mod validation;
mod vault_row;
mod version;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deadpool_postgres::Pool;
use time::{Date, OffsetDateTime};

use self::calls::session::CallDesk;
use self::commit::{documents, pages, quarantine};
pub use self::connect::{ChannelBinding, DatabaseOptions, SslMode};
use self::connect::{Connector, Session, check_ownership};
use self::lease::heartbeat::{Heart, Moment};
use self::log::{query, runs, windows};
pub use self::schema::{SchemaDifference, SchemaStatus};
pub use self::vault_row::{SealedRow, SealedRowLock};
use crate::store::trigger::lease_name;
use crate::{
    BackfillLog, CallAdmission, CallEnd, CallLedger, CallLimits, CallMonth, CallSlot, Confirmation,
    ConsentLog, Examined, Inquiry, Lease, LogFilter, LogLine, NewTrigger, OpenWindow, Owner, PageCommit,
    PageComparison, PageOutcome, Pipeline, Quarantine, Quarantined, RawInspection, RawStore, Reopen, RunEnd,
    RunId, RunRecord, RunStart, SchemaName, StoreError, StoreErrorKind, StoreIdentity, Surveyed, Testimony,
    Trigger, TriggerBoard, TriggerEnd, TriggerEvent, TriggerName, TriggerQueue, Validated, Validation,
    Window, WindowFailure, WindowState, Witness,
};

/// A schema of a PostgreSQL database.
///
/// Reached directly or through a pooler in session mode. One that hands out a connection per transaction is refused: the
/// session's settings say which schema is meant, and leases are known by their connection. Needs a tokio runtime.
#[derive(Debug)]
pub struct PgStore {
    schema: SchemaName,
    connector: Connector,
    pool: Pool,
    heart: Arc<Heart>,
    calls: Arc<CallDesk>,
    /// Whether the schema was found to have the version that this program needs.
    ready: AtomicBool,
}

impl PgStore {
    /// Connects, and checks that the database can hold what is sent. Does not create anything.
    pub async fn connect(options: DatabaseOptions, schema: SchemaName) -> Result<Self, StoreError> {
        let made = Connector::new(&options, &schema)
            .and_then(|connector| Ok((connector.pool(options.pool_size)?, connector)))
            .map_err(|kind| StoreError::new("preparing the connection", kind));
        let (pool, connector) = made?;
        let heart = Arc::new(Heart::new(connector.clone(), options.lease_time));
        let calls = Arc::new(CallDesk::new(connector.clone()));
        let store = Self { schema, connector, pool, heart, calls, ready: AtomicBool::new(false) };
        let op = "connecting to the database";
        let session = store.any_session(op).await?;
        let checked = Box::pin(check_ownership(&store.connector, &session)).await;
        checked.map_err(store.failed(op))?;
        schema::check_encoding(&session).await.map_err(store.failed(op))?;
        session.done();
        Ok(store)
    }

    /// Creates the schema, or brings it to the version of this program. Changes nothing where nothing is to do.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let op = "setting up the schema";
        let mut session = self.any_session(op).await?;
        migrate::migrate(&mut session, &self.schema).await.map_err(self.failed(op))?;
        session.done();
        // With its settings and its lock it does not go back to the pool.
        let op = "indexing the raw tables";
        let mut session = self.any_session(op).await?;
        migrate::build_indexes(&mut session, &self.schema).await.map_err(self.failed(op))
    }

    /// What is there: version, company, tables.
    pub async fn schema_status(&self) -> Result<SchemaStatus, StoreError> {
        let op = "looking at the schema";
        let session = self.any_session(op).await?;
        let status = schema::status(&session).await.map_err(self.failed(op))?;
        session.done();
        Ok(status)
    }

    /// Compares tables, columns, types and primary keys with what this program expects; empty if all is well.
    pub async fn check(&self) -> Result<Vec<SchemaDifference>, StoreError> {
        let op = "checking the schema";
        let session = self.any_session(op).await?;
        let differences = schema::differences(&***session).await.map_err(self.failed(op))?;
        session.done();
        Ok(differences)
    }

    /// The statements that would give this role what loading needs and it lacks; empty if all is well.
    pub async fn missing_grants(&self) -> Result<Vec<Box<str>>, StoreError> {
        let op = "checking the role's rights";
        let session = self.any_session(op).await?;
        let missing = grants::missing(&session, &self.schema, &schema::ledger()).await;
        let missing = missing.map_err(self.failed(op))?;
        session.done();
        Ok(missing)
    }

    /// Makes sure that the schema is set up and that this role has every right that loading needs.
    pub async fn ensure_loadable(&self) -> Result<(), StoreError> {
        let missing = self.missing_grants().await?;
        if !missing.is_empty() {
            let lacks = StoreErrorKind::Lacks(missing.join("; ").into());
            return Err(StoreError::new("checking the role's rights", lacks));
        }
        self.session("checking the schema").await?.done();
        Ok(())
    }

    /// Creates the roles of `sql/roles.sql`, and gives each what it needs and nothing more.
    pub async fn create_roles(&self) -> Result<(), StoreError> {
        let op = "creating the roles";
        let mut session = self.session(op).await?;
        migrate::create_roles(&mut session, &self.schema).await.map_err(self.failed(op))?;
        session.done();
        Ok(())
    }

    /// A connection, whatever the state of the schema.
    async fn any_session(&self, op: &str) -> Result<Session, StoreError> {
        let lent = self.pool.get().await.map_err(|error| self.connector.refused_by_pool(error));
        let object = lent.map_err(self.failed(op))?;
        Ok(Session::new(object))
    }

    /// A connection to a schema of the right version.
    async fn session(&self, op: &str) -> Result<Session, StoreError> {
        let session = self.any_session(op).await?;
        if !self.ready.load(Ordering::Relaxed) {
            version::check_version(&session, &self.schema).await.map_err(self.failed(op))?;
            self.ready.store(true, Ordering::Relaxed);
        }
        Ok(session)
    }

    /// Where calls are asked for, in a schema of the right version.
    async fn calls(&self, op: &str) -> Result<&Arc<CallDesk>, StoreError> {
        if !self.ready.load(Ordering::Relaxed) {
            self.session(op).await?.done();
        }
        Ok(&self.calls)
    }

    /// Takes what the name stands for, and keeps it.
    async fn take_lease(&self, op: &str, name: &str, holder: &str) -> Result<Lease, StoreError> {
        let session = self.session(op).await?;
        let reservation = self.heart.reserve(name);
        let own = self.heart.epoch(name);
        if reservation.is_none() || lease::is_own(&session, name, own).await.map_err(self.failed(op))? {
            let held = lease::held(&session, name).await;
            session.done();
            return Err(self.failed(op)(held));
        }
        let guard = self.heart.guard().await.map_err(self.failed(op))?;
        let asked = Moment::now();
        let taken = lease::acquire(&session, &guard, (name, holder), self.heart.lasts).await;
        let taken = taken.map_err(self.failed(op))?;
        session.done();
        point!("lease.taken");
        self.heart.keep(&taken, asked);
        Ok(taken)
    }

    /// Makes an error of an operation, and says which schema is not set up.
    fn failed(&self, op: &str) -> impl Fn(StoreErrorKind) -> StoreError {
        move |kind| match kind {
            StoreErrorKind::NotSetUp(_) => {
                StoreError::new(op, StoreErrorKind::NotSetUp(self.schema.as_str().into()))
            }
            kind => StoreError::new(op, kind),
        }
    }
}

#[async_trait]
impl RawStore for PgStore {
    async fn bind(&self, identity: &StoreIdentity) -> Result<(), StoreError> {
        let op = "binding the schema to a company";
        let session = self.session(op).await?;
        identity::bind(&session, identity).await.map_err(self.failed(op))?;
        session.done();
        Ok(())
    }

    async fn identity(&self) -> Result<Option<StoreIdentity>, StoreError> {
        let op = "asking for the schema's company";
        let session = self.session(op).await?;
        let bound = identity::bound(&***session).await.map_err(self.failed(op))?;
        session.done();
        Ok(bound)
    }

    async fn prepare(&self, pipeline: &Pipeline) -> Result<(), StoreError> {
        let op = format!("preparing table {}", pipeline.table);
        let mut session = self.session(&op).await?;
        migrate::prepare(&mut session, &self.schema, &pipeline.table).await.map_err(self.failed(&op))?;
        session.done();
        Ok(())
    }

    async fn acquire(&self, pipeline: &Pipeline, holder: &str) -> Result<Lease, StoreError> {
        let op = format!("taking pipeline {}", pipeline.entity_name);
        self.take_lease(&op, &pipeline.entity_name, holder).await
    }

    async fn lost(&self, lease: &Lease) -> StoreError {
        self.heart.lost(lease).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let op = format!("giving back pipeline {}", lease.entity_name);
        self.heart.forget(lease);
        let session = self.session(&op).await?;
        lease::release(&session, lease).await.map_err(self.failed(&op))?;
        point!("lease.released");
        session.done();
        Ok(())
    }

    async fn commit_page(&self, page: &PageCommit) -> Result<PageOutcome, StoreError> {
        let op = format!("landing a page of {}", page.pipeline.entity_name);
        let mut session = self.session(&op).await?;
        let outcome = commit::commit(&mut session, page).await.map_err(self.failed(&op))?;
        session.done();
        Ok(outcome)
    }

    async fn count_rows(&self, pipeline: &Pipeline) -> Result<u64, StoreError> {
        let op = format!("counting the rows of {}", pipeline.table);
        let session = self.session(&op).await?;
        let rows = documents::count_rows(&session, &pipeline.table).await.map_err(self.failed(&op))?;
        session.done();
        Ok(rows)
    }
}

#[async_trait]
impl CallLedger for PgStore {
    async fn admit(&self, limits: &CallLimits, good_for: Duration) -> Result<CallAdmission, StoreError> {
        let op = "asking for a call";
        self.calls(op).await?.admit(limits, good_for).await.map_err(self.failed(op))
    }

    async fn conclude(&self, slot: &CallSlot, end: CallEnd) -> Result<(), StoreError> {
        let op = "noting a call";
        self.calls(op).await?.conclude(slot, end).await.map_err(self.failed(op))
    }

    async fn pause(&self, pause: Duration) -> Result<Duration, StoreError> {
        let op = "pausing all calls";
        self.calls(op).await?.pause(pause).await.map_err(self.failed(op))
    }

    async fn failing(&self, apart: Duration) -> Result<(), StoreError> {
        let op = "noting that the source fails";
        self.calls(op).await?.failing(apart).await.map_err(self.failed(op))
    }

    async fn month(&self) -> Result<CallMonth, StoreError> {
        let op = "asking for the calls of this month";
        self.calls(op).await?.month().await.map_err(self.failed(op))
    }
}

#[async_trait]
impl TriggerQueue for PgStore {
    async fn add(&self, triggers: &[NewTrigger]) -> Result<(), StoreError> {
        let op = "adding a trigger";
        let mut session = self.session(op).await?;
        triggers::add(&mut session, triggers).await.map_err(self.failed(op))?;
        session.done();
        Ok(())
    }

    async fn triggers(&self) -> Result<(Vec<Trigger>, OffsetDateTime), StoreError> {
        let op = "listing the triggers";
        let session = self.session(op).await?;
        let all = triggers::all(&session).await.map_err(self.failed(op))?;
        session.done();
        Ok(all)
    }

    async fn trigger_history(&self, name: &TriggerName) -> Result<Vec<TriggerEvent>, StoreError> {
        let op = "reading the history of a trigger";
        let session = self.session(op).await?;
        let history = triggers::history(&session, name).await.map_err(self.failed(op))?;
        session.done();
        Ok(history)
    }

    async fn look(&self, missed_after: Duration) -> Result<TriggerBoard, StoreError> {
        let op = "looking for triggers";
        let session = self.session(op).await?;
        let board = triggers::look(&session, missed_after).await.map_err(self.failed(op))?;
        session.done();
        Ok(board)
    }

    async fn take(&self, name: &TriggerName, holder: &str) -> Result<Lease, StoreError> {
        self.take_lease("taking a trigger", &lease_name(name), holder).await
    }

    async fn fire(
        &self,
        lease: &Lease,
        name: &TriggerName,
        run: &RunStart,
    ) -> Result<Option<Trigger>, StoreError> {
        let op = "firing a trigger";
        let mut session = self.session(op).await?;
        let fired = triggers::fire(&mut session, lease, name, run).await.map_err(self.failed(op))?;
        session.done();
        Ok(fired)
    }

    async fn conclude(&self, lease: &Lease, name: &TriggerName, end: &TriggerEnd) -> Result<(), StoreError> {
        let op = "noting the end of a trigger";
        let mut session = self.session(op).await?;
        triggers::conclude(&mut session, lease, name, end).await.map_err(self.failed(op))?;
        session.done();
        Ok(())
    }

    async fn cancel(&self, name: &TriggerName) -> Result<Trigger, StoreError> {
        let op = "taking a trigger back";
        let mut session = self.session(op).await?;
        let now = triggers::cancel(&mut session, name).await.map_err(self.failed(op))?;
        session.done();
        Ok(now)
    }

    async fn rearm(&self, name: &TriggerName, fire_at: OffsetDateTime) -> Result<Trigger, StoreError> {
        let op = "arming a trigger again";
        let mut session = self.session(op).await?;
        let now = triggers::rearm(&mut session, name, fire_at).await.map_err(self.failed(op))?;
        session.done();
        Ok(now)
    }
}

#[async_trait]
impl RawInspection for PgStore {
    async fn clock(&self) -> Result<OffsetDateTime, StoreError> {
        let op = "asking for the time";
        let session = self.session(op).await?;
        let now = inspect::clock(&session).await.map_err(self.failed(op))?;
        session.done();
        Ok(now)
    }

    async fn compare(&self, page: &PageCommit) -> Result<PageComparison, StoreError> {
        let op = format!("comparing a page of {}", page.pipeline.entity_name);
        let session = self.session(&op).await?;
        let comparison = inspect::compare(&session, page).await.map_err(self.failed(&op))?;
        session.done();
        Ok(comparison)
    }

    async fn stored_ids(
        &self,
        pipeline: &Pipeline,
        span: Option<Window>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Box<str>>, StoreError> {
        let op = format!("looking through {}", pipeline.table);
        let session = self.session(&op).await?;
        let ids = inspect::stored_ids(&session, &pipeline.table, span, (after, limit)).await;
        let ids = ids.map_err(self.failed(&op))?;
        session.done();
        Ok(ids)
    }
}

#[async_trait]
impl Validation for PgStore {
    async fn examine(&self, inquiry: &Inquiry<'_>) -> Result<Examined, StoreError> {
        let op = format!("examining {}", inquiry.pipeline.table);
        let mut session = self.session(&op).await?;
        let examined = validation::examine(&mut session, inquiry).await.map_err(self.failed(&op))?;
        session.done();
        Ok(examined)
    }

    async fn survey(
        &self,
        pipeline: &Pipeline,
        windows: &[Window],
        enough: u64,
    ) -> Result<Surveyed, StoreError> {
        let op = format!("counting rows of {}", pipeline.table);
        let mut session = self.session(&op).await?;
        let surveyed = validation::survey(&mut session, pipeline, windows, enough).await;
        let surveyed = surveyed.map_err(self.failed(&op))?;
        session.done();
        Ok(surveyed)
    }

    async fn made_by_day(
        &self,
        pipeline: &Pipeline,
        window: Window,
        created: &[&str],
    ) -> Result<Vec<(Date, u64)>, StoreError> {
        let op = format!("counting rows of {} by day", pipeline.table);
        let mut session = self.session(&op).await?;
        let days = validation::made_by_day(&mut session, &pipeline.table, window, created).await;
        let days = days.map_err(self.failed(&op))?;
        session.done();
        Ok(days)
    }

    async fn replaced(&self, entity_name: &str) -> Result<u64, StoreError> {
        let op = "reading the totals of the runs";
        let session = self.session(op).await?;
        let replaced = validation::replaced(&session, entity_name).await.map_err(self.failed(op))?;
        session.done();
        Ok(replaced)
    }

    async fn looked_over(&self, entity_name: &str, runs: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        let op = "asking what was looked over";
        let session = self.session(op).await?;
        let found = validation::looked_over(&session, entity_name, runs).await.map_err(self.failed(op))?;
        session.done();
        Ok(found)
    }

    async fn sound_ranges(
        &self,
        pipeline: &Pipeline,
        span: Window,
        since: OffsetDateTime,
    ) -> Result<Vec<(Window, OffsetDateTime)>, StoreError> {
        let op = "asking what was looked over";
        let session = self.session(op).await?;
        let found =
            validation::sound_ranges(&session, pipeline, span, since).await.map_err(self.failed(op))?;
        session.done();
        Ok(found)
    }

    async fn keep_validated(&self, run: &RunId, validated: &[Validated]) -> Result<(), StoreError> {
        let op = "keeping findings";
        let mut session = self.session(op).await?;
        validation::keep(&mut session, run, validated).await.map_err(self.failed(op))?;
        session.done();
        Ok(())
    }

    async fn validated(&self, run: &RunId) -> Result<Vec<Validated>, StoreError> {
        let op = "reading findings";
        let session = self.session(op).await?;
        let validated = validation::validated(&session, run).await.map_err(self.failed(op))?;
        session.done();
        Ok(validated)
    }
}

#[async_trait]
impl Quarantine for PgStore {
    async fn quarantined(&self, entity_name: Option<&str>) -> Result<Vec<Quarantined>, StoreError> {
        let op = "listing the quarantine";
        let session = self.session(op).await?;
        let kept = quarantine::list(&session, entity_name).await.map_err(self.failed(op))?;
        session.done();
        Ok(kept)
    }

    async fn quarantined_bytes(&self, entity_name: &str, digest: &str) -> Result<Option<Bytes>, StoreError> {
        let op = "reading from the quarantine";
        let session = self.session(op).await?;
        let bytes = quarantine::bytes(&session, entity_name, digest).await.map_err(self.failed(op))?;
        session.done();
        Ok(bytes)
    }

    async fn open_quarantine(&self, pipelines: &[Pipeline], span: Option<Window>) -> Result<u64, StoreError> {
        let op = "counting what is open in the quarantine";
        let session = self.session(op).await?;
        let open = quarantine::open(&session, pipelines, span).await.map_err(self.failed(op))?;
        session.done();
        Ok(open)
    }

    async fn accept_quarantined(
        &self,
        entity_name: &str,
        digest: &str,
        by: &str,
        reason: &str,
    ) -> Result<Option<Quarantined>, StoreError> {
        let op = "accepting what is in quarantine";
        let session = self.session(op).await?;
        let accepted = quarantine::accept(&session, (entity_name, digest), (by, reason)).await;
        let accepted = accepted.map_err(self.failed(op))?;
        session.done();
        Ok(accepted)
    }

    async fn resolve_quarantine(&self, owner: Owner<'_>) -> Result<u64, StoreError> {
        let op = format!("resolving the quarantine of {}", owner.pipeline.entity_name);
        let mut session = self.session(&op).await?;
        let resolved = quarantine::resolve(&mut session, owner).await.map_err(self.failed(&op))?;
        session.done();
        Ok(resolved)
    }
}

#[async_trait]
impl ConsentLog for PgStore {
    async fn testify(&self, seen: &Witness) -> Result<Testimony, StoreError> {
        let op = "comparing the consent with what was seen before";
        let session = self.session(op).await?;
        let testimony = lineage::testify(&session, seen).await.map_err(self.failed(op))?;
        session.done();
        Ok(testimony)
    }
}

#[async_trait]
impl BackfillLog for PgStore {
    async fn begin_run(&self, run: &RunStart) -> Result<(), StoreError> {
        let op = "recording the start of a run";
        let mut session = self.session(op).await?;
        runs::begin(&mut session, run).await.map_err(self.failed(op))?;
        session.done();
        Ok(())
    }

    async fn finish_run(&self, run: &RunId, end: &RunEnd) -> Result<(), StoreError> {
        let op = "recording the end of a run";
        let mut session = self.session(op).await?;
        runs::finish(&mut session, run, end).await.map_err(self.failed(op))?;
        session.done();
        Ok(())
    }

    async fn open_windows(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        reopen: Reopen,
    ) -> Result<Vec<OpenWindow>, StoreError> {
        let op = format!("opening windows of {}", owner.pipeline.entity_name);
        let mut session = self.session(&op).await?;
        let asked = windows::Asked::new(owner, windows);
        let open = windows::open(&mut session, &asked, reopen).await.map_err(self.failed(&op))?;
        session.done();
        Ok(open)
    }

    async fn reopen_windows(&self, owner: Owner<'_>, windows: &[Window]) -> Result<(), StoreError> {
        let op = format!("opening windows of {} again", owner.pipeline.entity_name);
        let mut session = self.session(&op).await?;
        let asked = windows::Asked::new(owner, windows);
        windows::reopen(&mut session, &asked).await.map_err(self.failed(&op))?;
        session.done();
        Ok(())
    }

    async fn note_counted(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        confirmed: Confirmation<'_>,
    ) -> Result<(), StoreError> {
        let op = format!("noting counted windows of {}", owner.pipeline.entity_name);
        let mut session = self.session(&op).await?;
        let asked = windows::Asked::new(owner, windows);
        windows::close(&mut session, &asked, confirmed, Some(confirmed.at))
            .await
            .map_err(self.failed(&op))?;
        session.done();
        Ok(())
    }

    async fn close_windows(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        confirmed: Confirmation<'_>,
    ) -> Result<(), StoreError> {
        let op = format!("closing windows of {}", owner.pipeline.entity_name);
        let mut session = self.session(&op).await?;
        let asked = windows::Asked::new(owner, windows);
        windows::close(&mut session, &asked, confirmed, None).await.map_err(self.failed(&op))?;
        session.done();
        Ok(())
    }

    async fn fail_windows(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        failure: &WindowFailure,
    ) -> Result<(), StoreError> {
        let op = format!("marking windows of {} as failed", owner.pipeline.entity_name);
        let mut session = self.session(&op).await?;
        let asked = windows::Asked::new(owner, windows);
        windows::give_up(&mut session, &asked, WindowState::Failed, failure)
            .await
            .map_err(self.failed(&op))?;
        session.done();
        Ok(())
    }

    async fn mark_unavailable(
        &self,
        owner: Owner<'_>,
        windows: &[Window],
        reason: &WindowFailure,
    ) -> Result<(), StoreError> {
        let op = format!("marking windows of {} as unavailable", owner.pipeline.entity_name);
        let mut session = self.session(&op).await?;
        let asked = windows::Asked::new(owner, windows);
        windows::give_up(&mut session, &asked, WindowState::Unavailable, reason)
            .await
            .map_err(self.failed(&op))?;
        session.done();
        Ok(())
    }

    async fn lines(&self, filter: &LogFilter) -> Result<Vec<LogLine>, StoreError> {
        let op = "reading the log";
        let session = self.session(op).await?;
        let lines = query::lines(&session, filter).await.map_err(self.failed(op))?;
        session.done();
        Ok(lines)
    }

    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        let op = "reading the runs";
        let session = self.session(op).await?;
        let records = runs::newest(&session, limit).await.map_err(self.failed(op))?;
        session.done();
        Ok(records)
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>, StoreError> {
        let op = "reading a run";
        let session = self.session(op).await?;
        let record = runs::one(&session, run).await.map_err(self.failed(op))?;
        session.done();
        Ok(record)
    }

    async fn request_stop(&self, run: &RunId) -> Result<bool, StoreError> {
        let op = "asking a run to stop";
        let session = self.session(op).await?;
        let asked = runs::request_stop(&session, run).await.map_err(self.failed(op))?;
        session.done();
        Ok(asked)
    }

    async fn stop_requested(&self, run: &RunId) -> Result<bool, StoreError> {
        let op = "looking whether a run is to stop";
        let session = self.session(op).await?;
        let asked = runs::stop_requested(&session, run).await.map_err(self.failed(op))?;
        session.done();
        Ok(asked)
    }

    async fn last_page(&self, run: &RunId, entity_name: &str) -> Result<u32, StoreError> {
        let op = "reading the pages of a run";
        let session = self.session(op).await?;
        let last = pages::last(&session, run, entity_name).await.map_err(self.failed(op))?;
        session.done();
        Ok(last)
    }
}
