//! The store in a schema of a PostgreSQL database.
//!
//! [`PgStore`] implements every trait of [`store`](crate::store). [`DatabaseOptions`] says how to connect, [`SchemaStatus`] and
//! [`SchemaDifference`] describe what was found there. [`SealedRow`] keeps one sealed value for hosts that share a vault.

mod attachments;
mod calls;
mod commit;
mod connect;
mod gone;
mod grants;
mod identity;
mod inspect;
mod lease;
mod lineage;
mod log;
mod migrate;
mod monitoring;
mod presence;
mod refusals;
mod reports;
mod rows;
mod schema;
mod table_digest;
mod scripts;
mod triggers;
mod validation;
mod vault_row;
mod verification;
mod version;
mod views;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deadpool_postgres::Pool;
use failpoint::point;
use time::{Date, OffsetDateTime};

use self::calls::session::CallSession;
use self::commit::{documents, pages, quarantine};
pub use self::connect::{Access, ChannelBinding, DatabaseOptions, SslMode};
use self::connect::{Connector, Session, check_ownership};
use self::lease::heartbeat::{Heartbeat, Moment};
use self::log::{query, runs, windows};
pub use self::schema::{SchemaDifference, SchemaStatus};
pub use self::vault_row::{SealedRow, SealedRowLock};
pub use self::views::{NullColumn, UnknownViewSet, ViewSet, ViewsStatus};
use crate::store::trigger::lease_name;
use crate::{
    AttachmentLog, AttachmentRecord, AttachmentState, BackfillLog, CallAdmission, CallEnd, CallLedger,
    CallLimits, CallMonth, CallSlot, DueTriggers, GoneMarks, GoneRecord, KeptReport, Lease, Leases,
    LineageCheck, LogFilter, LogLine, MemberRange, NewTrigger, OpenWindow, Owner, PageCommit, PageComparison,
    PageOutcome, PageSink, Pipeline, Presence, Quarantine, Quarantined, RawInspection, Reopen, ReportArchive,
    RowLookup, RunEnd, RunId, RunRecord, RunStart, SchemaName, SourceRefusal, SourceRefusals, StoreError,
    StoreErrorKind, StoreIdentity, TableDigest, TableDigests, TableName, TableSurvey, Tables,
    TokenFingerprint, TokenLineage, Trigger, TriggerEnd, TriggerEvent, TriggerName, TriggerQueue, Validation,
    ValidationQuery, ValidationResult, ValidationStats, VerificationLog, VerificationRecord, Window,
    WindowUpdate,
};

/// Runs a piece of work in a session of the store, and names the operation in its error. The session returns to the pool only
/// when its work has ended well.
macro_rules! in_session {
    ($store:ident.$open:ident, $operation:expr, |$session:ident| $work:expr) => {{
        let operation = $operation;
        #[allow(unused_mut, reason = "work with a transaction needs it, a single statement does not")]
        let mut $session = $store.$open(&operation).await?;
        let done = $work.await.map_err($store.failed(&operation))?;
        $session.done();
        Ok(done)
    }};
}
use in_session;

/// The store in one schema of a PostgreSQL database.
///
/// It connects directly or through a pooler in session mode. A pooler that assigns a connection per transaction is refused: the
/// session's settings say which schema is meant, and leases are identified by their connection. It needs a tokio runtime.
#[derive(Debug)]
pub struct PgStore {
    schema: SchemaName,
    connector: Connector,
    pool: Pool,
    heart: Arc<Heartbeat>,
    calls: Arc<CallSession>,
    /// Whether the schema is known to have the version that this program needs.
    ready: AtomicBool,
}

impl PgStore {
    /// Connects, and checks that the database can hold what is sent. Creates nothing.
    pub async fn connect(options: DatabaseOptions, schema: SchemaName) -> Result<Self, StoreError> {
        let made = Connector::new(&options, &schema)
            .and_then(|connector| Ok((connector.pool(options.pool_size)?, connector)))
            .map_err(|kind| StoreError::new("preparing the connection", kind));
        let (pool, connector) = made?;
        let heart = Arc::new(Heartbeat::new(connector.clone(), options.lease_time));
        let calls = Arc::new(CallSession::new(connector.clone()));
        let store = Self { schema, connector, pool, heart, calls, ready: AtomicBool::new(false) };
        let op = "connecting to the database";
        let session = store.any_session(op).await?;
        let checked = Box::pin(check_ownership(&store.connector, &session)).await;
        checked.map_err(store.failed(op))?;
        schema::check_encoding(&session).await.map_err(store.failed(op))?;
        session.done();
        Ok(store)
    }

