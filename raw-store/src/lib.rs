#![doc = include_str!("../README.md")]

/// Marks a named point, or one that is passed while a future is in progress; see the module `failpoint`.
#[cfg(feature = "pg")]
macro_rules! point {
    ($name:literal) => {
        #[cfg(feature = "points")]
        crate::failpoint::pass($name);
    };
    ($name:literal, $future:expr) => {{
        #[cfg(feature = "points")]
        let future = crate::failpoint::pass_during($name, $future);
        #[cfg(not(feature = "points"))]
        let future = $future;
        future
    }};
}

#[macro_use]
mod words;

pub mod contract;
mod digest;
mod error;
#[cfg(feature = "points")]
mod failpoint;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod lease;
pub mod memory;
#[cfg(feature = "mock")]
pub mod mock;
mod page;
#[doc(hidden)]
pub mod planted;
#[cfg(feature = "pg")]
pub mod postgres;
pub mod prepare;
mod run;
pub mod store;
mod table;
mod trigger;
mod window;

pub use bytes::Bytes;
pub use error::{Advice, StoreError, StoreErrorKind};
#[cfg(feature = "points")]
#[doc(hidden)]
pub use failpoint::{at_every_point, pass};
pub use identity::{Pipeline, StoreIdentity};
pub use lease::Lease;
pub use memory::{MemoryStore, Snapshot, StoredRow};
pub use page::{Altered, PageCommit, PageOutcome, RejectedRow, Row, WindowChange};
#[cfg(feature = "pg")]
pub use postgres::{
    ChannelBinding, DatabaseOptions, PgStore, SchemaDifference, SchemaStatus, SealedRow, SealedRowLock,
    SslMode,
};
pub use prepare::{Unstorable, check_storable};
pub use run::{InvalidRunId, Owner, PipelineTotals, RunEnd, RunId, RunRecord, RunStart, RunStatus};
pub use store::{
    Acceptance, BackfillLog, CallAdmission, CallEnd, CallLedger, CallLimits, CallMonth, CallSlot, ChainLink,
    Confirmation, Deviation, DueTriggers, Finding, IfMissed, Leases, LineageCheck, LogFilter, LogLine,
    NewTrigger, OpenWindow, PageComparison, PageSink, Quarantine, Quarantined, RawInspection, Reopen,
    Severity, Store, TableSurvey, Tables, TokenFingerprint, TokenLineage, Trigger, TriggerEnd, TriggerEvent,
    TriggerPlan, TriggerQueue, UnknownSeverity, Validation, ValidationQuery, ValidationResult,
    ValidationStats, WindowFailure, WindowMetrics, WindowUpdate,
};
pub use table::{InvalidName, SchemaName, TableName};
pub use time::OffsetDateTime;
pub use trigger::{InvalidTriggerName, TriggerName, TriggerState};
pub use window::{InvalidWindow, ScanCursor, UnknownState, Window, WindowCounts, WindowState};
