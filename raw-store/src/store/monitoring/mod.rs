//! The traits that show what the store holds and what its processes do, for people who watch it.
//!
//! [`CoverageReader`] shows the log by time, [`RunReader`] its runs, [`ActivityReader`] the processes and the call budget,
//! [`HistoryReader`] what happened in the order of time, [`RowReader`] single rows, and [`IssueReader`] what a person should look
//! at: together they are [`Monitoring`]. [`EventLog`] and [`WorkerLog`] are the only ones that write. No method counts the rows of a
//! raw table, and no method but [`RowReader::document`] returns text of a document.

mod activity;
mod as_of;
mod coverage;
mod event;
mod history;
mod issues;
mod rows;
mod runs;

pub use activity::{
    ActivityReader, CallBudget, HeldLease, RestingTrigger, WorkerActivity, WorkerBeat, WorkerLog,
    WorkerRecord,
};
#[cfg(feature = "mock")]
pub use activity::{MockActivityReader, MockWorkerLog};
pub use as_of::AsOf;
#[cfg(feature = "mock")]
pub use coverage::MockCoverageReader;
pub use coverage::{CoverageMonth, CoverageReader, CoverageStretch, InsertedRows, LineFilter, LineKey};
#[cfg(feature = "mock")]
pub use event::MockEventLog;
pub use event::{EVENT_RETENTION_DAYS, EventLog, NewEvent};
pub use history::HistoryReader;
#[cfg(feature = "mock")]
pub use history::MockHistoryReader;
pub use history::{
    HistoryEntry, HistoryFilter, HistoryKey, HistoryKind, HistoryOrder, HistoryPhase, UnknownPhase,
};
#[cfg(feature = "mock")]
pub use issues::MockIssueReader;
pub use issues::{IssueReader, NewestFinding, QuarantineFilter, QuarantineKey};
#[cfg(feature = "mock")]
pub use rows::MockRowReader;
pub use rows::{NumberSearch, RowReader, RowRecord};
#[cfg(feature = "mock")]
pub use runs::MockRunReader;
pub use runs::{PipelineProgress, RecentPages, RunFilter, RunKey, RunProgress, RunReader, StopRequest};

/// Everything that can be read about a store by those who watch it. Code that needs less asks for one of its traits.
pub trait Monitoring:
    CoverageReader + RunReader + ActivityReader + HistoryReader + RowReader + IssueReader
{
}

impl<T: CoverageReader + RunReader + ActivityReader + HistoryReader + RowReader + IssueReader> Monitoring
    for T
{
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn Monitoring) = |_| ();
