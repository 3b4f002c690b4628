//! The run of one trigger by a worker: takes the trigger's lease, fires it, and brings its run to an end.

use std::collections::BTreeMap;
use std::sync::Arc;

use failpoint::point;
use qbo_auth::Advice as AuthAdvice;
use qbo_client::{Advice as SourceAdvice, BudgetError, ErrorKind};
use raw_store::{
    Advice as StoreAdvice, Lease, LogFilter, LogLine, RunId, RunStatus, StoreError, StoreErrorKind, Trigger,
    TriggerEnd, TriggerName, TriggerState, Window, WindowSelection, WindowState,
};
use tokio_util::sync::CancellationToken;

use super::dependencies::Worker;
use crate::engine::{RunOutcome, Totals};
use crate::error::{Failure, RunError};
use crate::event::RunEventKind;
use crate::lease_guard::LeaseGuard;
use crate::plan::RunRequest;

/// The run of one due trigger, with what is needed to start and stop it.
#[derive(Debug)]
pub(crate) struct TriggerRun {
    pub(crate) worker: Arc<Worker>,
    pub(crate) name: TriggerName,
    pub(crate) request: RunRequest,
    /// Cancelled when the worker ends.
    pub(crate) stop: CancellationToken,
    /// Cancelled to stop this run.
    pub(crate) halt: CancellationToken,
    /// Whether the run may be delayed if the source or the database cannot serve it.
    pub(crate) may_rest: bool,
}

/// How a worker leaves a trigger.
#[derive(Debug)]
pub(crate) enum TriggerOutcome {
    /// Another worker has the trigger, or there is nothing left to do.
    Alone,
    /// The trigger is finished. `open` says whether records of its run wait for a person in quarantine.
    Ended { state: TriggerState, open: bool },
    /// The trigger is left for the next worker, or for later, with the reason.
    Open(Rest, Option<Box<str>>),
}

/// How long a run is delayed before it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing is wrong with the run; the short delay keeps workers from spinning on it.
    AMoment,
    /// The source or the database cannot serve the run now.
    AWhile,
}

impl TriggerRun {
    /// Takes the trigger, fires it, and brings its run to an end.
    pub(crate) async fn run(self) -> TriggerOutcome {
        let Self { worker, name, request, .. } = &self;
        let lease = match worker.queue.claim(name, &worker.holder).await {
            Ok(lease) => lease,
            Err(error) => return self.alone(&error),
        };
        let held = LeaseGuard::new(worker.store.clone(), lease);
        let lease = held.lease();
        point!("trigger.taken");
        let left = match worker.queue.fire(lease, name, &request.start(worker.clock.now_utc())).await {
            Ok(Some(fired)) => self.bring_to_an_end(lease, &fired).await,
            Ok(None) => TriggerOutcome::Alone,
            Err(error) => self.alone(&error),
        };
        if let Err(error) = held.release().await {
            // The lease expires by itself.
            self.trouble(&error);
        }
        left
    }

    fn alone(&self, error: &StoreError) -> TriggerOutcome {
        if !matches!(error.kind, StoreErrorKind::LeaseHeld { .. }) {
            self.trouble(error);
        }
        TriggerOutcome::Open(Rest::AMoment, Some(error.to_string().into()))
    }

