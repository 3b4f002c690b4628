use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{Lease, RunId, RunStart, StoreError, TriggerName, TriggerState, Window};

/// What becomes of a trigger whose time passes without a worker.
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

/// What a trigger's run reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerPlan {
    /// The pipelines, by their names in the log.
    pub entity_names: Vec<Box<str>>,
    /// What its windows measure.
    pub time_axis: Box<str>,
    /// From where to where.
    pub span: Window,
    /// The size of its windows, such as `day`.
    pub chunk: Box<str>,
}

/// A place in a chain, whose triggers run one after another and stop behind one that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainLink {
    /// The chain's name.
    pub chain: Box<str>,
    /// The place, from 1.
    pub position: u32,
}

/// A trigger to be armed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTrigger {
    /// Its name, which no other has.
    pub name: TriggerName,
    /// What its run reads.
    pub plan: TriggerPlan,
    /// When it fires.
    pub fire_at: OffsetDateTime,
    /// What becomes of it if no worker is there.
    pub if_missed: IfMissed,
    /// Its place in a chain.
    pub link: Option<ChainLink>,
}

/// A trigger as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// What was asked for; `fire_at` is that of the last arming.
    pub asked: NewTrigger,
    /// Where it stands.
    pub state: TriggerState,
    /// The run of its last arming.
    pub run: Option<RunId>,
    /// How often it was armed.
    pub armings: u32,
    /// Whether somebody asked its run to stop.
    pub stop_requested: bool,
    /// When its state changed last, by the store's clock.
    pub changed_at: OffsetDateTime,
    /// Why it is as it is, in our own words.
    pub message: Option<Box<str>>,
}

/// What a worker has to do.
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
    /// `Done`, `Failed` or `Cancelled`.
    pub state: TriggerState,
    /// Why, in our own words.
    pub message: Option<Box<str>>,
}

/// Something that happened to a trigger. Nothing is ever taken out of this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerEvent {
    /// When, by the store's clock.
    pub at: OffsetDateTime,
    /// `armed`, `fired`, `resumed`, or the state that it came into.
    pub event: Box<str>,
    /// The run.
    pub run: Option<RunId>,
    /// More about it, in our own words.
    pub detail: Option<Box<str>>,
}

/// One-time triggers.
///
/// # Contract
///
/// - **Once.** An arming creates at most one run, in the transaction that spends it. Only [`rearm`](Self::rearm) arms it
///   again; neither adding it again nor deleting runs or history does.
/// - **Never early**, by the store's clock alone.
/// - **One worker.** Firing and ending need the trigger's lease; a worker that lost it changes nothing. A trigger whose
///   worker is gone is due again, and goes on with the run that it has.
#[async_trait]
pub trait TriggerQueue: fmt::Debug + Send + Sync {
    /// Arms new triggers: all of them, or none if a name is taken (`TriggerExists`).
    async fn add(&self, triggers: &[NewTrigger]) -> Result<(), StoreError>;

    /// All triggers, by time, and the store's present time.
    async fn triggers(&self) -> Result<(Vec<Trigger>, OffsetDateTime), StoreError>;

    /// What happened to one, oldest first.
    async fn trigger_history(&self, name: &TriggerName) -> Result<Vec<TriggerEvent>, StoreError>;

    /// Looks for work. What is not to be late and has waited longer than `missed_after` expires.
    async fn poll(&self, missed_after: Duration) -> Result<DueTriggers, StoreError>;

    /// Takes a trigger for a worker, and keeps it while this process runs. Refused with `LeaseHeld` while another has it.
    async fn claim(&self, name: &TriggerName, holder: &str) -> Result<Lease, StoreError>;

    /// Fires a trigger that is due: spends it and begins its run, together. One that has fired goes on: it is returned as it
    /// is, with the run that it has. `None` if there is nothing to do any more.
    async fn fire(
        &self,
        lease: &Lease,
        name: &TriggerName,
        run: &RunStart,
    ) -> Result<Option<Trigger>, StoreError>;

    /// Says how the run ended. Does nothing for a trigger that is not running.
    async fn finish(&self, lease: &Lease, name: &TriggerName, end: &TriggerEnd) -> Result<(), StoreError>;

    /// Takes back what has not fired, and asks the run of what has to stop. Refused (`TriggerState`) for what is spent.
    async fn cancel(&self, name: &TriggerName) -> Result<Trigger, StoreError>;

    /// Arms a spent trigger again. Refused (`TriggerState`) for one that is not spent.
    async fn rearm(&self, name: &TriggerName, fire_at: OffsetDateTime) -> Result<Trigger, StoreError>;
}

/// What the lease of a trigger is called. No pipeline has a blank in its name.
pub(crate) fn lease_name(name: &TriggerName) -> Box<str> {
    format!("trigger {name}").into()
}

// Used behind `Arc<dyn _>`; fail the build, not a user, if that stops working.
const _: fn(&dyn TriggerQueue) = |_| ();
