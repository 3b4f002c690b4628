//! The errors of this crate, with the advice that each gives to its caller.

use time::OffsetDateTime;
use time::macros::format_description;

use crate::{StoreIdentity, TriggerName, TriggerState};

/// A store operation that failed, with the reason.
///
/// Displays as one line in this crate's own words, with at most SQLSTATE, table and constraint. The server's own text may quote
/// the row it complains about, so it is never carried.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {kind}")]
pub struct StoreError {
    /// The operation that failed, such as `storing a page of invoices`.
    pub operation: Box<str>,
    /// The cause.
    pub kind: StoreErrorKind,
}

/// The cause of a [`StoreError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The server cannot be reached, is restarting, or cut the connection.
    #[error("the database is not reachable ({0})")]
    Unavailable(Box<str>),
    /// The server refused the login, or the database does not exist.
    #[error("the database refused the login (SQLSTATE {0})")]
    LoginRefused(Box<str>),
    /// The connection could not be made as securely as requested.
    #[error("no secure connection to the database ({0})")]
    Insecure(Box<str>),
    /// The session does not have the properties the store needs: a pooler in between drops settings, or shares the session with
    /// other clients.
    #[error("the session with the database cannot be used: {0}")]
    Session(Box<str>),
    /// A lock or statement took too long, or the transaction lost against a concurrent one.
    #[error("the database was too busy (SQLSTATE {0})")]
    Busy(Box<str>),
    /// The server is out of disk space or memory.
    #[error("the database has no room left (SQLSTATE {0})")]
    Full(Box<str>),
    /// The server accepts no changes: it is a standby, or a primary that its provider or an administrator made read-only.
    #[error("the database accepts no changes now: it is read-only (SQLSTATE 25006)")]
    ReadOnly,
    /// The role lacks a privilege.
    #[error("permission denied for {0} (SQLSTATE 42501)")]
    Forbidden(Box<str>),
    /// The role lacks privileges that loading needs; holds the statements that grant them.
    #[error("the role lacks rights that loading needs (SQLSTATE 42501)")]
    Lacks(Box<str>),
    /// The schema, or one of its tables, is missing.
    #[error("schema {0} is not set up")]
    NotSetUp(Box<str>),
    /// The schema is older than this program.
    #[error("the schema has version {found}, this program needs {wanted}")]
    Older {
        /// Version found in the database.
        found: i32,
        /// Version this program needs.
        wanted: i32,
    },
    /// The schema is newer than this program.
    #[error("the schema has version {found}, this program knows only {known}")]
    Newer {
        /// Version found in the database.
        found: i32,
        /// Version this program knows.
        known: i32,
    },
    /// A table does not have the expected shape: it was changed by hand.
    #[error("the schema differs from what is expected: {0}")]
    Differs(Box<str>),
    /// The log no longer holds what this run has committed: the database was restored to an earlier state.
    #[error(
        "the database no longer holds what this run committed for {0}: it was restored to an earlier state, or a standby \
         that lagged behind took over"
    )]
    LogMoved(Box<str>),
    /// A table does not hold what was written to it: something in the database drops or changes rows as they are inserted.
    #[error(
        "{table} does not hold {rows} of the rows that were written to it: a trigger, rule or row policy of the table drops \
         or changes them"
    )]
    RowsAltered {
        /// Table that was written to.
        table: Box<str>,
        /// Number of rows that are missing or changed.
        rows: u64,
    },
    /// The schema is bound to another company.
    #[error("the schema holds {bound}, not {asked}")]
    OtherCompany {
        /// Company that the schema is bound to.
        bound: StoreIdentity,
        /// Company that was requested.
        asked: StoreIdentity,
    },
    /// The schema for views holds something else.
    #[error("schema {schema} holds {reason}")]
    SchemaTaken {
        /// Name of the schema.
        schema: Box<str>,
        /// What it holds, such as `the views over schema raw_b`.
        reason: Box<str>,
    },
    /// Other objects of the database read the views of this schema, so that they cannot be dropped.
    #[error("other views or tables of the database are built on the views of schema {0}")]
    ViewsInUse(Box<str>),
    /// Another live process owns the pipeline.
    #[error("pipeline {entity_name} is held by {holder} since {}", utc(*since))]
    LeaseHeld {
        /// Name of the pipeline in the log (`entity_name`).
        entity_name: Box<str>,
        /// Text that the owner gave when it acquired the lease, such as a host and process id.
        holder: Box<str>,
        /// When the owner acquired the lease, by the store's clock.
        since: OffsetDateTime,
    },
    /// This process owned the pipeline and has lost its lease.
    #[error(
        "lost the lease on pipeline {0}: another process took over, or this one was disconnected for too long"
    )]
    LeaseLost(Box<str>),
    /// A trigger of this name exists already.
    #[error("trigger {0} exists already")]
    TriggerExists(TriggerName),
    /// A chain of this name exists already.
    #[error("chain {0} exists already")]
    ChainExists(Box<str>),
    /// No trigger of this name exists.
    #[error("there is no trigger {0}")]
    UnknownTrigger(TriggerName),
    /// The trigger's present state does not allow the operation.
    #[error("trigger {name} is {}", state.as_str())]
    TriggerState {
        /// Name of the trigger.
        name: TriggerName,
        /// Present state of the trigger.
        state: TriggerState,
    },
    /// The trigger was armed again since the caller looked at it.
    #[error("trigger {name} was armed again{} since it was looked at", by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default())]
    TriggerChanged {
        /// Name of the trigger.
        name: TriggerName,
        /// How often it has been armed by now.
        armings: u32,
        /// Who armed it last, if that is known.
        by: Option<Box<str>>,
    },
    /// The database's address holds a password, which would be seen wherever the address is.
    #[error("a password in the database URL is refused")]
    PasswordInAddress,
    /// A setting cannot be used.
    #[error("{0}")]
    Configuration(Box<str>),
    /// Any other error the server reported: a bug, or a schema that was changed by hand.
    #[error("the database refused the statement (SQLSTATE {sqlstate}{at})")]
    Refused {
        /// SQLSTATE, five characters.
        sqlstate: Box<str>,
        /// ` in TABLE` and ` by CONSTRAINT` where they are known, otherwise empty.
        at: Box<str>,
    },
}

