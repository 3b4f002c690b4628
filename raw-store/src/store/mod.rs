//! What a store can do, as traits by who needs what, and the values in their signatures.
//!
//! [`Tables`] prepares the schema for a company and its pipelines, [`Leases`] says which process may write, [`PageSink`] commits
//! pages, [`BackfillLog`] records windows and runs, [`RawInspection`] compares without changing, [`Quarantine`] holds what could
//! not become a row, [`GoneMarks`] marks what the source no longer has, [`SourceRefusals`] keeps what the source refuses,
//! [`VerificationLog`] keeps what verifications have shown, [`RowLookup`] finds rows by id, [`ReportArchive`] keeps reports of
//! the source: together they are a [`Store`]. [`Validation`] examines what is stored, [`TableDigests`] sums it up,
//! [`TriggerQueue`] arms runs, [`CallLedger`] shares the limits of the source, [`AttachmentLog`] records downloaded files, and
//! [`TokenLineage`] tells copies of a vault apart. [`Monitoring`] shows people what the store holds, [`EventLog`] and
//! [`WorkerLog`] record what is only for them.

mod attachments;
pub(crate) mod calls;
mod gone;
mod inspect;
mod leases;
mod ledger;
mod lineage;
pub(crate) mod monitoring;
mod page_sink;
mod presence;
mod quarantine;
mod refusals;
mod reports;
mod table_digest;
mod tables;
pub(crate) mod trigger;
mod validation;
mod verification;

#[cfg(feature = "mock")]
pub use attachments::MockAttachmentLog;
pub use attachments::{AttachmentFile, AttachmentLog, AttachmentRecord, AttachmentState};
#[cfg(feature = "mock")]
pub use calls::MockCallLedger;
pub use calls::{CallAdmission, CallEnd, CallLedger, CallLimits, CallMonth, CallSlot};
#[cfg(feature = "mock")]
pub use gone::MockGoneMarks;
pub use gone::{GoneMarks, GoneRecord};
#[cfg(feature = "mock")]
pub use inspect::MockRawInspection;
pub use inspect::{Deviation, PageComparison, RawInspection};
pub use leases::Leases;
#[cfg(feature = "mock")]
pub use leases::MockLeases;
#[cfg(feature = "mock")]
pub use ledger::MockBackfillLog;
pub use ledger::{
    BackfillLog, Confirmation, LogFilter, LogLine, OpenWindow, Reopen, WindowFailure, WindowMetrics,
    WindowUpdate,
};
#[cfg(feature = "mock")]
pub use lineage::MockTokenLineage;
pub use lineage::{LineageCheck, TokenFingerprint, TokenLineage};
pub use monitoring::{
    ActivityReader, AsOf, CallBudget, CoverageMonth, CoverageReader, CoverageStretch, EVENT_RETENTION_DAYS,
    EventLog, HeldLease, HistoryEntry, HistoryFilter, HistoryKey, HistoryKind, HistoryOrder, HistoryPhase,
    HistoryReader, InsertedRows, IssueReader, LineFilter, LineKey, Monitoring, NewEvent, NewestFinding,
    NumberSearch, PipelineProgress, QuarantineFilter, QuarantineKey, RecentPages, RestingTrigger, RowReader,
    RowRecord, RunFilter, RunKey, RunProgress, RunReader, StopRequest, UnknownPhase, WorkerActivity,
    WorkerBeat, WorkerLog, WorkerRecord,
};
#[cfg(feature = "mock")]
pub use monitoring::{
    MockActivityReader, MockCoverageReader, MockEventLog, MockHistoryReader, MockIssueReader, MockRowReader,
    MockRunReader, MockWorkerLog,
};
#[cfg(feature = "mock")]
pub use page_sink::MockPageSink;
pub use page_sink::PageSink;
#[cfg(feature = "mock")]
pub use presence::MockRowLookup;
pub use presence::{MemberRange, Presence, RowLookup};
#[cfg(feature = "mock")]
pub use quarantine::MockQuarantine;
pub use quarantine::{Acceptance, Quarantine, Quarantined};
#[cfg(feature = "mock")]
pub use refusals::MockSourceRefusals;
pub use refusals::{SourceRefusal, SourceRefusals};
#[cfg(feature = "mock")]
pub use reports::MockReportArchive;
pub use reports::{KeptReport, ReportArchive};
#[cfg(feature = "mock")]
pub use table_digest::MockTableDigests;
pub use table_digest::{TableDigest, TableDigests};
#[cfg(feature = "mock")]
pub use tables::MockTables;
pub use tables::Tables;
#[cfg(feature = "mock")]
pub use trigger::MockTriggerQueue;
pub use trigger::{
    ChainLink, DueTriggers, IfMissed, NewTrigger, Trigger, TriggerEnd, TriggerEvent, TriggerPlan,
    TriggerQueue, UnknownSelection, WindowSelection,
};
#[cfg(feature = "mock")]
pub use validation::MockValidation;
pub use validation::{
    Finding, Severity, TableSurvey, UnknownSeverity, Validation, ValidationQuery, ValidationResult,
    ValidationStats,
};

#[cfg(feature = "mock")]
pub use verification::MockVerificationLog;
pub use verification::{VerificationLog, VerificationRecord, VerifyMethod, VerifyResult};

/// Everything that a run needs of a store. Code that needs less asks for one of its traits.
pub trait Store:
    Tables
    + Leases
    + PageSink
    + BackfillLog
    + RawInspection
    + Quarantine
    + GoneMarks
    + SourceRefusals
    + VerificationLog
    + RowLookup
    + ReportArchive
{
}

impl<
    T: Tables
        + Leases
        + PageSink
        + BackfillLog
        + RawInspection
        + Quarantine
        + GoneMarks
        + SourceRefusals
        + VerificationLog
        + RowLookup
        + ReportArchive,
> Store for T
{
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn Store) = |_| ();
