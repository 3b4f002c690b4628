//! The worker: waits for triggers, and runs each once.

mod active_runs;
mod dependencies;
mod heartbeat;
mod trigger_run;

pub use self::dependencies::{RunFactory, Until, Worker, WorkerEnd, WorkerPresence};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raw_store::{Advice, Reopen, Trigger, WindowSelection};
use tokio_util::sync::CancellationToken;

use self::active_runs::{AWAY, ActiveRuns};
use self::heartbeat::Heartbeat;
use self::trigger_run::TriggerRun;
use crate::error::RunError;
use crate::plan::RunRequest;

/// Poll interval for due triggers: each starts within a second of its time.
const LOOK: Duration = Duration::from_millis(500);

/// Grace period before an `IfMissed::Skip` trigger expires.
const MISSED_AFTER: Duration = Duration::from_mins(1);

/// The most attempts at a run that the source or the database could not serve.
const MOST_RESUMES: u32 = 24;

/// How long a run waits for a pipeline that another process holds: as long as any backfill takes.
const WAIT: Duration = Duration::from_hours(24);

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
        let mut heartbeat = Heartbeat::default();
        let result = loop {
            heartbeat.beat(&self, &active).await;
            let pause = match self.queue.poll(MISSED_AFTER).await {
                Ok(board) => {
                    board.stop.iter().for_each(|name| active.halt(name));
                    let now = self.clock.elapsed();
                    let mut idle = true;
                    for trigger in &board.due {
                        idle &= !self.begin(trigger, now, &mut active, &stop);
                    }
                    if until == Until::Idle && idle && active.is_idle() {
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
        heartbeat.end(&self, &active).await;
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
        if active.holds(&name, now) {
            return true;
        }
        let request = match self.request(trigger) {
            Ok(request) => request,
            Err(why) => {
                // Another worker may know how to run it.
                self.trouble(format!("trigger {name}: {why}"));
                active.leave(name, now, &why);
                return false;
            }
        };
        let resumes = active.times_rested(&name);
        let halt = stop.child_token();
        let run = TriggerRun {
            worker: Arc::clone(self),
            name: name.clone(),
            request,
            stop: stop.clone(),
            halt: halt.clone(),
            may_rest: resumes < MOST_RESUMES,
        };
        active.spawn(name, halt, run);
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
        let mut request = RunRequest::new(id, self.identity.clone(), entities, plan.span);
        match plan.selection {
            WindowSelection::Open => {}
            // The log says which they are when the trigger has fired.
            WindowSelection::Failed => request.chosen = Some(BTreeMap::new()),
            WindowSelection::Again => request.reopen = Reopen::All,
        }
        Ok(request
            .with_seed(seed)
            .with_holder(&*self.holder)
            .with_wait(WAIT)
            .with_chunk(chunk)
            .with_axis(axis)
            .with_settle(self.settle))
    }
}
