//! The parts of a worker, and how it ends.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use qbo_auth::Clock;
use raw_store::{RunId, Store, StoreIdentity, TriggerQueue, WorkerLog};

use crate::catalog::Catalog;
use crate::engine::{Engine, RunOutcome};
use crate::event::{Emitter, EventSink, RunEventKind};
use crate::plan::Settle;

/// Supplies a worker with what each run needs. Implemented by the service that builds the worker.
#[async_trait]
pub trait RunFactory: fmt::Debug + Send + Sync {
    /// Returns a name for a new run, and a seed for its random choices.
    fn name(&self) -> (RunId, u64);

    /// Creates an engine for one run. The engine has a client of its own, so that the client's usage is the run's.
    ///
    /// # Errors
    ///
    /// A sentence that says why there is no engine.
    fn engine(&self) -> Result<Engine, Box<str>>;

    /// Called after each run, before its trigger is finished; skipped on shutdown. Returns a sentence if the run has left
    /// something wrong in the database; its trigger then fails.
    async fn ended(&self, _outcome: &RunOutcome) -> Option<Box<str>> {
        None
    }
}

/// The outcome of a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerEnd {
    /// Triggers that failed in this worker.
    pub failed: u64,
    /// Triggers that finished, but whose runs left records open in quarantine.
    pub with_quarantine: u64,
}

impl WorkerEnd {
    /// Whether every trigger that ended here succeeded and left nothing for a person to do.
    pub fn is_sound(self) -> bool {
        self == Self::default()
    }
}

/// When a worker ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Never: the worker works until it is stopped.
    Stopped,
    /// When no trigger is due and no run is in progress.
    Idle,
}

/// Where a worker says that it is alive, and what it says of its program.
#[derive(Clone, Debug)]
pub struct WorkerPresence {
    /// Receives the heartbeats.
    pub log: Arc<dyn WorkerLog>,
    /// Version of the program.
    pub version: Box<str>,
    /// Profile of settings that the worker was started with, if any.
    pub profile: Option<Box<str>>,
}

/// Waits for the triggers of one company, and runs them. Several workers may share the triggers, on one host or many.
#[derive(Debug)]
pub struct Worker {
    /// The store of runs, leases and triggers.
    pub store: Arc<dyn Store>,
    /// The same store, as the queue of its triggers.
    pub queue: Arc<dyn TriggerQueue>,
    /// The clock that the worker's waits use.
    pub clock: Arc<dyn Clock>,
    /// The entities that can be read.
    pub catalog: Catalog,
    /// The company whose triggers are run, and its environment.
    pub identity: StoreIdentity,
    /// Names the worker's process, for people.
    pub holder: Box<str>,
    /// Whether a run waits for windows that ended too near to now, before its trigger is done.
    pub settle: Settle,
    /// Receives the events of triggers.
    pub sink: Arc<dyn EventSink>,
    /// Creates the runs' names and engines.
    pub runs: Arc<dyn RunFactory>,
    /// Receives the worker's heartbeats.
    pub presence: WorkerPresence,
}

impl std::ops::AddAssign for WorkerEnd {
    fn add_assign(&mut self, other: Self) {
        self.failed += other.failed;
        self.with_quarantine += other.with_quarantine;
    }
}

impl Worker {
    /// Emits an event of the worker about a run, or about none.
    pub(crate) fn emit(&self, run: Option<&RunId>, kind: RunEventKind) {
        Emitter::new(&self.sink, &self.clock, run.cloned()).emit(kind);
    }

    pub(crate) fn trouble(&self, message: String) {
        self.emit(None, RunEventKind::WorkerTrouble { message: message.into() });
    }
}
