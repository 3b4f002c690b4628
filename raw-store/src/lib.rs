#![doc = include_str!("../README.md")]

#[macro_use]
mod words;

#[cfg(feature = "test-util")]
pub mod contract;
mod digest;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod lease;
pub mod memory;
#[cfg(feature = "mock")]
pub mod mock;
mod page;
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
pub use identity::{Pipeline, StoreIdentity};
pub use lease::Lease;
#[cfg(feature = "test-util")]
pub use memory::Snapshot;
pub use memory::{MemoryStore, StoredRow};
pub use page::{Altered, PageCommit, PageOutcome, RejectedRow, Row, WindowChange};
#[cfg(feature = "pg")]
pub use postgres::{
    Access, ChannelBinding, DatabaseOptions, NullColumn, PgStore, SchemaDifference, SchemaStatus, SealedRow,
    SealedRowLock, SslMode, UnknownViewSet, ViewSet, ViewsStatus,
};
pub use prepare::{Unstorable, check_storable};
pub use run::{InvalidRunId, Owner, PipelineTotals, RunEnd, RunId, RunRecord, RunStart, RunStatus};
pub use store::{
    Acceptance, ActivityReader, AsOf, AttachmentFile, AttachmentLog, AttachmentRecord, AttachmentState,
    BackfillLog, CallAdmission, CallBudget, CallEnd, CallLedger, CallLimits, CallMonth, CallSlot, ChainLink,
    Confirmation, CoverageMonth, CoverageReader, CoverageStretch, Deviation, DueTriggers,
    EVENT_RETENTION_DAYS, EventLog, Finding, GoneMarks, GoneRecord, HeldLease, HistoryEntry, HistoryFilter,
    HistoryKey, HistoryKind, HistoryOrder, HistoryPhase, HistoryReader, IfMissed, InsertedRows, IssueReader,
    KeptReport, Leases, LineFilter, LineKey, LineageCheck, LogFilter, LogLine, MemberRange, Monitoring,
    NewEvent, NewTrigger, NewestFinding, NumberSearch, OpenWindow, PageComparison, PageSink,
    PipelineProgress, Presence, Quarantine, QuarantineFilter, QuarantineKey, Quarantined, RawInspection,
    RecentPages, Reopen, ReportArchive, RestingTrigger, RowLookup, RowReader, RowRecord, RunFilter, RunKey,
    RunProgress, RunReader, Severity, SourceRefusal, SourceRefusals, StopRequest, Store, TableDigest,
    TableDigests, TableSurvey, Tables, TokenFingerprint, TokenLineage, Trigger, TriggerEnd, TriggerEvent,
    TriggerPlan, TriggerQueue, UnknownPhase, UnknownSelection, UnknownSeverity, Validation, ValidationQuery,
    ValidationResult, ValidationStats, VerificationLog, VerificationRecord, VerifyMethod, VerifyResult,
    WindowFailure, WindowMetrics, WindowSelection, WindowUpdate, WorkerActivity, WorkerBeat, WorkerLog,
    WorkerRecord,
};
pub use table::{InvalidName, SchemaName, TableName};
pub use time::OffsetDateTime;
pub use trigger::{InvalidTriggerName, TriggerName, TriggerState};
pub use window::{InvalidWindow, ScanCursor, UnknownState, Window, WindowCounts, WindowState};
