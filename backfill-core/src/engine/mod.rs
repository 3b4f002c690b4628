//! The engine's scheduling loop: reads as many pipelines at a time as requested, until all are read or something stops them.

mod count_check;
mod lease;
mod log_snapshot;
mod outcome;
mod pipeline;
mod refused_parts;
mod run_context;
mod settle;

pub use self::outcome::{RunOutcome, Totals};

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use qbo_auth::Clock;
use qbo_client::{QboClient, Usage};
use raw_store::{LogFilter, LogLine, RunEnd, RunId, RunStatus, Store, StoreError, StoreErrorKind};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::log_snapshot::{LogSnapshot, log_moved};
use self::pipeline::{Pass, names};
use self::run_context::{Learned, RunContext};
use crate::error::{Failure, RunError, broken};
use crate::event::{Emitter, EventSink, RunEventKind};
use crate::plan::{PipelinePlan, Plan, RunRequest};
use crate::scan::record_heads::RunHeads;
use crate::store_parts::StoreParts;

/// How often a run goes on from what the database still holds, after the database lost committed pages. A database that loses
/// pages more often needs a person.
const MOST_SETBACKS: u32 = 3;

/// Runs backfills. An embedding service builds one engine and hands it requests.
#[derive(Debug)]
pub struct Engine {
    pub(crate) client: Arc<dyn QboClient>,
    pub(crate) store: StoreParts,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: Arc<dyn EventSink>,
    /// Whether the rows of its runs are validated afterwards.
    pub(crate) keeps_heads: bool,
}

impl Engine {
    /// Creates an engine from its parts, without calling QuickBooks or the store. While it reads, the sink also receives the
    /// client's events.
    pub fn new(
        client: Arc<dyn QboClient>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        sink: Arc<dyn EventSink>,
    ) -> Self {
        Self { client, store: store.into(), clock, sink, keeps_heads: true }
    }

    /// Returns what emits the events of a run.
    pub(crate) fn events(&self, run: &RunId) -> Emitter {
        Emitter::new(&self.sink, &self.clock, Some(run.clone()))
    }

    /// Plans a run from the request and the log, without calling QuickBooks.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the request has too many windows, or the log cannot be read.
    pub async fn plan(&self, request: &RunRequest) -> Result<Plan, RunError> {
        let request = &self.as_accepted(request.clone()).await?;
        request.check().map_err(RunError::general)?;
        Plan::new(request, &self.log(request).await?).map_err(RunError::general)
    }

    /// Leaves out of a request what QuickBooks has refused before.
    pub(crate) async fn as_accepted(&self, request: RunRequest) -> Result<RunRequest, RunError> {
        let refusals = self.store.refusals.refusals().await.map_err(RunError::general)?;
        Ok(request.with_refusals(&refusals, self.clock.now_utc()))
    }

    /// Returns the log's lines for the range of a run.
    async fn log(&self, request: &RunRequest) -> Result<Vec<LogLine>, RunError> {
        let filter = LogFilter { span: Some(request.span), ..LogFilter::default() };
        self.store.log.lines(&filter).await.map_err(RunError::general)
    }

    /// Runs a backfill until it ends or `stop` is cancelled; the page in hand is committed first.
    ///
    /// Running the same request again resumes where this run stopped, and costs nothing where the work was done.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the run could not begin; nothing was read then. A failure later on is in the outcome.
    pub async fn run(&self, request: RunRequest, stop: CancellationToken) -> Result<RunOutcome, RunError> {
        request.check().map_err(RunError::general)?;
        let began = (self.clock.elapsed(), self.client.usage());
        let request = Arc::new(self.as_accepted(request).await?);
        let (plan, done) = self.begin(&request).await?;
        let events = self.events(&request.id);
        events.emit(RunEventKind::RunStarted {
            seed: request.seed,
            pipelines: names(&request.entities),
            windows: plan.open_windows(),
            estimated_calls: plan.estimated_calls,
        });
        let learned = Learned::default();
        let reading = self.read_on(&request, (plan, done), stop, &learned);
        let read = events.relaying(&*self.client, reading).await;
        let mut outcome = self.finish(&request, read, began, learned.heads).await?;
        outcome.clock = *learned.apart.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(outcome)
    }

    /// Prepares everything that a run needs, including the run's own record, and plans what the log does not call done. If
    /// there is nothing to do, returns snapshots of the log.
    async fn begin(&self, request: &RunRequest) -> Result<(Plan, Vec<LogSnapshot>), RunError> {
        self.store.tables.bind(&request.identity).await.map_err(RunError::general)?;
        for spec in &request.entities {
            self.store.tables.prepare(&spec.pipeline(request.axis)).await.map_err(RunError::general)?;
        }
        let log = self.log(request).await?;
        let plan = Plan::new(request, &log).map_err(RunError::general)?;
        let stands = |idle: &PipelinePlan| {
            let pipeline = idle.spec.pipeline(request.axis);
            LogSnapshot::of(&pipeline, &idle.windows, (&request.id, request.reopen), &log)
        };
        let idle = plan.pipelines.iter().filter(|pipeline| !has_work(pipeline));
        let done = idle.filter_map(stands).collect();
        self.store.log.begin_run(&request.start(self.clock.now_utc())).await.map_err(RunError::general)?;
        Ok((plan, done))
    }