    async fn bring_to_an_end(&self, lease: &Lease, fired: &Trigger) -> TriggerOutcome {
        let run = fired.run.clone().unwrap_or_else(|| self.request.id.clone());
        let (trigger, fire_at) = (self.name.clone(), fired.asked.fire_at);
        self.worker.emit(Some(&run), RunEventKind::TriggerFired { trigger, fire_at });
        let result = if fired.stop_requested {
            Some(Verdict::Ends { end: cancelled(), open: false })
        } else {
            match self.chosen(fired, &run).await {
                Ok(chosen) => {
                    let (id, fence) = (run.clone(), Some(lease.clone()));
                    let request = RunRequest { id, fence, chosen, ..self.request.clone() };
                    match self.read(lease, request).await {
                        Some((result, wrong)) => Some(self.judge(result, wrong, &run).await),
                        None => None,
                    }
                }
                Err(error) => Some(Verdict::GoesOn(Rest::AMoment, Some(error.to_string().into()))),
            }
        };
        let (state, message, left) = match result {
            None => (TriggerState::Running, None, TriggerOutcome::Alone),
            Some(Verdict::GoesOn(rest, why)) => {
                (TriggerState::Running, why.clone(), TriggerOutcome::Open(rest, why))
            }
            Some(Verdict::Ends { end, open }) => {
                match self.worker.queue.finish(lease, &self.name, &end).await {
                    Ok(()) => (end.state, end.message, TriggerOutcome::Ended { state: end.state, open }),
                    // The worker that resumes the run finds what is left of it, and finishes the trigger.
                    Err(error) => {
                        self.trouble(&error);
                        let why = Some(error.to_string().into());
                        (TriggerState::Running, None, TriggerOutcome::Open(Rest::AMoment, why))
                    }
                }
            }
        };
        let trigger = self.name.clone();
        self.worker.emit(Some(&run), RunEventKind::TriggerEnded { trigger, state, message });
        left
    }

    /// Finds the windows that a trigger for failed windows reads: those that have failed by now, and those that its run has opened
    /// before it was interrupted. `None` for other triggers.
    async fn chosen(
        &self,
        fired: &Trigger,
        run: &RunId,
    ) -> Result<Option<BTreeMap<Box<str>, Vec<Window>>>, StoreError> {
        let plan = &fired.asked.plan;
        if plan.selection != WindowSelection::Failed {
            return Ok(None);
        }
        let mut chosen: BTreeMap<Box<str>, Vec<Window>> = BTreeMap::new();
        for entity_name in &plan.entity_names {
            let filter = LogFilter {
                entity_name: Some(entity_name.clone()),
                span: Some(plan.span),
                ..LogFilter::default()
            };
            let lines = self.worker.store.lines(&filter).await?;
            let is_chosen = |line: &&LogLine| {
                line.time_axis == plan.time_axis
                    && (line.state == WindowState::Failed || line.run.as_ref() == Some(run))
            };
            let windows = lines.iter().filter(is_chosen).map(|line| line.window);
            chosen.insert(entity_name.clone(), windows.collect());
        }
        Ok(Some(chosen))
    }

    /// Runs the backfill, and returns what is wrong with what it left, if anything is. Returns `None` if the trigger was lost
    /// to another worker meanwhile.
    async fn read(
        &self,
        lease: &Lease,
        request: RunRequest,
    ) -> Option<(Result<RunOutcome, RunError>, Wrong)> {
        let engine = match self.worker.runs.engine() {
            Ok(engine) => engine,
            Err(why) => return Some((Err(RunError::general(Failure::Broken(why))), None)),
        };
        let mut running = std::pin::pin!(engine.run(request, self.halt.clone()));
        tokio::select! {
            biased;
            result = &mut running => {
                let wrong = match &result {
                    Ok(outcome) => self.halt.run_until_cancelled(self.worker.runs.ended(outcome)).await,
                    Err(_) => None,
                };
                Some((result, wrong.flatten()))
            }
            _ = self.worker.store.lost(lease) => {
                self.halt.cancel();
                // The run's windows are fenced by leases of their own.
                drop(running.await);
                None
            }
        }
    }

