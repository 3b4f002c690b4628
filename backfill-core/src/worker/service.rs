//! What a worker is made of, and how it ends.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use qbo_auth::Clock;
use raw_store::{RunId, Store, StoreIdentity, TriggerQueue};

use crate::catalog::Catalog;
use crate::engine::{Engine, RunOutcome};
use crate::event::{EventSink, RunEvent};

/// What a worker needs for each run, from whoever builds it.
#[async_trait]
pub trait RunFactory: fmt::Debug + Send + Sync {
    /// A name for a new run, and a seed.
    fn name(&self) -> (RunId, u64);

    /// An engine for one run. Its client is its own: what it counts is what the run cost.
    ///
    /// # Errors
    ///
    /// A sentence that says why there is none.
    fn engine(&self) -> Result<Engine, Box<str>>;

    /// Called after each run, before its trigger is finished; skipped where the worker has to stop. Returns a sentence if the
    /// run has left something wrong in the database: then its trigger fails.
    async fn ended(&self, _outcome: &RunOutcome) -> Option<Box<str>> {
        None
    }
}

/// How a worker has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerEnd {
    /// Triggers that failed here.
    pub failed: u64,
    /// Triggers that are done, and whose runs left records open in quarantine.
    pub with_quarantine: u64,
}

impl WorkerEnd {
    /// Whether every trigger that ended here is done and left nothing for a person to do.
    pub fn is_sound(self) -> bool {
        self == Self::default()
    }
}

/// When a worker ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Not at all.
    Stopped,
    /// When no trigger is due and no run under way.
    Idle,
}

/// Waits for the triggers of one company. Several may share them, on one host or many.
#[derive(Debug)]
pub struct Worker {
    /// Where runs, leases and triggers are.
    pub store: Arc<dyn Store>,
    /// The same place, as the queue of its triggers.
    pub queue: Arc<dyn TriggerQueue>,
    /// The clock that waits go by.
    pub clock: Arc<dyn Clock>,
    /// What can be read.
    pub catalog: Catalog,
    /// Whose triggers.
    pub identity: StoreIdentity,
    /// Who runs it, for people.
    pub holder: Box<str>,
    /// Hears what becomes of triggers.
    pub sink: Arc<dyn EventSink>,
    /// Makes runs.
    pub runs: Arc<dyn RunFactory>,
}

impl std::ops::AddAssign for WorkerEnd {
    fn add_assign(&mut self, other: Self) {
        self.failed += other.failed;
        self.with_quarantine += other.with_quarantine;
    }
}

impl Worker {
    pub(crate) fn trouble(&self, message: String) {
        self.sink.emit(&RunEvent::WorkerTrouble { message: message.into() });
    }
}
