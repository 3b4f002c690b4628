//! What a store can do, as traits by who needs what, and the values in their signatures.
//!
//! [`RawStore`] commits pages, [`BackfillLog`] records windows and runs, [`RawInspection`] compares without changing,
//! [`Quarantine`] holds what could not become a row: together they are a [`Store`]. [`Validation`] examines what is stored,
//! [`TriggerQueue`] arms runs, [`CallLedger`] shares the limits of the source, and [`TokenLineage`] tells copies of a vault
//! apart.

pub(crate) mod calls;
mod inspect;
mod ledger;
mod lineage;
mod quarantine;
pub(crate) mod trigger;
mod validation;

use std::fmt;

use async_trait::async_trait;

use crate::{Lease, PageCommit, PageOutcome, Pipeline, StoreError, StoreIdentity};

pub use calls::{CallAdmission, CallEnd, CallLedger, CallLimits, CallMonth, CallSlot};
pub use inspect::{Deviation, PageComparison, RawInspection};
pub use ledger::{
    BackfillLog, Confirmation, LogFilter, LogLine, OpenWindow, Reopen, WindowFailure, WindowMetrics,
    WindowUpdate,
};
pub use lineage::{LineageCheck, TokenFingerprint, TokenLineage};
pub use quarantine::{Acceptance, Quarantine, Quarantined};
pub use trigger::{
    ChainLink, DueTriggers, IfMissed, NewTrigger, Trigger, TriggerEnd, TriggerEvent, TriggerPlan,
    TriggerQueue,
};
pub use validation::{
    Finding, Severity, TableSurvey, UnknownSeverity, Validation, ValidationQuery, ValidationResult,
    ValidationStats,
};

/// Commits pages of documents.
///
/// # Contract
///
/// - **Atomic.** A page, its quarantined documents, its log lines and the run's totals become visible together or not at all.
/// - **Idempotent.** Committing the same page again (same run, pipeline and page number) changes nothing and returns the same
///   outcome. The same documents in another page count as `unchanged` and are not written.
/// - **Chained.** A page names the page that changed each of its log lines before. If the log says otherwise, because the
///   database forgot pages, the page is refused with `LogMoved` and changes nothing.
/// - **Newer wins.** A row is never replaced by an older version; versions are compared by source time, then sync token, then
///   the time of the answer that carried them.
/// - **Fenced.** A commit whose lease has been taken over is refused with `LeaseLost` and changes nothing.
/// - **Alone.** A document that cannot be stored goes to quarantine by itself; the rest of its page is committed.
///
/// # Cancel safety
///
/// A dropped future has either committed everything or nothing.
#[async_trait]
pub trait RawStore: fmt::Debug + Send + Sync {
    /// Binds the schema to a company, or checks that it is bound to this one.
    async fn bind(&self, identity: &StoreIdentity) -> Result<(), StoreError>;

    /// The company that the schema is bound to, if any.
    async fn identity(&self) -> Result<Option<StoreIdentity>, StoreError>;

    /// Creates the pipeline's table where it is missing.
    async fn prepare(&self, pipeline: &Pipeline) -> Result<(), StoreError>;

    /// Acquires the pipeline for `holder` (a text for people, such as a host and process id), and keeps it while this process
    /// runs. Refused with `LeaseHeld` while another process owns it: that process must have ended, or have sent no heartbeat
    /// for as long as a lease lasts.
    async fn acquire(&self, pipeline: &Pipeline, holder: &str) -> Result<Lease, StoreError>;

    /// Returns once this process no longer owns the pipeline: another process took it over, or ownership could not be confirmed
    /// for so long that another may. Fencing does not depend on this; it saves work that could not be committed.
    async fn lost(&self, lease: &Lease) -> StoreError;

    /// Releases the pipeline. Does nothing if it has been taken over.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Commits one page.
    async fn commit_page(&self, page: &PageCommit) -> Result<PageOutcome, StoreError>;

    /// Number of rows in the pipeline's table.
    async fn count_rows(&self, pipeline: &Pipeline) -> Result<u64, StoreError>;
}

/// A store that also records which windows are done, and can be inspected.
pub trait Store: RawStore + RawInspection + BackfillLog + Quarantine {}

impl<T: RawStore + RawInspection + BackfillLog + Quarantine> Store for T {}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn Store) = |_| ();