    /// Creates the schema, or migrates it to the version of this program. Changes nothing if the schema is up to date.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let op = "setting up the schema";
        let mut session = self.any_session(op).await?;
        migrate::migrate(&mut session, &self.schema).await.map_err(self.failed(op))?;
        session.done();
        // With its settings and its lock it does not return to the pool.
        let op = "indexing the raw tables";
        let mut session = self.any_session(op).await?;
        migrate::build_indexes(&mut session, &self.schema).await.map_err(self.failed(op))
    }

    /// Reads the version, the company and the tables of the schema.
    pub async fn schema_status(&self) -> Result<SchemaStatus, StoreError> {
        in_session!(self.any_session, "inspecting the schema", |session| schema::status(&session))
    }

    /// Compares tables, columns, types and primary keys with what this program expects; empty if there is no difference.
    pub async fn check(&self) -> Result<Vec<SchemaDifference>, StoreError> {
        in_session!(self.any_session, "checking the schema", |session| schema::differences(&***session))
    }

    /// The statements that would grant this role what loading needs and it lacks; empty if nothing is missing.
    pub async fn missing_grants(&self) -> Result<Vec<Box<str>>, StoreError> {
        in_session!(self.any_session, "checking the role's rights", |session| grants::missing(
            &session,
            &self.schema,
            &schema::ledger()
        ))
    }

    /// Checks that the schema is set up and that this role has every privilege that loading needs.
    pub async fn ensure_loadable(&self) -> Result<(), StoreError> {
        let missing = self.missing_grants().await?;
        if !missing.is_empty() {
            let lacks = StoreErrorKind::Lacks(missing.join("; ").into());
            return Err(StoreError::new("checking the role's rights", lacks));
        }
        self.session("checking the schema").await?.done();
        Ok(())
    }

    /// Creates the roles of `sql/roles/roles.sql`, and grants each what it needs and nothing more.
    pub async fn create_roles(&self) -> Result<(), StoreError> {
        in_session!(self.session, "creating the roles", |session| migrate::create_roles(
            &mut session,
            &self.schema
        ))
    }

    /// Installs a set of views over this schema's raw tables into schema `target`, or upgrades it there, in one transaction. Raw
    /// tables that are missing are created, empty. The views show payloads: only their owner, and `reader` if it is given, may
    /// read them. Fails with [`SchemaTaken`](StoreErrorKind::SchemaTaken) if the schema holds something else.
    pub async fn install_views(
        &self,
        set: ViewSet,
        target: &SchemaName,
        reader: Option<&str>,
    ) -> Result<(), StoreError> {
        let op = "installing the views";
        let mut session = self.session(op).await?;
        // With the settings of the scripts it does not return to the pool.
        views::install(&mut session, set, (&self.schema, target), reader).await.map_err(self.failed(op))
    }

    /// Drops a set of views, and schema `target` if nothing else is in it. Returns whether anything was installed. Fails with
    /// [`ViewsInUse`](StoreErrorKind::ViewsInUse) if other objects of the database read the views.
    pub async fn drop_views(&self, set: ViewSet, target: &SchemaName) -> Result<bool, StoreError> {
        in_session!(self.session, "dropping the views", |session| views::drop(
            &mut session,
            set,
            (&self.schema, target)
        ))
    }

    /// Describes what schema `target` has of a set of views.
    pub async fn views_status(&self, set: ViewSet, target: &SchemaName) -> Result<ViewsStatus, StoreError> {
        in_session!(self.session, "inspecting the views", |session| views::status(&session, set, target))
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

    /// The session for calls, in a schema of the right version.
    async fn calls(&self, op: &str) -> Result<&Arc<CallSession>, StoreError> {
        if !self.ready.load(Ordering::Relaxed) {
            self.session(op).await?.done();
        }
        Ok(&self.calls)
    }

    /// Takes the lease of this name, and keeps it.
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

    /// Builds an error of an operation, and names the schema that is not set up.
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
impl Tables for PgStore {
    async fn bind(&self, identity: &StoreIdentity) -> Result<(), StoreError> {
        in_session!(self.session, "binding the schema to a company", |session| identity::bind(
            &session, identity
        ))
    }

    async fn identity(&self) -> Result<Option<StoreIdentity>, StoreError> {
        in_session!(self.session, "reading the schema's company", |session| identity::bound(&***session))
    }

    async fn prepare(&self, pipeline: &Pipeline) -> Result<(), StoreError> {
        in_session!(self.session, format!("preparing table {}", pipeline.table), |session| migrate::prepare(
            &mut session,
            &self.schema,
            &pipeline.table
        ))
    }

    async fn count_rows(&self, pipeline: &Pipeline) -> Result<u64, StoreError> {
        in_session!(self.session, format!("counting the rows of {}", pipeline.table), |session| {
            documents::count_rows(&session, &pipeline.table)
        })
    }
}

#[async_trait]
impl Leases for PgStore {
    async fn acquire(&self, pipeline: &Pipeline, holder: &str) -> Result<Lease, StoreError> {
        let op = format!("acquiring pipeline {}", pipeline.entity_name);
        self.take_lease(&op, &pipeline.entity_name, holder).await
    }

    async fn lost(&self, lease: &Lease) -> StoreError {
        self.heart.lost(lease).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let op = format!("releasing pipeline {}", lease.entity_name);
        self.heart.forget(lease);
        let session = self.session(&op).await?;
        lease::release(&session, lease).await.map_err(self.failed(&op))?;
        point!("lease.released");
        session.done();
        Ok(())
    }
}

#[async_trait]
impl PageSink for PgStore {
    async fn commit_page(&self, page: &PageCommit) -> Result<PageOutcome, StoreError> {
        in_session!(self.session, format!("storing a page of {}", page.pipeline.entity_name), |session| {
            commit::commit(&mut session, page)
        })
    }
}

#[async_trait]
impl CallLedger for PgStore {
    async fn admit(&self, limits: &CallLimits, good_for: Duration) -> Result<CallAdmission, StoreError> {
        let op = "requesting a permit for a call";
        self.calls(op).await?.admit(limits, good_for).await.map_err(self.failed(op))
    }

    async fn conclude(&self, slot: &CallSlot, end: CallEnd) -> Result<(), StoreError> {
        let op = "recording a call";
        self.calls(op).await?.conclude(slot, end).await.map_err(self.failed(op))
    }

    async fn pause(&self, limits: &CallLimits, pause: Duration) -> Result<Duration, StoreError> {
        let op = "pausing all calls";
        self.calls(op).await?.pause(limits, pause).await.map_err(self.failed(op))
    }

    async fn failing(&self, apart: Duration) -> Result<(), StoreError> {
        let op = "recording that the source fails";
        self.calls(op).await?.failing(apart).await.map_err(self.failed(op))
    }

    async fn month(&self) -> Result<CallMonth, StoreError> {
        let op = "reading the calls of this month";
        self.calls(op).await?.month().await.map_err(self.failed(op))
    }
}

#[async_trait]
impl TriggerQueue for PgStore {
    async fn add(&self, triggers: &[NewTrigger], by: &str) -> Result<(), StoreError> {
        in_session!(self.session, "adding a trigger", |session| triggers::add(&mut session, triggers, by))
    }

    async fn triggers(&self) -> Result<(Vec<Trigger>, OffsetDateTime), StoreError> {
        in_session!(self.session, "listing the triggers", |session| triggers::all(&session))
    }

    async fn trigger_history(&self, name: &TriggerName) -> Result<Vec<TriggerEvent>, StoreError> {
        in_session!(self.session, "reading the history of a trigger", |session| triggers::history(
            &session, name
        ))
    }

    async fn poll(&self, missed_after: Duration) -> Result<DueTriggers, StoreError> {
        in_session!(self.session, "polling for due triggers", |session| triggers::poll(
            &session,
            missed_after
        ))
    }

    async fn claim(&self, name: &TriggerName, holder: &str) -> Result<Lease, StoreError> {
        self.take_lease("claiming a trigger", &lease_name(name), holder).await
    }

    async fn fire(
        &self,
        lease: &Lease,
        name: &TriggerName,
        run: &RunStart,
    ) -> Result<Option<Trigger>, StoreError> {
        in_session!(self.session, "firing a trigger", |session| triggers::fire(
            &mut session,
            lease,
            name,
            run
        ))
    }

    async fn finish(&self, lease: &Lease, name: &TriggerName, end: &TriggerEnd) -> Result<(), StoreError> {
        in_session!(self.session, "recording the end of a trigger", |session| triggers::finish(
            &mut session,
            lease,
            name,
            end
        ))
    }

    async fn cancel(&self, name: &TriggerName, by: &str) -> Result<Trigger, StoreError> {
        in_session!(self.session, "cancelling a trigger", |session| triggers::cancel(&mut session, name, by))
    }

    async fn rearm(
        &self,
        name: &TriggerName,
        fire_at: OffsetDateTime,
        seen: Option<u32>,
        by: &str,
    ) -> Result<Trigger, StoreError> {
        in_session!(self.session, "arming a trigger again", |session| triggers::rearm(
            &mut session,
            name,
            fire_at,
            (seen, by)
        ))
    }
}

#[async_trait]
impl RawInspection for PgStore {
    async fn clock(&self) -> Result<OffsetDateTime, StoreError> {
        in_session!(self.session, "reading the database's clock", |session| inspect::clock(&session))
    }

    async fn compare(&self, page: &PageCommit) -> Result<PageComparison, StoreError> {
        in_session!(self.session, format!("comparing a page of {}", page.pipeline.entity_name), |session| {
            inspect::compare(&session, page)
        })
    }

    async fn stored_ids(
        &self,
        pipeline: &Pipeline,
        span: Option<Window>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Box<str>>, StoreError> {
        in_session!(self.session, format!("reading {}", pipeline.table), |session| {
            inspect::stored_ids(&session, &pipeline.table, span, (after, limit))
        })
    }

    async fn count_live(&self, pipeline: &Pipeline, windows: &[Window]) -> Result<Vec<u64>, StoreError> {
        in_session!(self.session, format!("counting the live rows of {}", pipeline.table), |session| {
            inspect::count_live(&session, &pipeline.table, windows)
        })
    }
}

#[async_trait]
impl TableDigests for PgStore {
    async fn table_digest(&self, pipeline: &Pipeline) -> Result<TableDigest, StoreError> {
        in_session!(self.session, format!("summing up {}", pipeline.table), |session| {
            table_digest::sum(&session, &pipeline.table)
        })
    }
}

#[async_trait]
impl GoneMarks for PgStore {
    async fn mark_gone(
        &self,
        pipeline: &Pipeline,
        lease: &Lease,
        gone: &[GoneRecord],
        found_at: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        in_session!(self.session, format!("marking rows of {} as gone", pipeline.table), |session| {
            gone::mark(&mut session, (&pipeline.table, lease), gone, found_at)
        })
    }
}

#[async_trait]
impl VerificationLog for PgStore {
    async fn keep_verifications(&self, records: &[VerificationRecord]) -> Result<(), StoreError> {
        in_session!(self.session, "keeping the result of a verification", |session| verification::keep(
            &mut session,
            records
        ))
    }

    async fn last_verifications(&self) -> Result<Vec<VerificationRecord>, StoreError> {
        in_session!(self.session, "reading the results of verifications", |session| verification::last(
            &session
        ))
    }
}

#[async_trait]
impl RowLookup for PgStore {
    async fn presence(
        &self,
        pipeline: &Pipeline,
        ids: &[Box<str>],
        member: &str,
    ) -> Result<Vec<Presence>, StoreError> {
        in_session!(self.session, format!("looking up rows of {}", pipeline.table), |session| {
            presence::presence(&session, &pipeline.table, ids, member)
        })
    }

    async fn ids_between(
        &self,
        pipeline: &Pipeline,
        between: &MemberRange,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Box<str>>, StoreError> {
        in_session!(self.session, format!("reading {}", pipeline.table), |session| {
            presence::ids_between(&session, &pipeline.table, between, (after, limit))
        })
    }
}

#[async_trait]
impl ReportArchive for PgStore {
    async fn keep_report(&self, table: &TableName, report: &KeptReport) -> Result<(), StoreError> {
        in_session!(self.session, format!("keeping a report in {table}"), |session| reports::keep(
            &session, table, report
        ))
    }

    async fn kept_report(&self, table: &TableName, question: &str) -> Result<Option<KeptReport>, StoreError> {
        in_session!(self.session, format!("reading a report of {table}"), |session| reports::kept(
            &session, table, question
        ))
    }
}

#[async_trait]
impl Validation for PgStore {
    async fn examine<'a>(&self, inquiry: &ValidationQuery<'a>) -> Result<ValidationStats, StoreError> {
        in_session!(self.session, format!("examining {}", inquiry.pipeline.table), |session| {
            validation::examine(&mut session, inquiry)
        })
    }

    async fn survey(
        &self,
        pipeline: &Pipeline,
        windows: &[Window],
        enough: u64,
    ) -> Result<TableSurvey, StoreError> {
        in_session!(self.session, format!("counting rows of {}", pipeline.table), |session| {
            validation::survey(&mut session, pipeline, windows, enough)
        })
    }

    async fn made_by_day<'a>(
        &self,
        pipeline: &Pipeline,
        window: Window,
        created: &[&'a str],
    ) -> Result<Vec<(Date, u64)>, StoreError> {
        in_session!(self.session, format!("counting rows of {} by day", pipeline.table), |session| {
            validation::made_by_day(&mut session, &pipeline.table, window, created)
        })
    }

    async fn replaced(&self, entity_name: &str) -> Result<u64, StoreError> {
        in_session!(self.session, "reading the totals of the runs", |session| validation::replaced(
            &session,
            entity_name
        ))
    }

    async fn looked_over(
        &self,
        entity_name: &str,
        runs: &[RunId],
        kind: &str,
    ) -> Result<Vec<RunId>, StoreError> {
        in_session!(self.session, "reading the validation results", |session| validation::looked_over(
            &session,
            entity_name,
            runs,
            kind
        ))
    }

    async fn sound_ranges(
        &self,
        pipeline: &Pipeline,
        span: Window,
        since: OffsetDateTime,
        kind: &str,
    ) -> Result<Vec<(Window, OffsetDateTime)>, StoreError> {
        in_session!(self.session, "reading the validation results", |session| validation::sound_ranges(
            &session,
            pipeline,
            span,
            (since, kind)
        ))
    }

    async fn keep_validated(&self, run: &RunId, validated: &[ValidationResult]) -> Result<(), StoreError> {
        in_session!(self.session, "keeping findings", |session| validation::keep(
            &mut session,
            run,
            validated
        ))
    }

    async fn validated(&self, run: &RunId) -> Result<Vec<ValidationResult>, StoreError> {
        in_session!(self.session, "reading findings", |session| validation::validated(&session, run))
    }
}

#[async_trait]
impl Quarantine for PgStore {
    async fn quarantined<'a>(&self, entity_name: Option<&'a str>) -> Result<Vec<Quarantined>, StoreError> {
        in_session!(self.session, "listing the quarantine", |session| quarantine::list(&session, entity_name))
    }

    async fn quarantined_bytes(&self, entity_name: &str, digest: &str) -> Result<Option<Bytes>, StoreError> {
        in_session!(self.session, "reading from the quarantine", |session| quarantine::bytes(
            &session,
            entity_name,
            digest
        ))
    }

    async fn open_quarantine(&self, pipelines: &[Pipeline], span: Option<Window>) -> Result<u64, StoreError> {
        in_session!(self.session, "counting open records in quarantine", |session| quarantine::open(
            &session, pipelines, span
        ))
    }

    async fn accept_quarantined(
        &self,
        entity_name: &str,
        digest: &str,
        by: &str,
        reason: &str,
    ) -> Result<Option<Quarantined>, StoreError> {
        in_session!(self.session, "accepting a record in quarantine", |session| quarantine::accept(
            &session,
            (entity_name, digest),
            (by, reason)
        ))
    }

    async fn resolve_quarantine<'a>(&self, owner: Owner<'a>) -> Result<u64, StoreError> {
        in_session!(
            self.session,
            format!("resolving the quarantine of {}", owner.pipeline.entity_name),
            |session| quarantine::resolve(&mut session, owner)
        )
    }
}

