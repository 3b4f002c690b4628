//! The triggers that a worker runs, and those whose runs it delays.

use std::collections::HashMap;
use std::time::Duration;

use raw_store::{TriggerName, TriggerState};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::dependencies::WorkerEnd;
use super::trigger_run::{Rest, TriggerOutcome, TriggerRun};

/// Delay before a run that another worker may hold, or that was stopped, is tried again.
pub(super) const AWAY: Duration = Duration::from_secs(5);

/// Delay between attempts at a run that the source or the database could not serve.
pub(super) const RESUME_AFTER: Duration = Duration::from_mins(5);

/// The triggers that a worker is running.
#[derive(Debug, Default)]
pub(super) struct ActiveRuns {
    pub(super) working: JoinSet<TriggerOutcome>,
    under_way: HashMap<TriggerName, (Id, CancellationToken)>,
    resting: HashMap<TriggerName, Resting>,
    /// How the triggers that ended here did.
    pub(super) end: WorkerEnd,
}

/// A trigger whose run is delayed.
#[derive(Debug)]
pub(super) struct Resting {
    /// The end of the delay.
    pub(super) until: Duration,
    /// How often the run was delayed.
    times: u32,
    /// Why it is delayed.
    pub(super) reason: Box<str>,
}

impl ActiveRuns {
    /// Whether no trigger runs.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The triggers that run.
    pub(super) fn running(&self) -> impl Iterator<Item = &TriggerName> {
        self.under_way.keys()
    }

    /// The triggers whose runs are delayed.
    pub(super) fn resting(&self) -> impl Iterator<Item = (&TriggerName, &Resting)> {
        self.resting.iter()
    }

    /// Stops a trigger's run, or ends its delay, so that the trigger ends at once.
    pub(super) fn halt(&mut self, name: &TriggerName) {
        match self.under_way.get(name) {
            Some((_, halt)) => halt.cancel(),
            None => drop(self.resting.remove(name)),
        }
    }

    /// Whether a trigger runs, or is delayed at this time.
    pub(super) fn holds(&self, name: &TriggerName, now: Duration) -> bool {
        self.under_way.contains_key(name) || self.resting.get(name).is_some_and(|rest| now < rest.until)
    }

    /// How often the run of a trigger was delayed.
    pub(super) fn times_rested(&self, name: &TriggerName) -> u32 {
        self.resting.get(name).map_or(0, |rest| rest.times)
    }

    /// Delays a trigger that this worker cannot run.
    pub(super) fn leave(&mut self, name: TriggerName, now: Duration, reason: &str) {
        self.resting.insert(name, Resting { until: now + RESUME_AFTER, times: 0, reason: reason.into() });
    }

    /// Starts a run.
    pub(super) fn spawn(&mut self, name: TriggerName, halt: CancellationToken, run: TriggerRun) {
        let task = self.working.spawn(run.run());
        self.under_way.insert(name, (task.id(), halt));
    }

    /// Notes how a task ended.
    pub(super) fn put_down(&mut self, ended: Result<(Id, TriggerOutcome), JoinError>, now: Duration) {
        let (id, left) = match ended {
            Ok((id, left)) => (id, left),
            // A bug in one run is no reason to abandon the others. The lease is released as the task unwinds.
            Err(panicked) => {
                let reason = Some("its run ended by a bug of this program".into());
                (panicked.id(), TriggerOutcome::Open(Rest::AWhile, reason))
            }
        };
        let name = self.under_way.iter().find(|(_, (task, _))| *task == id).map(|(name, _)| name.clone());
        let Some(name) = name else { return };
        self.under_way.remove(&name);
        match left {
            TriggerOutcome::Open(rest, reason) => {
                let (pause, more) = match rest {
                    Rest::AMoment => (AWAY, 0),
                    Rest::AWhile => (RESUME_AFTER, 1),
                };
                let times = self.times_rested(&name) + more;
                let reason = reason.unwrap_or_else(|| "its run was interrupted".into());
                self.resting.insert(name, Resting { until: now + pause, times, reason });
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
