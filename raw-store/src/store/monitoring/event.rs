//! The trait that records what no other table holds: waits, retries, refusals, and who did what.

use std::fmt;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{HistoryPhase, RunId, Severity, StoreError, TriggerName};

/// How many days events are kept for.
pub const EVENT_RETENTION_DAYS: u32 = 180;

/// An event to record. It holds no secret and no text of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// When it happened, by our clock.
    pub at: OffsetDateTime,
    /// How much it matters.
    pub level: Severity,
    /// Part of the work that it belongs to.
    pub phase: HistoryPhase,
    /// Kind of the event, in one word or a few, such as `retry` or `trigger cancelled`.
    pub event: Box<str>,
    /// Run concerned, if any.
    pub run: Option<RunId>,
    /// Pipeline concerned, by its name in the log, if any.
    pub entity_name: Option<Box<str>>,
    /// Trigger concerned, if any.
    pub trigger: Option<TriggerName>,
    /// Who did it: a person's name as given, or a program's.
    pub who: Option<Box<str>>,
    /// Stable code of the error, if it is about one.
    pub code: Option<Box<str>>,
    /// Details, in our own words.
    pub detail: Option<Box<str>>,
}

/// Records events.
///
/// # Contract
///
/// - Events are only ever added, and [kept](EVENT_RETENTION_DAYS) for a fixed time. They decide nothing: what is lost of them changes
///   no run.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait EventLog: fmt::Debug + Send + Sync {
    /// Records events: all of them, or none.
    async fn record_events(&self, events: &[NewEvent]) -> Result<(), StoreError>;

    /// Removes events that are older than [`EVENT_RETENTION_DAYS`], and the records of workers not seen for as long. Returns the
    /// number of events removed.
    async fn remove_old_events(&self) -> Result<u64, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn EventLog) = |_| ();
