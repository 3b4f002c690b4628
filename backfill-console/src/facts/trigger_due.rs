//! When a trigger fires, or what keeps it from firing.

use raw_store::{RestingTrigger, Trigger, TriggerName, TriggerState, WorkerRecord};
use time::OffsetDateTime;

/// When a trigger fires, or what keeps it from firing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Its time comes.
    At(OffsetDateTime),
    /// Its time has come, and a worker is about to fire it.
    Now,
    /// Its time has come, and no worker runs.
    NoWorker,
    /// It fires after another trigger of its chain, which has not ended yet.
    After(TriggerName),
    /// Another trigger of its chain did not end well.
    HeldUp(TriggerName, TriggerState),
    /// Its worker waits before it tries again.
    Resting(RestingTrigger<OffsetDateTime>),
    /// Its run is in progress.
    Running,
    /// It does nothing more.
    Spent(TriggerState),
}

/// Finds out when a trigger fires.
pub(crate) fn due(
    trigger: &Trigger,
    all: &[Trigger],
    workers: &[WorkerRecord],
    is_worked: bool,
    now: OffsetDateTime,
) -> Due {
    if trigger.state.is_spent() {
        return Due::Spent(trigger.state);
    }
    let name = &trigger.asked.name;
    let resting = workers.iter().flat_map(|worker| &worker.resting);
    if let Some(resting) = resting.filter(|rest| rest.until > now).find(|rest| rest.trigger == *name) {
        return Due::Resting(resting.clone());
    }
    if trigger.state == TriggerState::Running {
        return if is_worked { Due::Running } else { Due::NoWorker };
    }
    let before = trigger.asked.link.as_ref().and_then(|link| {
        let earlier = all.iter().filter(|other| {
            let other = other.asked.link.as_ref();
            other.is_some_and(|other| other.chain == link.chain && other.position < link.position)
        });
        // The queue counts an expired part as passed, too.
        let passed = |other: &&Trigger| matches!(other.state, TriggerState::Done | TriggerState::Expired);
        let unfinished = earlier.filter(|other| !passed(other));
        unfinished.min_by_key(|other| other.asked.link.as_ref().map(|link| link.position))
    });
    match before {
        Some(other) if other.state.is_spent() => Due::HeldUp(other.asked.name.clone(), other.state),
        Some(other) => Due::After(other.asked.name.clone()),
        None if trigger.asked.fire_at > now => Due::At(trigger.asked.fire_at),
        None if is_worked => Due::Now,
        None => Due::NoWorker,
    }
}
