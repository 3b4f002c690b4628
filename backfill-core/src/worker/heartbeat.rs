//! Tells the store that the worker is alive, what it runs, and which triggers wait for a delay to pass.

use std::time::Duration;

use raw_store::{RestingTrigger, WorkerActivity, WorkerBeat};

use super::active_runs::ActiveRuns;
use super::dependencies::Worker;

/// Interval between two heartbeats.
const BEAT: Duration = Duration::from_secs(10);

/// When the worker sends its next heartbeat.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    /// The last heartbeat; `None` before the first.
    last: Option<Duration>,
    /// Whether the last heartbeat could not be recorded.
    failed: bool,
}

impl Heartbeat {
    /// Sends a heartbeat if it is time for one. Nothing depends on it, so a failure is reported once and changes nothing.
    pub(super) async fn beat(&mut self, worker: &Worker, active: &ActiveRuns) {
        let now = worker.clock.elapsed();
        if self.last.is_some_and(|last| now < last + BEAT) {
            return;
        }
        self.last = Some(now);
        let activity = if active.is_idle() { WorkerActivity::Waiting } else { WorkerActivity::Running };
        self.send(worker, active, activity).await;
    }

    /// Says that the worker has ended.
    pub(super) async fn end(&mut self, worker: &Worker, active: &ActiveRuns) {
        self.send(worker, active, WorkerActivity::Ended).await;
    }

    async fn send(&mut self, worker: &Worker, active: &ActiveRuns, activity: WorkerActivity) {
        let now = worker.clock.elapsed();
        let resting = active.resting().map(|(name, rest)| RestingTrigger {
            trigger: name.clone(),
            until: rest.until.saturating_sub(now),
            reason: rest.reason.clone(),
        });
        let mut beat = WorkerBeat {
            worker: worker.holder.clone(),
            version: worker.presence.version.clone(),
            profile: worker.presence.profile.clone(),
            activity,
            running: active.running().cloned().collect(),
            resting: resting.collect(),
        };
        beat.running.sort_unstable();
        beat.resting.sort_unstable_by(|a, b| a.trigger.cmp(&b.trigger));
        match worker.presence.log.heartbeat(&beat).await {
            Ok(()) => self.failed = false,
            Err(error) => {
                if !std::mem::replace(&mut self.failed, true) {
                    worker.trouble(format!("{error}; triggers run all the same"));
                }
            }
        }
    }
}
