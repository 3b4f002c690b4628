//! Shows which processes use the store in memory, and keeps the heartbeats of workers.

use async_trait::async_trait;

use crate::memory::MemoryStore;
use crate::store::trigger::trigger_of;
use crate::{
    ActivityReader, AsOf, CallBudget, HeldLease, RestingTrigger, StoreError, WorkerActivity, WorkerBeat,
    WorkerLog, WorkerRecord,
};

#[async_trait]
impl ActivityReader for MemoryStore {
    async fn held_leases(&self) -> Result<AsOf<Vec<HeldLease>>, StoreError> {
        let state = self.state();
        let held = state.leases.iter().filter(|(_, lease)| lease.session.is_some() && !lease.overdue);
        let shown = held.map(|(name, lease)| {
            let trigger = trigger_of(name);
            HeldLease {
                entity_name: trigger.is_none().then(|| name.clone()),
                trigger,
                holder: lease.holder.clone(),
                since: lease.since,
                until: None,
            }
        });
        Ok(AsOf { now: state.now(), value: shown.collect() })
    }

    async fn call_budget(&self) -> Result<AsOf<CallBudget>, StoreError> {
        Ok(self.calls(|calls, now| AsOf { now, value: calls.shown(now) }))
    }

    async fn workers(&self, limit: u32) -> Result<AsOf<Vec<WorkerRecord>>, StoreError> {
        let state = self.state();
        let mut workers: Vec<_> = state.workers.values().cloned().collect();
        workers.sort_by(|a, b| (b.seen_at, &a.worker).cmp(&(a.seen_at, &b.worker)));
        workers.truncate(limit as usize);
        Ok(AsOf { now: state.now(), value: workers })
    }
}

#[async_trait]
impl WorkerLog for MemoryStore {
    async fn heartbeat(&self, beat: &WorkerBeat) -> Result<(), StoreError> {
        let mut state = self.state();
        let now = state.now();
        let known = state.workers.get(&beat.worker).filter(|known| known.activity != WorkerActivity::Ended);
        let resting = beat.resting.iter().map(|one| RestingTrigger {
            trigger: one.trigger.clone(),
            until: now + one.until,
            reason: one.reason.clone(),
        });
        let record = WorkerRecord {
            worker: beat.worker.clone(),
            version: beat.version.clone(),
            profile: beat.profile.clone(),
            activity: beat.activity,
            started_at: known.map_or(now, |known| known.started_at),
            seen_at: now,
            running: beat.running.clone(),
            resting: resting.collect(),
        };
        state.workers.insert(beat.worker.clone(), record);
        Ok(())
    }
}
