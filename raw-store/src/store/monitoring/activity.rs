//! The traits that show which processes are at work, and by which a worker says so.

#![cfg_attr(feature = "mock", allow(clippy::ref_option_ref, reason = "the mock is generated"))]

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{AsOf, StoreError, TriggerName};

/// A lease that a process holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLease {
    /// Name of the pipeline in the log; `None` for the lease of a trigger.
    pub entity_name: Option<Box<str>>,
    /// The trigger; `None` for the lease of a pipeline.
    pub trigger: Option<TriggerName>,
    /// Text that the owner gave when it acquired the lease, such as a host and process id.
    pub holder: Box<str>,
    /// When the owner acquired the lease, by the store's clock.
    pub since: OffsetDateTime,
    /// Until when the owner is taken to be at work; `None` if its lease lives as long as its connection.
    pub until: Option<OffsetDateTime>,
}

/// The budget of calls that all processes share.
#[derive(Clone, Debug, PartialEq)]
pub struct CallBudget {
    /// Calls served in the present month of UTC.
    pub used: u64,
    /// When the next month begins.
    pub until: OffsetDateTime,
    /// When the pause ends that holds back all calls, if there is one now.
    pub paused_until: Option<OffsetDateTime>,
    /// When the next call probes a source that is down, if it is noted as down.
    pub down_until: Option<OffsetDateTime>,
    /// Share of the full rate that was left after the last refusal, up to 1. It grows again with time.
    pub share: f64,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerActivity {
    /// It polls for triggers, and none runs.
    Waiting,
    /// It runs at least one trigger.
    Running,
    /// It has ended.
    Ended,
}

words! {
    WorkerActivity {
        Waiting => "waiting",
        Running => "running",
        Ended => "ended",
    }
}

/// A trigger whose run is delayed by its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestingTrigger<T> {
    /// The trigger.
    pub trigger: TriggerName,
    /// When the worker tries again: an instant in what is read, a duration from now in what is written.
    pub until: T,
    /// Why the run is delayed, in our own words.
    pub reason: Box<str>,
}

/// What a worker says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerBeat {
    /// Name of the worker's process, unique among those at work, such as a host and process id.
    pub worker: Box<str>,
    /// Version of its program.
    pub version: Box<str>,
    /// Profile of settings that it was started with, if any.
    pub profile: Option<Box<str>>,
    /// What it does.
    pub activity: WorkerActivity,
    /// Triggers that it runs.
    pub running: Vec<TriggerName>,
    /// Triggers whose runs it delays, each with the time until it tries again.
    pub resting: Vec<RestingTrigger<Duration>>,
}

/// What is known of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRecord {
    /// Name of the worker's process.
    pub worker: Box<str>,
    /// Version of its program.
    pub version: Box<str>,
    /// Profile of settings that it was started with, if any.
    pub profile: Option<Box<str>>,
    /// What it did when it was last seen.
    pub activity: WorkerActivity,
    /// When it was first seen since it began, by the store's clock.
    pub started_at: OffsetDateTime,
    /// When it was last seen, by the store's clock.
    pub seen_at: OffsetDateTime,
    /// Triggers that it ran then.
    pub running: Vec<TriggerName>,
    /// Triggers whose runs it delayed then, each with the time at which it tries again.
    pub resting: Vec<RestingTrigger<OffsetDateTime>>,
}

/// Shows which processes are at work, and what they may still do.
///
/// # Contract
///
/// - **Read only.** No lease is taken over and no call is admitted.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ActivityReader: fmt::Debug + Send + Sync {
    /// Lists the leases that live processes hold, sorted by name.
    async fn held_leases(&self) -> Result<AsOf<Vec<HeldLease>>, StoreError>;

    /// Shows the shared budget of calls.
    async fn call_budget(&self) -> Result<AsOf<CallBudget>, StoreError>;

    /// Lists the workers that were seen last, those seen latest first, at most `limit`.
    async fn workers(&self, limit: u32) -> Result<AsOf<Vec<WorkerRecord>>, StoreError>;
}

/// Records that workers are alive, and what they do.
///
/// # Contract
///
/// - A worker has one record, which each beat replaces. A beat after the worker has ended begins it anew.
/// - All times are those of the store's clock.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait WorkerLog: fmt::Debug + Send + Sync {
    /// Records what a worker does now.
    async fn heartbeat(&self, beat: &WorkerBeat) -> Result<(), StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn ActivityReader, &dyn WorkerLog) = |_, _| ();