    /// Reads until the log says that everything is done. If the database lost committed pages, begins again with what it still
    /// holds, because only that is true.
    async fn read_on(
        &self,
        request: &Arc<RunRequest>,
        mut begun: (Plan, Vec<LogSnapshot>),
        stop: CancellationToken,
        learned: &Learned,
    ) -> Result<u64, RunError> {
        let mut setbacks = 0;
        let mut known = Arc::clone(request);
        loop {
            let error = match self.read_and_settle(&known, begun, &stop, learned).await {
                Ok(closed) => return Ok(closed),
                Err(error) => error,
            };
            let Failure::Land(StoreError { kind: StoreErrorKind::LogMoved(entity_name), .. }) =
                &error.failure
            else {
                return Err(error);
            };
            if setbacks == MOST_SETBACKS || stop.is_cancelled() {
                return Err(error);
            }
            setbacks += 1;
            let request = Arc::new(self.as_accepted(RunRequest::clone(request)).await?);
            let pipeline = entity_name.to_string();
            self.events(&request.id).emit(RunEventKind::LogMoved { pipeline, attempt: setbacks });
            begun = self.begin(&request).await?;
            known = request;
        }
    }

    /// Reads everything, then settles the windows that ended too near to now. Returns the number of windows that the run has
    /// closed.
    async fn read_and_settle(
        &self,
        request: &Arc<RunRequest>,
        (plan, mut done): (Plan, Vec<LogSnapshot>),
        stop: &CancellationToken,
        learned: &Learned,
    ) -> Result<u64, RunError> {
        let due = plan.pipelines.iter().filter(|pipeline| has_work(pipeline)).cloned().collect();
        done.extend(self.read_all(request, due, Pass::First, (stop, learned)).await?);
        let mut has_read = plan.pipelines.iter().any(has_work);
        // Settling closes windows again that were closed already.
        let closed = done.iter().map(LogSnapshot::closed).sum();
        if let Some(settled) = self.settle(request, &plan, stop, learned).await? {
            done.extend(settled);
            has_read = true;
        }
        // Otherwise the log was read just now.
        if has_read {
            self.still_stands(request, &done).await?;
        }
        Ok(closed)
    }

    /// Reads pipelines. Returns a snapshot of the log for each, or the most telling of the failures.
    async fn read_all(
        &self,
        request: &Arc<RunRequest>,
        mut waiting: VecDeque<PipelinePlan>,
        pass: Pass,
        (stop, learned): (&CancellationToken, &Learned),
    ) -> Result<Vec<LogSnapshot>, RunError> {
        let mut done = Vec::new();
        let permits = Arc::new(Semaphore::new(request.concurrency.get()));
        let mut working = JoinSet::new();
        let halt = stop.child_token();
        let mut failure: Option<RunError> = None;
        loop {
            let may_begin = !waiting.is_empty() && !halt.is_cancelled();
            // Polls in a fixed order, here and elsewhere: the run's random choices have a seed, and those of `select!` do not.
            let ended = tokio::select! {
                biased;
                Some(ended) = working.join_next() => ended,
                // Permits are given in the order of the requests for them: a pipeline that waits here goes before the
                // additional permits of pipelines that have begun.
                Ok(permit) = Arc::clone(&permits).acquire_owned(), if may_begin => {
                    if let Some(next) = waiting.pop_front() {
                        let shared = self.shared(&request.id, &permits, &halt, learned);
                        working.spawn(pipeline::read(shared, Arc::clone(request), next, pass, permit));
                    }
                    continue;
                }
                () = halt.cancelled(), if may_begin => continue,
                else => break,
            };
            let error = match ended {
                Ok(Ok(snapshot)) => {
                    done.push(snapshot);
                    continue;
                }
                Ok(Err(error)) => error,
                Err(_) => RunError::general(broken("a task panicked")),
            };
            if !concerns_one_pipeline(&error.failure) {
                halt.cancel();
            }
            // A settling run is not stopped by another process that holds a pipeline.
            let says_less = |known: &RunError| {
                matches!(known.failure, Failure::Stopped) || (pass == Pass::Settling && lease::is_held(known))
            };
            if failure.as_ref().is_none_or(says_less) {
                failure = Some(error);
            }
        }
        // The run was stopped between two pipelines: the waiting ones were not read.
        if failure.is_none() && !waiting.is_empty() {
            failure = Some(RunError::general(Failure::Stopped));
        }
        match failure {
            Some(failure) => Err(failure),
            None => Ok(done),
        }
    }

