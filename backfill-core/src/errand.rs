//! One trigger in a worker's hand: taken, fired, and its run brought to an end.

use std::sync::Arc;

use qbo_client::Advice as SourceAdvice;
use raw_store::{
    Advice as StoreAdvice, Lease, StoreError, StoreErrorKind, Trigger, TriggerEnd, TriggerName, TriggerState,
};
use tokio_util::sync::CancellationToken;

use crate::{Failure, RunError, RunEvent, RunOutcome, RunRequest, Worker};

#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) worker: Arc<Worker>,
    pub(crate) name: TriggerName,
    pub(crate) request: RunRequest,
    /// The worker ends.
    pub(crate) stop: CancellationToken,
    /// This run is to stop.
    pub(crate) halt: CancellationToken,
    /// Whether the run may be left alone for a while if nobody can serve it.
    pub(crate) may_rest: bool,
}

/// How a worker leaves a trigger.
#[derive(Debug)]
pub(crate) enum Left {
    /// Another has it, or there is nothing to do any more.
    Alone,
    Ended(TriggerState),
    /// For the next worker, or for later.
    Open(Rest),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    None,
    AWhile,
}

impl Errand {
    /// Takes the trigger, fires it, and brings its run to an end.
    pub(crate) async fn run(self) -> Left {
        let Self { worker, name, request, .. } = &self;
        let lease = match worker.queue.take(name, &worker.holder).await {
            Ok(lease) => lease,
            Err(error) => return self.alone(&error),
        };
        let left = match worker.queue.fire(&lease, name, &request.start(worker.clock.now_utc())).await {
            Ok(Some(fired)) => self.bring_to_an_end(&lease, &fired).await,
            Ok(None) => Left::Alone,
            Err(error) => self.alone(&error),
        };
        if let Err(error) = worker.store.release(&lease).await {
            // It ends by itself.
            self.trouble(&error);
        }
        left
    }

    fn alone(&self, error: &StoreError) -> Left {
        if !matches!(error.kind, StoreErrorKind::LeaseHeld { .. }) {
            self.trouble(error);
        }
        Left::Open(Rest::None)
    }

    async fn bring_to_an_end(&self, lease: &Lease, fired: &Trigger) -> Left {
        let run = fired.run.clone().unwrap_or_else(|| self.request.id.clone());
        let (trigger, fire_at) = (self.name.clone(), fired.asked.fire_at);
        self.worker.sink.emit(&RunEvent::TriggerFired { trigger, run: run.clone(), fire_at });
        let end = if fired.stop_requested {
            Some(cancelled())
        } else {
            match self.read(lease, RunRequest { id: run, ..self.request.clone() }).await {
                None => return Left::Alone,
                Some(result) => judge(result, self.stop.is_cancelled(), self.may_rest),
            }
        };
        let (state, message, left) = match end {
            None => {
                let rest = if self.stop.is_cancelled() { Rest::None } else { Rest::AWhile };
                (TriggerState::Running, None, Left::Open(rest))
            }
            Some(end) => match self.worker.queue.conclude(lease, &self.name, &end).await {
                Ok(()) => (end.state, end.message, Left::Ended(end.state)),
                // The run is over; whoever goes on with it finds nothing to read, and concludes.
                Err(error) => {
                    self.trouble(&error);
                    (TriggerState::Running, None, Left::Open(Rest::None))
                }
            },
        };
        self.worker.sink.emit(&RunEvent::TriggerEnded { trigger: self.name.clone(), state, message });
        left
    }

    /// Runs the backfill. Nothing if the trigger was lost to another worker meanwhile.
    async fn read(&self, lease: &Lease, request: RunRequest) -> Option<Result<RunOutcome, RunError>> {
        let engine = match self.worker.runs.engine() {
            Ok(engine) => engine,
            Err(why) => return Some(Err(RunError::general(Failure::Broken(why)))),
        };
        let mut running = std::pin::pin!(engine.run(request, self.halt.clone()));
        tokio::select! {
            result = &mut running => {
                if let Ok(outcome) = &result {
                    self.halt.run_until_cancelled(self.worker.runs.ended(outcome)).await;
                }
                Some(result)
            }
            _ = self.worker.store.lost(lease) => {
                self.halt.cancel();
                // Its windows are fenced by leases of their own.
                drop(running.await);
                None
            }
        }
    }

    fn trouble(&self, error: &StoreError) {
        self.worker.trouble(format!("trigger {}: {error}", self.name));
    }
}

fn cancelled() -> TriggerEnd {
    TriggerEnd { state: TriggerState::Cancelled, message: Some("stopped on request".into()) }
}

/// How a trigger ends with its run; not at all, if the run goes on later.
fn judge(result: Result<RunOutcome, RunError>, stopped: bool, may_rest: bool) -> Option<TriggerEnd> {
    let failed =
        |message: String| Some(TriggerEnd { state: TriggerState::Failed, message: Some(message.into()) });
    let (totals, failure) = match result {
        Ok(outcome) => (outcome.totals(), outcome.failure),
        Err(error) => (crate::Totals::default(), Some(error)),
    };
    match failure {
        Some(RunError { failure: Failure::Stopped, .. }) => (!stopped).then(cancelled),
        Some(error) if may_rest && may_pass(&error.failure) => None,
        Some(error) => failed(error.to_string()),
        None if totals.windows_failed > 0 => failed(format!("{} windows failed", totals.windows_failed)),
        None => {
            let left = [
                (totals.counts.quarantined, "records are in quarantine"),
                (totals.windows_provisional, "windows are provisional, to be read again"),
            ];
            let left = left.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
            let message = left.collect::<Vec<_>>().join(", ");
            let message = (!message.is_empty()).then(|| message.into());
            Some(TriggerEnd { state: TriggerState::Done, message })
        }
    }
}

/// Whether the same run may go on later without anybody's help.
fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Read(error) => error.advice() == SourceAdvice::TryLater,
        Failure::Land(error) => matches!(error.advice(), StoreAdvice::Retry | StoreAdvice::WaitForOther),
        Failure::Stopped | Failure::Broken(_) => false,
    }
}