/// Formats an instant for people, to the second.
fn utc(moment: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    moment.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}

/// What a caller can do about a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Repeat the same call; it may succeed soon.
    Retry,
    /// A person must first change the database or its settings.
    FixDatabase,
    /// A person must correct the request.
    FixRequest,
    /// Another process is at work: wait for it or stop it.
    WaitForOther,
}

impl StoreError {
    /// Builds an error of one operation.
    pub fn new(operation: impl Into<Box<str>>, kind: StoreErrorKind) -> Self {
        Self { operation: operation.into(), kind }
    }

    /// Stable code for programs that sort logs. It does not change between versions.
    pub fn code(&self) -> &'static str {
        use StoreErrorKind as Kind;
        match &self.kind {
            Kind::Unavailable(_) => "store.unavailable",
            Kind::LoginRefused(_) => "store.login_refused",
            Kind::Insecure(_) => "store.insecure",
            Kind::Session(_) => "store.session",
            Kind::Busy(_) => "store.busy",
            Kind::Full(_) => "store.full",
            Kind::ReadOnly => "store.read_only",
            Kind::Forbidden(_) => "store.forbidden",
            Kind::Lacks(_) => "store.lacks_rights",
            Kind::NotSetUp(_) => "store.not_set_up",
            Kind::Older { .. } => "store.older_schema",
            Kind::Newer { .. } => "store.newer_schema",
            Kind::Differs(_) => "store.differs",
            Kind::LogMoved(_) => "store.log_moved",
            Kind::RowsAltered { .. } => "store.rows_altered",
            Kind::OtherCompany { .. } => "store.other_company",
            Kind::SchemaTaken { .. } => "store.schema_taken",
            Kind::ViewsInUse(_) => "store.views_in_use",
            Kind::LeaseHeld { .. } => "store.lease_held",
            Kind::LeaseLost(_) => "store.lease_lost",
            Kind::TriggerExists(_) => "store.trigger_exists",
            Kind::ChainExists(_) => "store.chain_exists",
            Kind::UnknownTrigger(_) => "store.unknown_trigger",
            Kind::TriggerState { .. } => "store.trigger_state",
            Kind::TriggerChanged { .. } => "store.trigger_changed",
            Kind::PasswordInAddress | Kind::Configuration(_) => "store.configuration",
            Kind::Refused { .. } => "store.refused",
        }
    }

    /// What the caller can do about it.
    pub fn advice(&self) -> Advice {
        use StoreErrorKind as Kind;
        match &self.kind {
            Kind::Unavailable(_) | Kind::Busy(_) | Kind::ReadOnly => Advice::Retry,
            Kind::LoginRefused(_)
            | Kind::Insecure(_)
            | Kind::Session(_)
            | Kind::Full(_)
            | Kind::Forbidden(_)
            | Kind::Lacks(_)
            | Kind::NotSetUp(_)
            | Kind::Older { .. }
            | Kind::Newer { .. }
            | Kind::Differs(_)
            | Kind::LogMoved(_)
            | Kind::RowsAltered { .. }
            | Kind::OtherCompany { .. }
            | Kind::ViewsInUse(_)
            | Kind::Refused { .. } => Advice::FixDatabase,
            Kind::PasswordInAddress
            | Kind::Configuration(_)
            | Kind::SchemaTaken { .. }
            | Kind::TriggerExists(_)
            | Kind::ChainExists(_)
            | Kind::UnknownTrigger(_)
            | Kind::TriggerState { .. }
            | Kind::TriggerChanged { .. } => Advice::FixRequest,
            Kind::LeaseHeld { .. } | Kind::LeaseLost(_) => Advice::WaitForOther,
        }
    }
}