    /// Decides how a trigger ends with its run, if the run does not resume later.
    async fn judge(&self, result: Result<RunOutcome, RunError>, wrong: Wrong, run: &RunId) -> Verdict {
        let failed = |message: Box<str>, code: &str| Verdict::Ends {
            end: TriggerEnd {
                state: TriggerState::Failed,
                message: Some(message),
                error_code: Some(code.into()),
            },
            open: false,
        };
        let (totals, open, failure) = match result {
            Ok(outcome) => (left_by(&outcome), outcome.open_quarantine, outcome.failure),
            Err(error) => (Totals::default(), 0, Some(error)),
        };
        match failure {
            Some(RunError { failure: Failure::Stopped, .. }) if self.stop.is_cancelled() => {
                Verdict::GoesOn(Rest::AMoment, None)
            }
            Some(RunError { failure: Failure::Stopped, .. }) => {
                Verdict::Ends { end: cancelled(), open: false }
            }
            Some(error) if self.may_rest && may_pass(&error.failure) => {
                Verdict::GoesOn(Rest::AWhile, Some(error.to_string().into()))
            }
            Some(error) => failed(error.to_string().into(), error.failure.code()),
            None => match (self.failed_windows(&totals, run).await, wrong) {
                (Ok(0), None) => Verdict::Ends { end: done(&totals, open), open: open > 0 },
                (Ok(0), Some(wrong)) => failed(wrong, "run.left_wrong"),
                (Ok(windows), _) => failed(format!("{windows} windows failed").into(), "run.windows_failed"),
                (Err(error), _) => Verdict::GoesOn(Rest::AMoment, Some(error.to_string().into())),
            },
        }
    }

    /// Counts windows that the run gave up and that were not read since.
    async fn failed_windows(&self, totals: &Totals, run: &RunId) -> Result<usize, StoreError> {
        if totals.windows_failed == 0 {
            return Ok(0);
        }
        let failed =
            LogFilter { run: Some(run.clone()), state: Some(WindowState::Failed), ..LogFilter::default() };
        Ok(self.worker.store.lines(&failed).await?.len())
    }

    fn trouble(&self, error: &StoreError) {
        self.worker.trouble(format!("trigger {}: {error}", self.name));
    }
}

/// What [`RunFactory::ended`](crate::RunFactory::ended) found wrong with what a run has left.
type Wrong = Option<Box<str>>;

/// The outcome of a trigger's run.
#[derive(Debug)]
enum Verdict {
    Ends {
        end: TriggerEnd,
        /// Whether records of the run wait for a person in quarantine.
        open: bool,
    },
    /// The run resumes later; with the reason.
    GoesOn(Rest, Option<Box<str>>),
}

/// Returns the totals of a run, without provisional windows that another run has completed since.
fn left_by(outcome: &RunOutcome) -> Totals {
    let totals = outcome.totals();
    if outcome.status() == RunStatus::Completed {
        Totals { windows_provisional: 0, ..totals }
    } else {
        totals
    }
}

fn done(totals: &Totals, open_quarantine: u64) -> TriggerEnd {
    let left = [
        (open_quarantine, "records are in quarantine"),
        (totals.windows_provisional, "windows are provisional, to be read again"),
    ];
    let left = left.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
    let message = left.collect::<Vec<_>>().join(", ");
    let message = (!message.is_empty()).then(|| message.into());
    TriggerEnd { state: TriggerState::Done, message, error_code: None }
}

fn cancelled() -> TriggerEnd {
    TriggerEnd {
        state: TriggerState::Cancelled,
        message: Some("stopped on request".into()),
        error_code: None,
    }
}

/// Whether the same run may succeed later without a person's help.
fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Read(error) => match &error.kind {
            ErrorKind::Auth(error) => {
                matches!(error.advice(), AuthAdvice::RetryAfter(_) | AuthAdvice::VaultBusy)
            }
            ErrorKind::Budget(BudgetError::Unavailable { may_pass, .. }) => *may_pass,
            _ => error.advice() == SourceAdvice::TryLater,
        },
        Failure::Land(error) => {
            matches!(error.advice(), StoreAdvice::Retry | StoreAdvice::WaitForOther)
                || matches!(error.kind, StoreErrorKind::LogMoved(_))
        }
        Failure::TooManyWindows(_) | Failure::Stopped | Failure::Broken(_) => false,
    }
}
