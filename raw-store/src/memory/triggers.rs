//! The queue of triggers of the store in memory.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::state::{Ownership, State};
use super::{MemoryStore, ledger};
use crate::store::trigger::lease_name;
use crate::{
    DueTriggers, Lease, NewTrigger, RunRecord, RunStart, RunStatus, StoreError, StoreErrorKind, Trigger,
    TriggerEnd, TriggerEvent, TriggerName, TriggerQueue, TriggerState,
};

impl State {
    /// Whether a trigger that has fired has no worker.
    fn lost_its_worker(&self, name: &TriggerName) -> bool {
        let lease = self.leases.get(&lease_name(name));
        lease.is_none_or(|lease| lease.overdue || lease.session.is_none())
    }
}

#[async_trait]
impl TriggerQueue for MemoryStore {
    async fn add(&self, triggers: &[NewTrigger], by: &str) -> Result<(), StoreError> {
        let mut state = self.state();
        let now = state.now();
        let refused = |kind| Err(StoreError::new("adding a trigger", kind));
        for (place, one) in triggers.iter().enumerate() {
            let known = state.triggers.all.values().map(|other| &other.asked).chain(&triggers[..place]);
            for other in known {
                if other.name == one.name {
                    return refused(StoreErrorKind::TriggerExists(one.name.clone()));
                }
                if let Some(link) = one.link.as_ref().filter(|link| other.link.as_ref() == Some(link)) {
                    return refused(StoreErrorKind::ChainExists(link.chain.clone()));
                }
            }
        }
        for asked in triggers {
            let trigger = Trigger {
                asked: asked.clone(),
                state: TriggerState::Armed,
                run: None,
                armings: 1,
                stop_requested: false,
                changed_at: now,
                message: None,
                error_code: None,
            };
            state.triggers.all.insert(asked.name.clone(), trigger);
            state.triggers.note((&asked.name, now), "armed", None, (None, Some(by)));
        }
        Ok(())
    }

    async fn triggers(&self) -> Result<(Vec<Trigger>, OffsetDateTime), StoreError> {
        let state = self.state();
        let mut all: Vec<_> = state.triggers.all.values().cloned().collect();
        all.sort_by_key(|one| (one.asked.fire_at, one.asked.link.as_ref().map(|link| link.position)));
        Ok((all, state.now()))
    }

    async fn trigger_history(&self, name: &TriggerName) -> Result<Vec<TriggerEvent>, StoreError> {
        Ok(self.state().triggers.history.get(name).cloned().unwrap_or_default())
    }

    async fn poll(&self, missed_after: Duration) -> Result<DueTriggers, StoreError> {
        let mut state = self.state();
        let now = state.now();
        while state.triggers.expire(now, missed_after) {}
        let running = |one: &&Trigger| one.state == TriggerState::Running;
        let work = |one: &&Trigger| {
            state.triggers.is_due(one, now) || (running(one) && state.lost_its_worker(&one.asked.name))
        };
        let mut due: Vec<_> = state.triggers.all.values().filter(work).collect();
        due.sort_by_key(|one| one.asked.fire_at);
        let stop = state.triggers.all.values().filter(running).filter(|one| one.stop_requested);
        Ok(DueTriggers {
            due: due.into_iter().cloned().collect(),
            stop: stop.map(|one| one.asked.name.clone()).collect(),
        })
    }

    async fn claim(&self, name: &TriggerName, holder: &str) -> Result<Lease, StoreError> {
        self.take_lease(&lease_name(name), holder).map_err(|kind| StoreError::new("claiming a trigger", kind))
    }

    async fn fire(
        &self,
        lease: &Lease,
        name: &TriggerName,
        run: &RunStart,
    ) -> Result<Option<Trigger>, StoreError> {
        let refused = |kind| StoreError::new("firing a trigger", kind);
        let mut state = self.state();
        state.fence(lease).map_err(refused)?;
        let now = state.now();
        let Some(found) = state.triggers.all.get(name).cloned() else { return Ok(None) };
        if found.state == TriggerState::Running {
            state.triggers.note((name, now), "resumed", found.run.clone(), (None, None));
            return Ok(Some(found));
        }
        if !state.triggers.is_due(&found, now) {
            return Ok(None);
        }
        ledger::begin(&mut state, run).map_err(refused)?;
        let fired =
            Trigger { state: TriggerState::Running, run: Some(run.id.clone()), changed_at: now, ..found };
        state.triggers.all.insert(name.clone(), fired.clone());
        state.triggers.note((name, now), "fired", Some(run.id.clone()), (None, None));
        Ok(Some(fired))
    }

