//! State that the scans of one pipeline share.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use std::{fmt, mem};

use failpoint::point;
use qbo_auth::Clock;
use qbo_client::{Advice as SourceAdvice, Cause, ErrorKind, PageSize, QboClient, Query, RawPage};
use raw_store::{
    Advice as StoreAdvice, Confirmation, Lease, Owner, PageCommit, PageOutcome, Pipeline, RunId, StoreError,
    Window, WindowCounts, WindowFailure, WindowState, WindowUpdate,
};
use tokio_util::sync::CancellationToken;

use super::availability::Availability;
use super::record_heads::Heads;
use super::record_key::RecordKey;
use crate::catalog::EntitySpec;
use crate::clock_check::{Clocks, Reading};
use crate::error::{Failure, RunError};
use crate::event::{Emitter, RunEventKind, WindowReport};
use crate::plan::RunRequest;
use crate::store_parts::StoreParts;

/// Retries of one page's commit while the database restarts or is busy.
const LANDING_RETRIES: u32 = 5;

/// What all scans of one pipeline share during a run.
#[derive(Debug)]
pub(crate) struct PipelineContext {
    pub(crate) client: Arc<dyn QboClient>,
    pub(crate) store: StoreParts,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Emitter,
    pub(crate) stop: CancellationToken,
    pub(crate) request: Arc<RunRequest>,
    pub(crate) spec: EntitySpec,
    pub(crate) pipeline: Pipeline,
    pub(crate) lease: Lease,
    /// The highest page number that is used.
    pub(crate) pages: Arc<AtomicU32>,
    pub(crate) availability: Availability,
    /// Whether a request was answered, and the first refusal before that.
    pub(crate) first_answer: FirstAnswer,
    /// Keeps what validation needs of the committed records, if the rows are validated afterwards.
    pub(crate) heads: Option<Arc<Heads>>,
    pub(crate) clocks: Clocks,
    /// Whether an instant was met that fills a page, while parts of the time were read without an order.
    pub(crate) has_full_instants: AtomicBool,
    /// Records without a time on the axis that this run has taken, each with its version.
    pub(crate) timeless: Mutex<HashSet<(RecordKey, Option<i64>)>>,
    /// Windows that were read to their end and wait for their count check.
    pub(crate) unproved: Mutex<HashMap<Window, Unproved>>,
}

/// What QuickBooks first said to the requests of a pipeline. A refusal before any answer may concern a part of the request.
#[derive(Debug, Default)]
pub(crate) struct FirstAnswer {
    answered: AtomicBool,
    refusal: OnceLock<FirstRefusal>,
}

/// A refusal before any answer, and what was requested: a page of a range.
#[derive(Debug)]
pub(crate) struct FirstRefusal {
    pub(crate) why: qbo_client::Error,
    pub(crate) range: Window,
    pub(crate) page_size: PageSize,
}

impl FirstAnswer {
    /// Creates the state of a pipeline whose refused parts are known: a refusal is a failure.
    pub(crate) fn given() -> Self {
        Self { answered: AtomicBool::new(true), refusal: OnceLock::new() }
    }

    /// Whether nothing was answered yet.
    fn is_due(&self) -> bool {
        !self.answered.load(Ordering::Relaxed)
    }

    /// Notes a refusal.
    pub(crate) fn refuse(&self, refusal: FirstRefusal) {
        // Of several scans, the first one that was refused is as good as any other.
        drop(self.refusal.set(refusal));
    }

    /// Returns the refusal, if one came first.
    pub(crate) fn refusal(&self) -> Option<&FirstRefusal> {
        self.refusal.get()
    }
}

/// A window that was read to its end on the evidence of one response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unproved {
    /// What was read in the window, to be reported in its event.
    pub(crate) tally: Tally,
    /// The page that read the window to its end.
    pub(crate) page: u32,
}

/// What this run has read in one window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counts: WindowCounts,
    pub(crate) pages: u64,
}

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum FetchFailure {
    /// The scan cannot go on, but the log is correct and another run can.
    Fatal(Failure),
    /// The page takes too long or is too large.
    TooMuch(qbo_client::Error),
    /// One record of the page cannot be delivered.
    Poisoned(qbo_client::Error),
    /// Either QuickBooks fails, or one record of the page makes it fail: reading another record tells which.
    Doubtful(qbo_client::Error),
    /// Nothing of the rest of the scan can be read this way.
    Rest(String),
    /// The company does not have the entity.
    Unavailable(String),
    /// QuickBooks refuses the pipeline's first request: the entity, or a part of the request that can be left out.
    Refused(qbo_client::Error),
}

impl FetchFailure {
    /// Returns a word that programs can sort failed windows by.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Fatal(failure) => failure.code(),
            Self::TooMuch(error) | Self::Poisoned(error) | Self::Doubtful(error) | Self::Refused(error) => {
                error.kind.code()
            }
            Self::Rest(_) => "window.unreadable",
            Self::Unavailable(_) => "window.unavailable",
        }
    }
}

/// What confirms windows so that they can be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// The source counts as many records as were read.
    ByCount,
    /// A second response, where the source does not count.
    Otherwise,
}

