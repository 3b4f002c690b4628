//! The worker: waits for triggers, and runs each once.

mod dependencies;
mod trigger_run;

pub use self::dependencies::{RunFactory, Until, Worker, WorkerEnd};

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use raw_store::{Advice, Trigger, TriggerName, TriggerState};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use self::trigger_run::{Rest, TriggerOutcome, TriggerRun};
use crate::error::RunError;
use crate::plan::RunRequest;

/// Poll interval for due triggers: each starts within a second of its time.
const LOOK: Duration = Duration::from_millis(500);

/// Grace period before an `IfMissed::Skip` trigger expires.
const MISSED_AFTER: Duration = Duration::from_mins(1);

/// Delay before a worker retries a database that does not answer.
const AWAY: Duration = Duration::from_secs(5);

/// Delay between attempts at a run that the source or the database could not serve, and their maximum.
const RESUME_AFTER: Duration = Duration::from_mins(5);
const MOST_RESUMES: u32 = 24;

/// How long a run waits for a pipeline that another process holds: as long as any backfill takes.
const WAIT: Duration = Duration::from_hours(24);

/// The triggers that a worker is running.
#[derive(Debug, Default)]
struct ActiveRuns {
    working: JoinSet<TriggerOutcome>,
    under_way: HashMap<TriggerName, (Id, CancellationToken)>,
    /// Triggers whose run is delayed, with the end of the delay and how often the run was delayed.
    resting: HashMap<TriggerName, (Duration, u32)>,
    /// How the triggers that ended here did.
    end: WorkerEnd,
}

impl Worker {
    /// Works until `stop` is cancelled or, with [`Until::Idle`], until nothing is left. Runs in progress commit their page in
    /// hand first; the next worker resumes them.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the queue cannot be used. A database that does not answer for a while is waited for.
    pub async fn work(self: Arc<Self>, until: Until, stop: CancellationToken) -> Result<WorkerEnd, RunError> {
        self.store.bind(&self.identity).await.map_err(RunError::general)?;
        // Ending this worker must not cancel the caller's token.
        let stop = stop.child_token();
        let mut active = ActiveRuns::default();
        let result = loop {
            let pause = match self.queue.poll(MISSED_AFTER).await {
                Ok(board) => {
                    for name in &board.stop {
                        match active.under_way.get(name) {
                            Some((_, halt)) => halt.cancel(),
                            // The trigger ends at once, not when its delay is over.
                            None => drop(active.resting.remove(name)),
                        }
                    }
                    let now = self.clock.elapsed();
                    let mut idle = true;
                    for trigger in &board.due {
                        idle &= !self.begin(trigger, now, &mut active, &stop);
                    }
                    if until == Until::Idle && idle && active.under_way.is_empty() {
                        break Ok(());
                    }
                    LOOK
                }
                Err(error) if error.advice() == Advice::Retry => {
                    self.trouble(format!("{error}; polling again in {} s", AWAY.as_secs()));
                    AWAY
                }
                Err(error) => break Err(RunError::general(error)),
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                Some(ended) = active.working.join_next_with_id() => active.put_down(ended, self.clock.elapsed()),
                () = self.clock.sleep(pause) => {}
            }
        };
        stop.cancel();
        while let Some(ended) = active.working.join_next_with_id().await {
            active.put_down(ended, self.clock.elapsed());
        }
        result.map(|()| active.end)
    }

    /// Starts a trigger's run, unless it is in progress or delayed. Returns whether there is something to wait for.
    fn begin(
        self: &Arc<Self>,
        trigger: &Trigger,
        now: Duration,
        active: &mut ActiveRuns,
        stop: &CancellationToken,
    ) -> bool {
        let name = trigger.asked.name.clone();
        if active.under_way.contains_key(&name)
            || active.resting.get(&name).is_some_and(|(until, _)| now < *until)
        {
            return true;
        }
        let request = match self.request(trigger) {
            Ok(request) => request,
            Err(why) => {
                // Another worker may know how to run it.
                self.trouble(format!("trigger {name}: {why}"));
                active.resting.insert(name, (now + RESUME_AFTER, 0));
                return false;
            }
        };
        let resumes = active.resting.get(&name).map_or(0, |(_, times)| *times);
        let halt = stop.child_token();
        let run = TriggerRun {
            worker: Arc::clone(self),
            name: name.clone(),
            request,
            stop: stop.clone(),
            halt: halt.clone(),
            may_rest: resumes < MOST_RESUMES,
        };
        let task = active.working.spawn(run.run());
        active.under_way.insert(name, (task.id(), halt));
        true
    }

    /// Builds the request for a trigger's run.
    fn request(&self, trigger: &Trigger) -> Result<RunRequest, String> {
        let plan = &trigger.asked.plan;
        let words = plan.entity_names.iter().map(|name| &**name);
        let entities = self.catalog.select(words).map_err(|error| error.to_string())?;
        let (id, seed) = self.runs.name();
        let chunk = plan.chunk.parse().map_err(|error: crate::UnknownChunk| error.to_string())?;
        let axis = plan.time_axis.parse().map_err(|error: crate::UnknownAxis| error.to_string())?;
        let request = RunRequest::new(id, self.identity.clone(), entities, plan.span);
        Ok(request
            .with_seed(seed)
            .with_holder(&*self.holder)
            .with_wait(WAIT)
            .with_chunk(chunk)
            .with_axis(axis)
            .with_settle(self.settle))
    }
}

impl ActiveRuns {
    /// Notes how a task ended.
    fn put_down(&mut self, ended: Result<(Id, TriggerOutcome), JoinError>, now: Duration) {
        let (id, left) = match ended {
            Ok((id, left)) => (id, left),
            // A bug in one run is no reason to abandon the others. The lease is released as the task unwinds.
            Err(panicked) => (panicked.id(), TriggerOutcome::Open(Rest::AWhile)),
        };
        let name = self.under_way.iter().find(|(_, (task, _))| *task == id).map(|(name, _)| name.clone());
        let Some(name) = name else { return };
        self.under_way.remove(&name);
        match left {
            TriggerOutcome::Open(rest) => {
                let (pause, more) = match rest {
                    Rest::AMoment => (AWAY, 0),
                    Rest::AWhile => (RESUME_AFTER, 1),
                };
                let times = self.resting.get(&name).map_or(0, |(_, times)| *times);
                self.resting.insert(name, (now + pause, times + more));
            }
            TriggerOutcome::Ended { state, open } => {
                self.end.failed += u64::from(state == TriggerState::Failed);
                self.end.with_quarantine += u64::from(open);
                self.resting.remove(&name);
            }
            TriggerOutcome::Alone => {
                self.resting.remove(&name);
            }
        }
    }
}