    async fn finish(&self, lease: &Lease, name: &TriggerName, end: &TriggerEnd) -> Result<(), StoreError> {
        let refused = |kind| StoreError::new("recording the end of a trigger", kind);
        let mut state = self.state();
        state.fence(lease).map_err(refused)?;
        let now = state.now();
        let one = state.triggers.one(name).map_err(refused)?;
        if one.state == TriggerState::Armed {
            let kind = StoreErrorKind::TriggerState { name: name.clone(), state: one.state };
            return Err(refused(kind));
        }
        if one.state == TriggerState::Running && end.state == TriggerState::Done {
            let run = one.run.clone();
            let ended = |record: &RunRecord| Some(&record.id) == run.as_ref() && record.finished_at.is_some();
            if let Some(run) = run.as_ref().filter(|_| !state.runs.iter().any(ended)) {
                return Err(refused(StoreErrorKind::LogMoved(format!("run {run}").into())));
            }
        }
        let one = state.triggers.one(name).map_err(refused)?;
        if one.state == TriggerState::Running {
            (one.state, one.changed_at) = (end.state, now);
            one.message.clone_from(&end.message);
            one.error_code.clone_from(&end.error_code);
            let run = one.run.clone();
            let record = state.runs.iter_mut().find(|record| Some(&record.id) == run.as_ref());
            if let Some(record) = record.filter(|record| record.status == RunStatus::Running) {
                record.status = match end.state {
                    TriggerState::Cancelled => RunStatus::Stopped,
                    TriggerState::Failed => RunStatus::Failed,
                    _ => RunStatus::Incomplete,
                };
                record.finished_at = Some(now);
                record.message.clone_from(&end.message);
                record.error_code.clone_from(&end.error_code);
            }
            state.triggers.note((name, now), end.state.as_str(), run, (end.message.as_deref(), None));
        }
        Ok(())
    }

    async fn cancel(&self, name: &TriggerName, by: &str) -> Result<Trigger, StoreError> {
        let refused = |kind| StoreError::new("cancelling a trigger", kind);
        let mut state = self.state();
        let now = state.now();
        let one = state.triggers.one(name).map_err(refused)?;
        let event = match one.state {
            TriggerState::Armed => {
                (one.state, one.changed_at) = (TriggerState::Cancelled, now);
                one.message = Some("cancelled before it fired".into());
                "cancelled"
            }
            TriggerState::Running => {
                one.stop_requested = true;
                "stop requested"
            }
            state => return Err(refused(StoreErrorKind::TriggerState { name: name.clone(), state })),
        };
        let one = one.clone();
        state.triggers.note((name, now), event, one.run.clone(), (None, Some(by)));
        Ok(one)
    }

    async fn rearm(
        &self,
        name: &TriggerName,
        fire_at: OffsetDateTime,
        seen: Option<u32>,
        by: &str,
    ) -> Result<Trigger, StoreError> {
        let refused = |kind| StoreError::new("arming a trigger again", kind);
        let mut state = self.state();
        let now = state.now();
        let one = state.triggers.one(name).map_err(refused)?;
        let armings = one.armings;
        if seen.is_some_and(|seen| seen != armings) {
            let by = state.triggers.armed_by(name);
            return Err(refused(StoreErrorKind::TriggerChanged { name: name.clone(), armings, by }));
        }
        if !one.state.is_spent() {
            return Err(refused(StoreErrorKind::TriggerState { name: name.clone(), state: one.state }));
        }
        one.asked.fire_at = fire_at;
        (one.state, one.run, one.stop_requested) = (TriggerState::Armed, None, false);
        (one.changed_at, one.message, one.error_code) = (now, None, None);
        one.armings += 1;
        let one = one.clone();
        state.triggers.note((name, now), "armed", None, (Some("again"), Some(by)));
        Ok(one)
    }
}

impl MemoryStore {
    /// Takes the lease of this name.
    pub(super) fn take_lease(&self, name: &str, holder: &str) -> Result<Lease, StoreErrorKind> {
        let mut state = self.state();
        let now = state.now();
        let fresh = || Ownership { epoch: 0, holder: "".into(), session: None, since: now, overdue: false };
        let lease = state.leases.entry(name.into()).or_insert_with(fresh);
        if !lease.overdue && lease.session.is_some() {
            let (entity_name, holder, since) = (name.into(), lease.holder.clone(), lease.since);
            return Err(StoreErrorKind::LeaseHeld { entity_name, holder, since });
        }
        *lease = Ownership {
            epoch: lease.epoch + 1,
            holder: holder.into(),
            session: Some(self.session),
            since: now,
            overdue: false,
        };
        Ok(Lease { entity_name: name.into(), epoch: lease.epoch })
    }
}
