//! State that the pipelines of one run share.

use std::collections::HashMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};

use qbo_auth::Clock;
use qbo_client::QboClient;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::clock_check::{Answered, ClockApart};
use crate::event::Emitter;
use crate::scan::record_heads::RunHeads;
use crate::store_parts::StoreParts;

/// A permit for one request in flight.
pub(crate) type Permit = OwnedSemaphorePermit;

/// Everything that a pipeline needs from its run.
#[derive(Clone, Debug)]
pub(crate) struct RunContext {
    pub(crate) client: Arc<dyn QboClient>,
    pub(crate) store: StoreParts,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Emitter,
    pub(crate) stop: CancellationToken,
    /// One permit for each request that may be in flight.
    pub(crate) permits: Arc<Semaphore>,
    /// Whether the heads of what is committed are kept.
    pub(crate) keeps_heads: bool,
    pub(crate) learned: Learned,
}

/// What this process has learned in a run. It outlasts a database that forgets what was committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learned {
    pub(crate) heads: Arc<RunHeads>,
    /// The clock that is off, once that is known.
    pub(crate) apart: Arc<Mutex<Option<ClockApart>>>,
    /// The time of the latest response, once there is one.
    pub(crate) answered: Arc<Mutex<Option<Answered>>>,
    /// The highest page number used, by the pipeline's name in the log: a number that is used twice would let a page go on top
    /// of one that is gone.
    pages: Arc<Mutex<HashMap<Box<str>, Arc<AtomicU32>>>>,
}

impl Learned {
    /// The page numbers of a pipeline.
    pub(crate) fn pages_of(&self, entity_name: &str) -> Arc<AtomicU32> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pages.entry(entity_name.into()).or_default())
    }
}
