#![doc = include_str!("../README.md")]

/// Marks a named point, or one that is passed while a future is under way, see the module `point`.
#[cfg(feature = "pg")]
macro_rules! point {
    ($name:literal) => {
        #[cfg(feature = "points")]
        crate::point::pass($name);
    };
    ($name:literal, $future:expr) => {{
        #[cfg(feature = "points")]
        let future = crate::point::pass_during($name, $future);
        #[cfg(not(feature = "points"))]
        let future = $future;
        future
    }};
}

#[path = "store/calls.rs"]
mod calls;
pub mod contract;
mod digest;
mod error;
#[path = "store/validation.rs"]
mod finding;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[path = "prepare/jsonb_check.rs"]
mod guard;
#[path = "store/inspect.rs"]
mod inspect;
#[path = "prepare/duplicate_keys.rs"]
mod keys;
#[path = "prepare/page.rs"]
mod landing;
mod lease;
#[path = "store/ledger.rs"]
mod log;
mod memory;
mod page;
#[doc(hidden)]
pub mod planted;
#[path = "store/quarantine.rs"]
mod quarantine;
#[cfg(feature = "pg")]
#[path = "postgres/mod.rs"]
mod pg;
#[cfg(feature = "points")]
#[path = "failpoint.rs"]
mod point;
mod run;
mod store;
mod table;
#[path = "store/trigger.rs"]
mod trigger;
mod window;
#[path = "store/lineage.rs"]
mod witness;

pub use bytes::Bytes;
pub use calls::{CallAdmission, CallEnd, CallLedger, CallLimits, CallMonth, CallSlot};
pub use error::{Advice, StoreError, StoreErrorKind};
pub use finding::{Examined, Finding, Inquiry, Severity, Surveyed, UnknownSeverity, Validated, Validation};
pub use guard::{Unstorable, check_storable};
pub use inspect::{Deviation, PageComparison, RawInspection};
pub use lease::{Lease, Owner};
pub use log::{
    BackfillLog, Confirmation, LogFilter, LogLine, OpenWindow, Reopen, ScanCursor, UnknownState,
    WindowFailure, WindowMetrics, WindowState,
};
pub use memory::{MemoryStore, Snapshot, StoredRow};
pub use page::{Altered, PageCommit, PageOutcome, RejectedRow, Row, WindowChange, WindowCounts};
#[cfg(feature = "pg")]
pub use pg::{
    ChannelBinding, DatabaseOptions, PgStore, SchemaDifference, SchemaStatus, SealedRow, SealedRowLock,
    SslMode,
};
#[cfg(feature = "points")]
#[doc(hidden)]
pub use point::{at_every_point, pass};
pub use quarantine::{Acceptance, Quarantine, Quarantined};
pub use run::{InvalidRunId, PipelineTotals, RunEnd, RunId, RunRecord, RunStart, RunStatus};
pub use store::{Pipeline, RawStore, Store, StoreIdentity};
pub use table::{InvalidName, SchemaName, TableName};
pub use time::OffsetDateTime;
pub use trigger::{
    ChainLink, IfMissed, InvalidTriggerName, NewTrigger, Trigger, TriggerBoard, TriggerEnd, TriggerEvent,
    TriggerName, TriggerPlan, TriggerQueue, TriggerState,
};
pub use window::{InvalidWindow, Window};
pub use witness::{ConsentLog, Testimony, Witness};
