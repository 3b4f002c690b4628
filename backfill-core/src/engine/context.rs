//! What the pipelines of one run share.

use std::sync::{Arc, Mutex};

use qbo_auth::Clock;
use qbo_client::QboClient;
use raw_store::Store;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::clocks::ClockApart;
use crate::event::EventSink;
use crate::scan::heads::RunHeads;

/// The right to have one question under way.
pub(crate) type Permit = OwnedSemaphorePermit;

/// What a pipeline works with.
#[derive(Clone, Debug)]
pub(crate) struct RunContext {
    pub(crate) client: Arc<dyn QboClient>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: Arc<dyn EventSink>,
    pub(crate) stop: CancellationToken,
    /// As many places as questions may be under way.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) heads: Option<Arc<RunHeads>>,
    /// The clock that is off, once that is known.
    pub(crate) apart: Arc<Mutex<Option<ClockApart>>>,
}