impl PipelineContext {
    pub(crate) fn run(&self) -> &RunId {
        &self.request.id
    }

    /// Returns the owner under which the log is changed.
    pub(crate) fn owner(&self) -> Owner<'_> {
        let fence = self.request.fence.as_ref();
        Owner { run: &self.request.id, pipeline: &self.pipeline, lease: &self.lease, fence }
    }

    /// Returns the same state for requests without their refused parts, some of which were answered.
    pub(crate) fn with_accepted(&self, spec: EntitySpec) -> Self {
        let availability = Availability::default();
        availability.confirm();
        let unproved = mem::take(&mut *self.unproved.lock().unwrap_or_else(PoisonError::into_inner));
        Self {
            client: Arc::clone(&self.client),
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            events: self.events.clone(),
            stop: self.stop.clone(),
            request: Arc::clone(&self.request),
            spec,
            pipeline: self.pipeline.clone(),
            lease: self.lease.clone(),
            pages: Arc::clone(&self.pages),
            availability,
            first_answer: FirstAnswer::given(),
            heads: self.heads.clone(),
            clocks: self.clocks.clone(),
            unproved: Mutex::new(unproved),
            // Nothing was read before the refusal.
            has_full_instants: AtomicBool::default(),
            timeless: Mutex::default(),
        }
    }

    pub(crate) fn error(&self, window: Option<Window>, failure: impl Into<Failure>) -> RunError {
        RunError { pipeline: Some(self.spec.pipeline_name()), window, failure: failure.into() }
    }

    /// Reads the host's clocks.
    pub(crate) fn reading(&self) -> Reading {
        Reading { elapsed: self.clock.elapsed(), host: self.clock.now_utc() }
    }

    /// Fetches a page, unless the run is stopped first.
    pub(crate) async fn ask(&self, query: &Query) -> Result<RawPage, FetchFailure> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(FetchFailure::Fatal(Failure::Stopped)),
            page = self.client.fetch_page(query) => match page {
                Ok(page) => {
                    self.first_answer.answered.store(true, Ordering::Relaxed);
                    Ok(page)
                }
                Err(error) if self.first_answer.is_due() && may_concern_a_part(&error, query) => {
                    Err(FetchFailure::Refused(error))
                }
                Err(error) => Err(page_unread(error)),
            },
        }
    }

    /// Waits, unless the run is stopped first.
    pub(crate) async fn pause(&self, time: Duration) -> Result<(), Failure> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Failure::Stopped),
            () = self.clock.sleep(time) => Ok(()),
        }
    }

    /// Counts records, unless the run is stopped first.
    pub(crate) async fn count(&self, query: &Query) -> Result<u64, FetchFailure> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(FetchFailure::Fatal(Failure::Stopped)),
            counted = self.client.count(query) => counted.map_err(unread),
        }
    }

    /// Commits a page, with retries: repeating the commit is a no-op if an earlier attempt succeeded after all.
    pub(crate) async fn land(&self, commit: &PageCommit) -> Result<PageOutcome, Failure> {
        let mut attempt = 0;
        loop {
            match self.store.pages.commit_page(commit).await {
                Ok(outcome) => {
                    point!("scan.landed");
                    return Ok(outcome);
                }
                Err(error) => self.have_patience(error, &mut attempt).await.map_err(Failure::Land)?,
            }
        }
    }

    /// Waits before a write is retried, if the database restarts or is busy; gives up after a limited number of attempts.
    async fn have_patience(&self, error: StoreError, attempt: &mut u32) -> Result<(), StoreError> {
        if error.advice() != StoreAdvice::Retry || *attempt == LANDING_RETRIES {
            return Err(error);
        }
        *attempt += 1;
        self.events.emit(RunEventKind::StoreRetry { pipeline: self.spec.pipeline_name(), attempt: *attempt });
        self.clock.sleep(Duration::from_secs(1 << (*attempt - 1))).await;
        Ok(())
    }

    /// Notes a record without a time as taken. Returns whether it was not taken before.
    pub(crate) fn takes_timeless(&self, version: (RecordKey, Option<i64>)) -> bool {
        self.timeless.lock().unwrap_or_else(PoisonError::into_inner).insert(version)
    }

    /// Notes a window that waits for its count check.
    pub(crate) fn await_proof(&self, window: Window, unproved: Unproved) {
        self.unproved.lock().unwrap_or_else(PoisonError::into_inner).insert(window, unproved);
    }

    /// Returns the page that read a window to its end, if this run has read the window that far.
    pub(crate) fn read_to_its_end_by(&self, window: &Window) -> Option<u32> {
        let unproved = self.unproved.lock().unwrap_or_else(PoisonError::into_inner);
        unproved.get(window).map(|unproved| unproved.page)
    }

    /// Closes windows that a count or a second response confirmed: in the log, if it still holds the records that were
    /// compared, and by an event.
    pub(crate) async fn close(
        &self,
        windows: &[Window],
        (records_read, last_pages): (u64, &[(Window, u32)]),
        by: Confirmed,
    ) -> Result<(), StoreError> {
        if windows.is_empty() {
            return Ok(());
        }
        let (at, records_read) = (self.clock.now_utc(), Some(records_read));
        let confirmed = Confirmation { at, records_read, last_pages };
        let mut attempt = 0;
        loop {
            let closed = match by {
                Confirmed::ByCount => {
                    self.store
                        .log
                        .update_windows(self.owner(), windows, WindowUpdate::Counted(confirmed))
                        .await
                }
                Confirmed::Otherwise => {
                    self.store
                        .log
                        .update_windows(self.owner(), windows, WindowUpdate::Confirmed(confirmed))
                        .await
                }
            };
            match closed {
                Ok(()) => break,
                Err(error) => self.have_patience(error, &mut attempt).await?,
            }
        }
        for window in windows {
            let waited = self.unproved.lock().unwrap_or_else(PoisonError::into_inner).remove(window);
            let Some(Unproved { tally: Tally { counts, pages }, .. }) = waited else { continue };
            self.events.emit(RunEventKind::Window(WindowReport {
                pipeline: self.spec.pipeline_name(),
                window: *window,
                state: WindowState::Completed,
                counts,
                pages,
                message: None,
            }));
        }
        Ok(())
    }

    /// Gives windows up, in the log and by an event.
    pub(crate) async fn fail(
        &self,
        windows: &[Window],
        (message, code): (&str, &str),
    ) -> Result<(), StoreError> {
        let (at, error_code) = (self.clock.now_utc(), Some(code.into()));
        let failure = WindowFailure { message: message.into(), error_code, at };
        self.store.log.update_windows(self.owner(), windows, WindowUpdate::Failed(&failure)).await?;
        self.tell_unread(windows, WindowState::Failed, message);
        Ok(())
    }

    /// Leaves windows unread because the company does not have their entity.
    pub(crate) async fn leave_out(&self, windows: &[Window], message: &str) -> Result<(), StoreError> {
        let reason = WindowFailure { message: message.into(), error_code: None, at: self.clock.now_utc() };
        self.store.log.update_windows(self.owner(), windows, WindowUpdate::Unavailable(&reason)).await?;
        self.tell_unread(windows, WindowState::Unavailable, message);
        Ok(())
    }

    fn tell_unread(&self, windows: &[Window], state: WindowState, message: &str) {
        for window in windows {
            self.events.emit(RunEventKind::Window(WindowReport {
                pipeline: self.spec.pipeline_name(),
                window: *window,
                state,
                counts: WindowCounts::default(),
                pages: 0,
                message: Some(message.into()),
            }));
        }
    }
}

