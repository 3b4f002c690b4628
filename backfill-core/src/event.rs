//! Events that a run emits while it works.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use qbo_auth::Clock;
use qbo_client::{ClientEvent, QboClient, Usage};
use raw_store::{RunId, RunStatus, TriggerName, TriggerState, Window, WindowCounts, WindowState};
use time::OffsetDateTime;

use crate::catalog::RequestPart;
use crate::mismatch::Mismatch;

/// An event of a run or of a worker. Logs, progress displays, metrics and recorders all consume the same stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunEvent {
    /// When it happened, by the engine's clock.
    pub at: OffsetDateTime,
    /// The run's name; `None` for an event of a worker that concerns no run.
    pub run: Option<RunId>,
    /// What happened.
    pub kind: RunEventKind,
}

impl RunEvent {
    /// Creates an event. Engines and workers emit their own; a sink's tests need this.
    pub fn new(at: OffsetDateTime, run: Option<RunId>, kind: RunEventKind) -> Self {
        Self { at, run, kind }
    }
}

/// What happened in a run or a worker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RunEventKind {
    /// A run has begun.
    RunStarted {
        /// The seed of the run's random choices.
        seed: u64,
        /// The names of the pipelines that are read.
        pipelines: Vec<String>,
        /// The number of windows to read.
        windows: usize,
        /// The least number of API calls that the run will make.
        estimated_calls: u64,
    },
    /// Another process holds a pipeline's lease, and this run waits for it.
    Held {
        /// The pipeline's name.
        pipeline: String,
        /// The holder of the lease, for people.
        holder: Box<str>,
        /// When the holder took the lease, by the store's clock.
        since: OffsetDateTime,
        /// How long this run waits for the lease.
        patience: Duration,
    },
    /// A page was committed.
    PageCommitted {
        /// The pipeline's name.
        pipeline: String,
        /// The page's number within the run and pipeline.
        page: u32,
        /// Records of the page that had not been read before.
        rows: u64,
        /// What became of those records.
        counts: WindowCounts,
        /// Time since the previous page.
        time: Duration,
    },
    /// A window was closed or given up.
    Window(WindowReport),
    /// A free permit took over the later part of a scan.
    ScanSplit {
        /// The pipeline's name.
        pipeline: String,
        /// Where the later part begins.
        at: OffsetDateTime,
    },
    /// QuickBooks cannot deliver a record; the record is in quarantine under its time span.
    Unreadable {
        /// The pipeline's name.
        pipeline: String,
        /// The time on the axis that the record lies in.
        span: Window,
    },
    /// The client waits, repeats a request, or changes its circuit breaker. Runs that share a client at the same time each
    /// report its events.
    Source(ClientEvent),
    /// Committing a page is tried again.
    StoreRetry {
        /// The pipeline's name.
        pipeline: String,
        /// The number of the retry, from 1.
        attempt: u32,
    },
    /// The database lost committed pages, for example by a restore; the run goes on from what the database still holds.
    LogMoved {
        /// The pipeline where the loss was noticed.
        pipeline: String,
        /// How often this has happened in this run, from 1.
        attempt: u32,
    },
    /// QuickBooks counts another number of records than was read.
    CountDiffers {
        /// The pipeline's name.
        pipeline: String,
        /// The span that was counted.
        span: Window,
        /// The number of records by QuickBooks' count.
        source: u64,
        /// The number of records that were read.
        read: u64,
    },
    /// A verification found a record that differs between QuickBooks and the store.
    Mismatch(Mismatch),
    /// The company does not have the entity that a pipeline reads. Each of the pipeline's windows is reported as well.
    Unavailable {
        /// The pipeline's name.
        pipeline: String,
        /// The number of windows that are left unread.
        windows: usize,
        /// The reason, in our own words.
        message: Box<str>,
    },
    /// The run has read everything, and waits until the windows that ended too near to now can be read once more.
    Settling {
        /// The number of these windows.
        windows: usize,
        /// How long the run waits.
        wait: Duration,
    },
    /// QuickBooks refuses parts of a pipeline's requests, which are left out from now on.
    PartsRefused {
        /// The pipeline's name.
        pipeline: String,
        /// The parts.
        parts: Vec<RequestPart>,
    },
    /// A worker has started or resumed the run of a trigger.
    TriggerFired {
        /// The trigger's name.
        trigger: TriggerName,
        /// When the trigger was due.
        fire_at: OffsetDateTime,
    },
    /// A worker has finished with the run of a trigger, for now or for good.
    TriggerEnded {
        /// The trigger's name.
        trigger: TriggerName,
        /// The trigger's state; still `Running` if the run resumes later.
        state: TriggerState,
        /// The reason, in our own words.
        message: Option<Box<str>>,
    },
    /// A worker met a problem that does not stop it.
    WorkerTrouble {
        /// The problem, in our own words.
        message: Box<str>,
    },
    /// A run has ended.
    RunFinished {
        /// How the run ended.
        status: RunStatus,
        /// The API calls that the run made, and what they cost.
        usage: Usage,
        /// How long the run took.
        time: Duration,
    },
}

/// The outcome of a window in this run.
#[derive(Clone, Debug)]
pub struct WindowReport {
    /// The pipeline's name.
    pub pipeline: String,
    /// The window that the report is about.
    pub window: Window,
    /// The window's state.
    pub state: WindowState,
    /// What became of the records that this run read in the window.
    pub counts: WindowCounts,
    /// Pages of this run that held records of the window.
    pub pages: u64,
    /// The reason, if the window was given up or has nothing to read.
    pub message: Option<Box<str>>,
}

/// Receives the events of a run: in order per pipeline, from many tasks.
///
/// # Contract
///
/// `emit` returns quickly and does not panic; a sink that needs time hands the event on.
pub trait EventSink: fmt::Debug + Send + Sync {
    /// Receives one event.
    fn emit(&self, event: &RunEvent);
}

/// Discards all events.
impl EventSink for () {
    fn emit(&self, _: &RunEvent) {}
}

/// Emits the events of one run, or of a worker: adds the time and the run's name to each.
#[derive(Clone, Debug)]
pub(crate) struct Emitter {
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    run: Option<RunId>,
}

impl Emitter {
    pub(crate) fn new(sink: &Arc<dyn EventSink>, clock: &Arc<dyn Clock>, run: Option<RunId>) -> Self {
        Self { sink: Arc::clone(sink), clock: Arc::clone(clock), run }
    }

    pub(crate) fn emit(&self, kind: RunEventKind) {
        self.sink.emit(&RunEvent::new(self.clock.now_utc(), self.run.clone(), kind));
    }

    /// Does `work`, and emits the client's events meanwhile as [`RunEventKind::Source`].
    pub(crate) async fn relaying<T>(&self, client: &dyn QboClient, work: impl Future<Output = T>) -> T {
        let mut events = client.subscribe();
        let mut work = pin!(work);
        let result = loop {
            tokio::select! {
                biased;
                Some(event) = events.recv() => self.emit(RunEventKind::Source(event)),
                result = &mut work => break result,
            }
        };
        // The client sends an event before the request that it belongs to returns, so these complete the work's events.
        while let Ok(event) = events.try_recv() {
            self.emit(RunEventKind::Source(event));
        }
        result
    }
}

// The trait is used behind `Arc<dyn _>`; if it stops being dyn-compatible, this build fails and not a user's.
const _: fn(&dyn EventSink) = |_| ();
