//! The trait for the queue of triggers, and the triggers that it holds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{Lease, RunId, RunStart, StoreError, TriggerName, TriggerState, Window};

/// What happens to a trigger whose time passes without a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfMissed {
    /// It fires late.
    #[default]
    Run,
    /// It expires.
    Skip,
}

words! {
    IfMissed {
        Run => "run",
        Skip => "skip",
    }
}

/// Which windows of its range a trigger's run reads. The windows are looked up when the trigger fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WindowSelection {
    /// Those that are not completed.
    #[default]
    Open,
    /// Those whose last attempt failed, and no others.
    Failed,
    /// All of them, also those that are completed.
    Again,
}

words! {
    WindowSelection {
        Open => "open",
        Failed => "failed",
        Again => "again",
    }
}

/// A word that is not a [`WindowSelection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what a trigger reads is open, failed or again")]
pub struct UnknownSelection;

impl FromStr for WindowSelection {
    type Err = UnknownSelection;

    fn from_str(word: &str) -> Result<Self, UnknownSelection> {
        Self::from_word(word).ok_or(UnknownSelection)
    }
}

/// What a trigger's run reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerPlan {
    /// Pipelines to read, by their names in the log.
    pub entity_names: Vec<Box<str>>,
    /// What the run's windows measure, such as `updated`.
    pub time_axis: Box<str>,
    /// Span of time to read.
    pub span: Window,
    /// Size of the run's windows, such as `day`.
    pub chunk: Box<str>,
    /// Which windows of the span the run reads.
    pub selection: WindowSelection,
}

/// A position in a chain. The triggers of a chain run one after another, and the chain stops after one that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainLink {
    /// Name of the chain.
    pub chain: Box<str>,
    /// Position in the chain, counted from 1.
    pub position: u32,
}

/// A trigger to be armed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTrigger {
    /// Name of the trigger, unique in the schema.
    pub name: TriggerName,
    /// What the trigger's run reads.
    pub plan: TriggerPlan,
    /// When the trigger fires.
    pub fire_at: OffsetDateTime,
    /// What happens to the trigger if its time passes without a worker.
    pub if_missed: IfMissed,
    /// Its position in a chain, if it belongs to one.
    pub link: Option<ChainLink>,
}

/// A trigger as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The trigger as it was requested; `fire_at` is that of the last arming.
    pub asked: NewTrigger,
    /// State of the trigger.
    pub state: TriggerState,
    /// Run of the last arming, if it has fired.
    pub run: Option<RunId>,
    /// Number of times that the trigger was armed.
    pub armings: u32,
    /// Whether the trigger's run has been asked to stop.
    pub stop_requested: bool,
    /// When the state last changed, by the store's clock.
    pub changed_at: OffsetDateTime,
    /// Why the trigger is in this state, in our own words.
    pub message: Option<Box<str>>,
    /// Stable code of the error with which its run ended, if it failed.
    pub error_code: Option<Box<str>>,
}

/// Triggers that a worker has to act on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueTriggers {
    /// Triggers whose time has come, and those that fired and have lost their worker.
    pub due: Vec<Trigger>,
    /// Triggers whose runs are to stop.
    pub stop: Vec<TriggerName>,
}

/// How a trigger ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerEnd {
    /// Final state: `Done`, `Failed` or `Cancelled`.
    pub state: TriggerState,
    /// Reason, in our own words.
    pub message: Option<Box<str>>,
    /// Stable code of the error, if there was one.
    pub error_code: Option<Box<str>>,
}

/// An entry in the history of a trigger. Entries are never removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerEvent {
    /// When it happened, by the store's clock.
    pub at: OffsetDateTime,
    /// `armed`, `fired`, `resumed`, or the new state.
    pub event: Box<str>,
    /// Run concerned, if any.
    pub run: Option<RunId>,
    /// Details, in our own words.
    pub detail: Option<Box<str>>,
    /// Who asked for it; `None` if no person did.
    pub by: Option<Box<str>>,
}

/// Queue of one-time triggers.
///
/// # Contract
///
/// - **Once.** An arming creates at most one run, in the transaction that spends it. Only [`rearm`](Self::rearm) arms a trigger
///   again; adding it again, or deleting runs or history, does not.
/// - **Never early**, by the store's clock alone.
/// - **One worker.** Firing and finishing need the trigger's lease; a worker that lost it changes nothing. A trigger whose
///   worker has ended is due again, and resumes the run that it has.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TriggerQueue: fmt::Debug + Send + Sync {
    /// Arms new triggers: all of them, or none if a name is taken (`TriggerExists`). `by` says who asks.
    async fn add(&self, triggers: &[NewTrigger], by: &str) -> Result<(), StoreError>;

    /// Lists all triggers, sorted by time, with the present time of the store.
    async fn triggers(&self) -> Result<(Vec<Trigger>, OffsetDateTime), StoreError>;

    /// History of one trigger, oldest entry first.
    async fn trigger_history(&self, name: &TriggerName) -> Result<Vec<TriggerEvent>, StoreError>;

    /// Finds triggers to act on. Those that must not be late and have waited longer than `missed_after` expire.
    async fn poll(&self, missed_after: Duration) -> Result<DueTriggers, StoreError>;

    /// Claims a trigger for a worker, and keeps it while this process runs. Refused with `LeaseHeld` while another worker has
    /// it.
    async fn claim(&self, name: &TriggerName, holder: &str) -> Result<Lease, StoreError>;

    /// Fires a trigger that is due: spends it and begins its run, in one transaction. A trigger that has fired already is
    /// resumed: it is returned as it is, with the run that it has. `None` if there is nothing left to do.
    async fn fire(
        &self,
        lease: &Lease,
        name: &TriggerName,
        run: &RunStart,
    ) -> Result<Option<Trigger>, StoreError>;

    /// Records how the trigger's run ended. Does nothing for a trigger that is not running.
    async fn finish(&self, lease: &Lease, name: &TriggerName, end: &TriggerEnd) -> Result<(), StoreError>;

    /// Cancels a trigger that has not fired, and asks the run of a running one to stop. Refused (`TriggerState`) for a spent
    /// trigger. `by` says who asks.
    async fn cancel(&self, name: &TriggerName, by: &str) -> Result<Trigger, StoreError>;

    /// Arms a spent trigger again. Refused (`TriggerState`) for one that is not spent, and (`TriggerChanged`) if `seen` is
    /// given and is not the number of [`armings`](Trigger::armings) now: then another person armed it since it was looked at.
    /// `by` says who asks.
    async fn rearm(
        &self,
        name: &TriggerName,
        fire_at: OffsetDateTime,
        seen: Option<u32>,
        by: &str,
    ) -> Result<Trigger, StoreError>;
}

/// Name of a trigger's lease. No pipeline has a space in its name.
pub(crate) fn lease_name(name: &TriggerName) -> Box<str> {
    format!("trigger {name}").into()
}

/// The trigger whose lease has this name, if it is the lease of a trigger.
pub(crate) fn trigger_of(lease: &str) -> Option<TriggerName> {
    lease.strip_prefix("trigger ")?.parse().ok()
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn TriggerQueue) = |_| ();
