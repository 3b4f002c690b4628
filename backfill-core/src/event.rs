//! What a run tells while it works.

use std::fmt;
use std::time::Duration;

use qbo_client::{ClientEvent, Usage};
use raw_store::{RunId, RunStatus, TriggerName, TriggerState, Window, WindowCounts, WindowState};
use time::OffsetDateTime;

use crate::mismatch::Mismatch;

/// Something that happened in a run. Logs, progress, metrics and recorders are consumers of the same stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RunEvent {
    /// The run has begun.
    RunStarted {
        /// Its name.
        run: RunId,
        /// The seed of its random choices.
        seed: u64,
        /// The pipelines, by name.
        pipelines: Vec<String>,
        /// Windows that will be read.
        windows: usize,
        /// API calls it will take at least.
        estimated_calls: u64,
    },
    /// Another process has a pipeline, and this run waits for it.
    Held {
        /// The pipeline's name.
        pipeline: String,
        /// Who has it.
        holder: Box<str>,
        /// Since when, by the store's clock.
        since: OffsetDateTime,
        /// How long it is waited for.
        patience: Duration,
    },
    /// A page is committed.
    PageCommitted {
        /// The pipeline's name.
        pipeline: String,
        /// Number of the page in the run and pipeline.
        page: u32,
        /// Records in it that had not been read before.
        rows: u64,
        /// What became of them.
        counts: WindowCounts,
        /// Time since the page before.
        time: Duration,
    },
    /// A window was closed or given up.
    Window(WindowReport),
    /// A free place took over the later half of a scan.
    ScanSplit {
        /// The pipeline's name.
        pipeline: String,
        /// Where the later half begins.
        at: OffsetDateTime,
    },
    /// A record was found that QBO cannot deliver; it is in quarantine by its place.
    Unreadable {
        /// The pipeline's name.
        pipeline: String,
        /// The time on the axis that it lies in.
        span: Window,
    },
    /// A request waits, is repeated, or the circuit breaker changed.
    Source(ClientEvent),
    /// Landing a page is tried again.
    StoreRetry {
        /// The pipeline's name.
        pipeline: String,
        /// Number of the repeat, from 1.
        attempt: u32,
    },
    /// The database has forgotten what was committed; the run goes on from what it still holds.
    LogMoved {
        /// The pipeline where it was noticed.
        pipeline: String,
        /// How often it has happened in this run, from 1.
        attempt: u32,
    },
    /// The check of a scan against the source found a difference.
    CountDiffers {
        /// The pipeline's name.
        pipeline: String,
        /// Where.
        span: Window,
        /// What QBO counts.
        source: u64,
        /// What was read.
        read: u64,
    },
    /// A verification found a record about which QBO and the store disagree.
    Mismatch(Mismatch),
    /// The company does not have what a pipeline reads. Each of its windows is told as well.
    Unavailable {
        /// The pipeline's name.
        pipeline: String,
        /// Windows that are left unread.
        windows: usize,
        /// Why, in our own words.
        message: Box<str>,
    },
    /// A worker has begun with the run of a trigger, or goes on with it.
    TriggerFired {
        /// The trigger.
        trigger: TriggerName,
        /// Its run.
        run: RunId,
        /// When it was to fire.
        fire_at: OffsetDateTime,
    },
    /// A worker is through with the run of a trigger.
    TriggerEnded {
        /// The trigger.
        trigger: TriggerName,
        /// How it stands now. Still `Running` if the run goes on later.
        state: TriggerState,
        /// Why, in our own words.
        message: Option<Box<str>>,
    },
    /// A worker has something to say that stops nothing.
    WorkerTrouble {
        /// What, in our own words.
        message: Box<str>,
    },
    /// The run is over.
    RunFinished {
        /// Its name.
        run: RunId,
        /// How it ended.
        status: RunStatus,
        /// What it cost.
        usage: Usage,
        /// How long it took.
        time: Duration,
    },
}

/// What became of a window in this run.
#[derive(Clone, Debug)]
pub struct WindowReport {
    /// The pipeline's name.
    pub pipeline: String,
    /// The window.
    pub window: Window,
    /// Where it stands.
    pub state: WindowState,
    /// What became of the records that this run read in it.
    pub counts: WindowCounts,
    /// Pages of this run that held records of it.
    pub pages: u64,
    /// Why, if it was given up or there is nothing to read.
    pub message: Option<Box<str>>,
}

/// Receives a run's events, in order per pipeline, from many tasks.
///
/// # Contract
///
/// `emit` returns quickly and does not panic; a sink that needs time hands the event on.
pub trait EventSink: fmt::Debug + Send + Sync {
    /// Takes one event.
    fn emit(&self, event: &RunEvent);
}

/// Hears nothing.
impl EventSink for () {
    fn emit(&self, _: &RunEvent) {}
}

// Used behind `Arc<dyn _>`; fail the build, not a user, if that stops working.
const _: fn(&dyn EventSink) = |_| ();
