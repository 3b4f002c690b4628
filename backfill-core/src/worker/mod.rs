//! The worker: waits for triggers, and runs each once.

mod service;
mod trigger_run;

pub use self::service::{RunFactory, Until, Worker, WorkerEnd};

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use raw_store::{Advice, Trigger, TriggerName, TriggerState};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use self::trigger_run::{Rest, TriggerOutcome, TriggerRun};
use crate::error::RunError;
use crate::plan::RunRequest;

/// How often is looked for triggers: each starts within a second of its time.
const LOOK: Duration = Duration::from_millis(500);

/// How late a trigger may be seen for the first time before one that is not to be late expires.
const MISSED_AFTER: Duration = Duration::from_mins(1);

/// How long a worker stays away from a database that does not answer.
const AWAY: Duration = Duration::from_secs(5);

/// How long a run is left alone that the source or the database could not serve, and how often it is gone on with.
const RESUME_AFTER: Duration = Duration::from_mins(5);
const MOST_RESUMES: u32 = 24;

/// How long a run waits for a pipeline that another has: as long as any backfill takes.
const WAIT: Duration = Duration::from_hours(24);

/// The triggers that a worker has in hand.
#[derive(Debug, Default)]
struct ActiveRuns {
    working: JoinSet<TriggerOutcome>,
    under_way: HashMap<TriggerName, (Id, CancellationToken)>,
    /// What is left alone for a while, and how often that was.
    resting: HashMap<TriggerName, (Duration, u32)>,
    /// Triggers that ended with something missing.
    end: WorkerEnd,
}

impl Worker {
    /// Works until it is told to stop, or until nothing is left. Runs under way commit their page in hand first; they go on
    /// with the next worker.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the queue cannot be used. A database that does not answer for a while is waited for.
    pub async fn work(self: Arc<Self>, until: Until, stop: CancellationToken) -> Result<WorkerEnd, RunError> {
        self.store.bind(&self.identity).await.map_err(RunError::general)?;
        // What ends this worker is nobody else's business.
        let stop = stop.child_token();
        let mut active = ActiveRuns::default();
        let result = loop {
            let pause = match self.queue.poll(MISSED_AFTER).await {
                Ok(board) => {
                    for name in &board.stop {
                        match active.under_way.get(name) {
                            Some((_, halt)) => halt.cancel(),
                            // It ends at once, in place of when its rest is over.
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
                    self.trouble(format!("{error}; looking again in {} s", AWAY.as_secs()));
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

    /// Begins with a trigger, unless it is in hand or rests. Returns whether there is something to wait for.
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
                // Another worker may know how.
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

    /// What a trigger asks for.
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
            .with_axis(axis))
    }
}

impl ActiveRuns {
    /// Notes how a task ended.
    fn put_down(&mut self, ended: Result<(Id, TriggerOutcome), JoinError>, now: Duration) {
        let (id, left) = match ended {
            Ok((id, left)) => (id, left),
            // A bug of ours in one run is no reason to leave the others. Its lease is given back as it unwinds.
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
