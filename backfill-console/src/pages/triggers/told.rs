//! How a trigger is told: when it is due, what it reads, and what its switch does.

use raw_store::{Trigger, TriggerState, WindowSelection};
use time::OffsetDateTime;

use crate::facts::Due;
use crate::pages::triggers::known::LastArming;
use crate::plain::Plain;
use crate::visit::CompanyVisit;

/// The most names before the rest is only counted.
const NAMES: usize = 2;

/// When a trigger is due, in words.
#[derive(Debug)]
pub(super) struct DueTold {
    pub(super) pill: String,
    pub(super) tone: &'static str,
    /// What it waits for, if that is more than its time.
    pub(super) about: Option<String>,
    /// Why, in the program's own words.
    pub(super) reason: Option<Plain>,
}

impl DueTold {
    pub(super) fn new(visit: &CompanyVisit, due: &Due, now: OffsetDateTime) -> Self {
        let words = visit.visit.words();
        let w = &words.today;
        let state = words.state.trigger;
        let plain = |pill: String, tone| Self { pill, tone, about: None, reason: None };
        match due {
            Due::At(at) => plain(visit.when.until(*at, now), ""),
            Due::Now => plain(words.frame.now.to_owned(), "busy"),
            Due::NoWorker => plain(w.no_worker_pill.to_owned(), "bad"),
            Due::After(other) => {
                Self { about: Some((w.waits_for)(other.as_str())), ..plain(w.after_pill.to_owned(), "") }
            }
            Due::HeldUp(other, why) => Self {
                about: Some((w.held_up)(other.as_str(), *why)),
                ..plain(w.held_up_pill.to_owned(), "bad")
            },
            Due::Resting(rest) => Self {
                about: Some((w.resting)(&visit.when.until(rest.until, now))),
                reason: Some(Plain::new(&rest.reason)),
                ..plain(state(TriggerState::Running).to_owned(), "warn")
            },
            Due::Running => plain(state(TriggerState::Running).to_owned(), "busy"),
            Due::Spent(spent) => plain(state(*spent).to_owned(), tone(*spent)),
        }
    }
}

fn tone(state: TriggerState) -> &'static str {
    match state {
        TriggerState::Done => "good",
        TriggerState::Failed => "bad",
        TriggerState::Expired => "warn",
        TriggerState::Running => "busy",
        TriggerState::Armed | TriggerState::Cancelled => "",
    }
}

/// What a trigger reads: its pipelines, its range, and which windows if that is unusual.
pub(super) fn reads(visit: &CompanyVisit, trigger: &Trigger) -> String {
    let (words, language) = (visit.visit.words(), visit.visit.language());
    let plan = &trigger.asked.plan;
    let names: Vec<_> = plan.entity_names.iter().take(NAMES).map(|name| language.entity(name)).collect();
    let rest = u64::try_from(plan.entity_names.len().saturating_sub(NAMES)).unwrap_or_default();
    let more = (rest > 0).then(|| (words.today.and_more)(rest));
    let names = names.into_iter().chain(more).collect::<Vec<_>>().join(", ");
    let [from, to] = [plan.span.start(), plan.span.end()].map(backfill_report::instant::short);
    let which = match plan.selection {
        WindowSelection::Open => String::new(),
        other => format!(", {}", (words.triggers.selection)(other)),
    };
    format!("{names}, {from} {} {to}{which}", words.today.to)
}

/// Who armed a trigger, or nobody in particular.
pub(super) fn who(visit: &CompanyVisit, arming: Option<&LastArming>) -> String {
    let by = arming.and_then(|arming| arming.by.as_deref());
    by.map_or_else(|| visit.visit.words().triggers.somebody.to_owned(), |by| Plain::new(by).to_string())
}

/// What the switch of a trigger does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    /// Nothing, because pages only show: whether it is on.
    Shown(bool),
    /// Switches it off at once.
    Off,
    /// Switches it on at once, for the time that it has. Holds the number of armings that the page shows.
    On(u32),
    /// Asks for a time first, because its own has passed.
    Ask,
    /// Leads to its run, which has to be stopped to end it; nothing if the run is not known.
    Stop(Option<String>),
}

impl Switch {
    pub(super) fn new(visit: &CompanyVisit, trigger: &Trigger, now: OffsetDateTime) -> Self {
        match trigger.state {
            state if visit.visit.app.look_only => Self::Shown(!state.is_spent()),
            TriggerState::Armed => Self::Off,
            TriggerState::Running => {
                let run = trigger.run.as_ref();
                Self::Stop(run.map(|run| format!("{}/runs/{run}?stop=ask", visit.base())))
            }
            _ if trigger.asked.fire_at > now => Self::On(trigger.armings),
            _ => Self::Ask,
        }
    }
}
