//! The triggers of the store in memory, with the rules that decide which of them are due.

use std::collections::BTreeMap;
use std::time::Duration;

use time::OffsetDateTime;

use crate::{ChainLink, IfMissed, RunId, StoreErrorKind, Trigger, TriggerEvent, TriggerName, TriggerState};

/// What the tables `backfill_trigger` and `backfill_trigger_history` hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Triggers {
    pub(super) all: BTreeMap<TriggerName, Trigger>,
    pub(super) history: BTreeMap<TriggerName, Vec<TriggerEvent>>,
}

impl Triggers {
    pub(super) fn one(&mut self, name: &TriggerName) -> Result<&mut Trigger, StoreErrorKind> {
        self.all.get_mut(name).ok_or_else(|| StoreErrorKind::UnknownTrigger(name.clone()))
    }

    pub(super) fn note(
        &mut self,
        (name, at): (&TriggerName, OffsetDateTime),
        event: &str,
        run: Option<RunId>,
        (detail, by): (Option<&str>, Option<&str>),
    ) {
        let (detail, by) = (detail.map(Into::into), by.map(Into::into));
        let event = TriggerEvent { at, event: event.into(), run, detail, by };
        self.history.entry(name.clone()).or_default().push(event);
    }

    /// Who armed a trigger last.
    pub(super) fn armed_by(&self, name: &TriggerName) -> Option<Box<str>> {
        let mut history = self.history.get(name)?.iter().rev();
        history.find(|event| &*event.event == "armed")?.by.clone()
    }

    /// The triggers of the chain that come before.
    pub(super) fn before(&self, link: Option<&ChainLink>) -> impl Iterator<Item = &Trigger> {
        let link = link.cloned();
        self.all.values().filter(move |other| {
            let place = other.asked.link.as_ref().zip(link.as_ref());
            place.is_some_and(|(other, link)| other.chain == link.chain && other.position < link.position)
        })
    }

    pub(super) fn is_blocked(&self, trigger: &Trigger) -> bool {
        let chain = |one: &Trigger| one.asked.link.as_ref().map(|link| link.chain.clone());
        let under_way = |other: &&Trigger| {
            other.state == TriggerState::Running
                && other.asked.name != trigger.asked.name
                && chain(other).is_some_and(|name| Some(name) == chain(trigger))
        };
        let mut before = self.before(trigger.asked.link.as_ref());
        before.any(|other| !matches!(other.state, TriggerState::Done | TriggerState::Expired))
            || self.all.values().any(|other| under_way(&other))
    }

    pub(super) fn is_due(&self, trigger: &Trigger, now: OffsetDateTime) -> bool {
        trigger.state == TriggerState::Armed && trigger.asked.fire_at <= now && !self.is_blocked(trigger)
    }

    /// The earliest time at which a trigger could have fired.
    pub(super) fn ready_at(&self, trigger: &Trigger) -> OffsetDateTime {
        let before = self.before(trigger.asked.link.as_ref());
        let done = before.filter(|other| other.state == TriggerState::Done).map(|other| other.changed_at);
        done.chain([trigger.asked.fire_at]).max().unwrap_or(trigger.asked.fire_at)
    }

    /// Expires triggers that must not be late. Returns whether any expired.
    pub(super) fn expire(&mut self, now: OffsetDateTime, missed_after: Duration) -> bool {
        let late: Vec<TriggerName> = self
            .all
            .values()
            .filter(|one| one.state == TriggerState::Armed && one.asked.if_missed == IfMissed::Skip)
            .filter(|one| !self.is_blocked(one) && self.ready_at(one) + missed_after < now)
            .map(|one| one.asked.name.clone())
            .collect();
        let any = !late.is_empty();
        for name in late {
            let message = "no worker ran in time";
            if let Some(one) = self.all.get_mut(&name) {
                one.state = TriggerState::Expired;
                (one.changed_at, one.message) = (now, Some(message.into()));
            }
            self.note((&name, now), "expired", None, (Some(message), None));
        }
        any
    }
}