#[async_trait]
impl TokenLineage for PgStore {
    async fn testify(&self, seen: &TokenFingerprint) -> Result<LineageCheck, StoreError> {
        in_session!(self.session, "comparing the consent with its lineage", |session| {
            lineage::testify(&session, seen)
        })
    }
}

#[async_trait]
impl BackfillLog for PgStore {
    async fn begin_run(&self, run: &RunStart) -> Result<(), StoreError> {
        in_session!(self.session, "recording the start of a run", |session| runs::begin(&mut session, run))
    }

    async fn finish_run(&self, run: &RunId, end: &RunEnd) -> Result<(), StoreError> {
        in_session!(self.session, "recording the end of a run", |session| runs::finish(
            &mut session,
            run,
            end
        ))
    }

    async fn open_windows<'a>(
        &self,
        owner: Owner<'a>,
        windows: &[Window],
        reopen: Reopen,
    ) -> Result<Vec<OpenWindow>, StoreError> {
        let asked = windows::Asked::new(owner, windows);
        in_session!(self.session, format!("opening windows of {}", owner.pipeline.entity_name), |session| {
            windows::open(&mut session, &asked, reopen)
        })
    }

    async fn update_windows<'a>(
        &self,
        owner: Owner<'a>,
        windows: &[Window],
        update: WindowUpdate<'a>,
    ) -> Result<(), StoreError> {
        let asked = windows::Asked::new(owner, windows);
        let operation = windows::operation(&owner.pipeline.entity_name, update);
        in_session!(self.session, operation, |session| windows::update(&mut session, &asked, update))
    }

    async fn lines(&self, filter: &LogFilter) -> Result<Vec<LogLine>, StoreError> {
        in_session!(self.session, "reading the log", |session| query::lines(&session, filter))
    }

    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        in_session!(self.session, "reading the runs", |session| runs::newest(&session, limit))
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>, StoreError> {
        in_session!(self.session, "reading a run", |session| runs::one(&***session, run))
    }

    async fn request_stop(&self, run: &RunId, by: &str) -> Result<bool, StoreError> {
        in_session!(self.session, "asking a run to stop", |session| runs::request_stop(&session, run, by))
    }

    async fn stop_requested(&self, run: &RunId) -> Result<bool, StoreError> {
        in_session!(self.session, "checking whether a run was asked to stop", |session| runs::stop_requested(
            &session, run
        ))
    }

    async fn last_page(&self, run: &RunId, entity_name: &str) -> Result<u32, StoreError> {
        in_session!(self.session, "reading the pages of a run", |session| pages::last(
            &session,
            run,
            entity_name
        ))
    }
}

#[async_trait]
impl SourceRefusals for PgStore {
    async fn refusals(&self) -> Result<Vec<SourceRefusal>, StoreError> {
        in_session!(self.session, "reading what the source refuses", |session| refusals::all(&session))
    }

    async fn keep_refusals(&self, refusals: &[SourceRefusal]) -> Result<(), StoreError> {
        in_session!(self.session, "noting what the source refuses", |session| refusals::keep(
            &session, refusals
        ))
    }
}

#[async_trait]
impl AttachmentLog for PgStore {
    async fn attachments(
        &self,
        pipeline: &Pipeline,
        after: &str,
        limit: u32,
    ) -> Result<Vec<AttachmentState>, StoreError> {
        in_session!(self.session, "reading which attachments were downloaded", |session| attachments::all(
            &session,
            &pipeline.table,
            after,
            limit
        ))
    }

    async fn keep_attachment(&self, record: &AttachmentRecord) -> Result<(), StoreError> {
        in_session!(self.session, "recording a downloaded attachment", |session| attachments::keep(
            &session, record
        ))
    }
}