impl FetchFailure {
    /// Converts the failure to what it means if nothing else can be read either.
    pub(crate) fn settled(self) -> Self {
        match self {
            Self::Doubtful(error) | Self::Refused(error) => unread(error),
            other => other,
        }
    }

    /// What stops the run. `None` for a failure that leaves only this request without an answer.
    pub(crate) fn fatal(self) -> Option<Failure> {
        match self {
            Self::Fatal(failure) => Some(failure),
            Self::TooMuch(_)
            | Self::Poisoned(_)
            | Self::Doubtful(_)
            | Self::Rest(_)
            | Self::Unavailable(_)
            | Self::Refused(_) => None,
        }
    }
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fatal(failure) => write!(f, "{failure}"),
            Self::TooMuch(error) | Self::Poisoned(error) | Self::Doubtful(error) | Self::Refused(error) => {
                write!(f, "{error}")
            }
            Self::Rest(message) | Self::Unavailable(message) => f.write_str(message),
        }
    }
}

/// Whether a refusal may concern a part of the request. A company's plan may lack custom fields and say so in the words for an
/// entity that it lacks (codes 5020 and 5030).
fn may_concern_a_part(error: &qbo_client::Error, query: &Query) -> bool {
    match &error.kind {
        ErrorKind::BadQuery { .. } => true,
        ErrorKind::EntityUnavailable { code } => query.included().is_some() && code.starts_with('5'),
        _ => false,
    }
}

/// Classifies the failure of a page. A failure of the whole page may be caused by one of its records.
fn page_unread(error: qbo_client::Error) -> FetchFailure {
    match &error.kind {
        ErrorKind::Exhausted { cause: Cause::Throttled, .. } => unread(error),
        ErrorKind::Exhausted { .. } | ErrorKind::WebPage { .. } | ErrorKind::BadQuery { .. } => {
            FetchFailure::Doubtful(error)
        }
        _ => unread(error),
    }
}

fn unread(error: qbo_client::Error) -> FetchFailure {
    match (error.advice(), &error.kind) {
        (SourceAdvice::AskFewer, ErrorKind::PoisonedPage { .. }) => FetchFailure::Poisoned(error),
        (SourceAdvice::AskFewer, _) => FetchFailure::TooMuch(error),
        (SourceAdvice::GiveUp, ErrorKind::EntityUnavailable { .. }) => {
            FetchFailure::Unavailable(error.kind.to_string())
        }
        (SourceAdvice::GiveUp, _) => FetchFailure::Rest(error.to_string()),
        _ => FetchFailure::Fatal(Failure::Read(error)),
    }
}