    /// Makes sure that the log has not been put back since the pipelines were read.
    async fn still_stands(&self, request: &RunRequest, done: &[LogSnapshot]) -> Result<(), RunError> {
        let log = self.log(request).await?;
        match done.iter().find(|snapshot| !snapshot.holds(request.axis.as_str(), &log)) {
            Some(snapshot) => Err(RunError::general(log_moved(snapshot.entity_name()))),
            None => Ok(()),
        }
    }

    fn shared(
        &self,
        run: &RunId,
        permits: &Arc<Semaphore>,
        stop: &CancellationToken,
        learned: &Learned,
    ) -> RunContext {
        RunContext {
            client: Arc::clone(&self.client),
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            events: self.events(run),
            stop: stop.clone(),
            permits: Arc::clone(permits),
            keeps_heads: self.keeps_heads,
            learned: learned.clone(),
        }
    }

    async fn finish(
        &self,
        request: &RunRequest,
        read: Result<u64, RunError>,
        (began, used): (Duration, Usage),
        heads: Arc<RunHeads>,
    ) -> Result<RunOutcome, RunError> {
        let closed = *read.as_ref().unwrap_or(&0);
        let failure = read.err();
        let usage = self.client.usage().since(&used);
        let open = self.open_quarantine(request).await;
        let status = self.status(request, failure.as_ref(), open.as_ref().ok().copied()).await;
        // If the log cannot be read, nobody knows whether it is complete.
        let (status, failure) = match status {
            Ok(status) => (status, failure),
            Err(error) => (RunStatus::Incomplete, Some(error)),
        };
        let end = RunEnd {
            status,
            closed,
            message: failure.as_ref().map(|error| error.to_string().into()),
            error_code: failure.as_ref().map(|error| error.failure.code().into()),
            finished_at: self.clock.now_utc(),
            calls: usage.calls,
            retries: usage.retries,
            waited_seconds: usage.waited.as_secs_f64(),
            fence: request.fence.clone(),
        };
        let record = match self.store.log.finish_run(&request.id, &end).await {
            Ok(()) => self.store.log.run(&request.id).await,
            Err(error) => Err(error),
        };
        let time = self.clock.elapsed().saturating_sub(began);
        self.events(&request.id).emit(RunEventKind::RunFinished { status, usage, time });
        match (record, open, failure) {
            (Ok(Some(record)), Ok(open_quarantine), failure) => {
                Ok(RunOutcome { record, usage, open_quarantine, failure, heads, clock: None })
            }
            // The store may have caused the first failure: then that failure says more than this one.
            (_, _, Some(failure)) => Err(failure),
            (Err(error), _, None) | (_, Err(error), None) => Err(RunError::general(error)),
            (Ok(None), _, None) => {
                // The record was deleted, or an older state of the database was restored.
                let gone = StoreErrorKind::Differs("the run's own record is gone from the log".into());
                Err(RunError::general(StoreError::new("finishing the run", gone)))
            }
        }
    }

    /// Counts the open quarantine records of the request's pipelines and range. Queries the database, because an earlier run
    /// may have put them there.
    pub(crate) async fn open_quarantine(&self, request: &RunRequest) -> Result<u64, StoreError> {
        let pipelines: Vec<_> = request.entities.iter().map(|spec| spec.pipeline(request.axis)).collect();
        self.store.quarantine.open_quarantine(&pipelines, Some(request.span)).await
    }

    /// Returns the status of a run as the log has it.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    async fn status(
        &self,
        request: &RunRequest,
        failure: Option<&RunError>,
        open_quarantine: Option<u64>,
    ) -> Result<RunStatus, RunError> {
        match failure.map(|error| &error.failure) {
            Some(Failure::Stopped) => return Ok(RunStatus::Stopped),
            Some(_) => return Ok(RunStatus::Failed),
            None if open_quarantine != Some(0) => return Ok(RunStatus::Incomplete),
            None => {}
        }
        let record = self.store.log.run(&request.id).await.map_err(RunError::general)?;
        let Some(record) = record else { return Ok(RunStatus::Incomplete) };
        let totals = Totals::of(&record.pipelines);
        // Windows that the run closed as provisional may have been completed by another process since.
        let is_complete =
            totals.is_complete() || (totals.windows_failed == 0 && self.is_completed(request).await?);
        Ok(if is_complete { RunStatus::Completed } else { RunStatus::Incomplete })
    }
}

/// A pipeline with nothing to read or to count needs neither a lease nor a call.
fn has_work(pipeline: &PipelinePlan) -> bool {
    !pipeline.scans.is_empty() || pipeline.uncounted > 0
}

/// A lease held by another process, or a part of the log that was put back, stops one pipeline; every other failure stops the
/// run.
fn concerns_one_pipeline(failure: &Failure) -> bool {
    match failure {
        Failure::Land(error) => matches!(
            error.kind,
            StoreErrorKind::LeaseHeld { .. } | StoreErrorKind::LeaseLost(_) | StoreErrorKind::LogMoved(_)
        ),
        Failure::Read(_) | Failure::TooManyWindows(_) | Failure::Stopped | Failure::Broken(_) => false,
    }
}
