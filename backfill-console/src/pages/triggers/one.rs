//! One trigger as it is shown.

use raw_store::{IfMissed, TriggerEvent};

use crate::pages::triggers::known::One;
use crate::pages::triggers::told::{DueTold, Switch, who};
use crate::plain::Plain;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// An entry of the history.
#[derive(Debug)]
pub(super) struct HistoryLine {
    pub(super) at: Both,
    pub(super) event: String,
    pub(super) who: Option<Plain>,
    pub(super) run: Option<(String, String)>,
    pub(super) detail: Option<Plain>,
}

/// One trigger as it is shown.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) due: DueTold,
    pub(super) switch: Switch,
    pub(super) on_label: String,
    pub(super) off_label: String,
    pub(super) pipelines: String,
    pub(super) from: Both,
    pub(super) to: Both,
    /// Which windows, of which length, and by which axis.
    pub(super) how: String,
    pub(super) fires: Both,
    pub(super) if_missed: &'static str,
    pub(super) chain: Option<(String, String)>,
    /// The parts before and after it, with their addresses.
    pub(super) neighbours: Vec<(String, String)>,
    pub(super) armed: Option<String>,
    pub(super) run: Option<(String, String)>,
    pub(super) message: Option<Plain>,
    pub(super) history: Vec<HistoryLine>,
}

impl Shown {
    pub(super) fn new(visit: &CompanyVisit, one: &One) -> Self {
        let (words, language) = (visit.visit.words(), visit.visit.language());
        let (w, trigger) = (&words.triggers, &one.trigger);
        let (asked, plan) = (&trigger.asked, &trigger.asked.plan);
        let moment = |at| visit.when.moment(at, one.now);
        let name = asked.name.to_string();
        let pipelines: Vec<_> = plan.entity_names.iter().map(|name| language.entity(name)).collect();
        let chunk = (w.chunk)(&Plain::new(&plan.chunk).to_string());
        let how = [(w.selection)(plan.selection), &*chunk, (words.state.axis)(&plan.time_axis)].join(", ");
        let arming = one.last_arming();
        let armed = arming
            .as_ref()
            .map(|arming| (w.armed_by)(&visit.when.ago(arming.at, one.now), &who(visit, Some(arming))));
        Self {
            due: DueTold::new(visit, &one.due, one.now),
            switch: Switch::new(visit, trigger, one.now),
            on_label: (w.turn_on)(&name),
            off_label: (w.turn_off)(&name),
            pipelines: pipelines.join(", "),
            from: moment(plan.span.start()),
            to: moment(plan.span.end()),
            how,
            fires: moment(asked.fire_at),
            if_missed: if asked.if_missed == IfMissed::Run { w.late } else { w.skip },
            chain: chain(visit, one),
            neighbours: neighbours(visit, one),
            armed,
            run: trigger.run.as_ref().map(|run| (format!("{}/runs/{run}", visit.base()), run.to_string())),
            message: trigger.message.as_deref().map(Plain::new),
            history: one.history.iter().rev().map(|event| line(visit, one, event)).collect(),
            name,
        }
    }
}

/// The part of its chain, and the address of the list of the chain's parts.
fn chain(visit: &CompanyVisit, one: &One) -> Option<(String, String)> {
    let link = one.trigger.asked.link.as_ref()?;
    let parts = u64::try_from(one.parts.len()).unwrap_or_default();
    let name: String = url::form_urlencoded::byte_serialize(link.chain.as_bytes()).collect();
    let text = (visit.visit.words().triggers.part)(u64::from(link.position), parts);
    let text = format!("{}, {text}", Plain::new(&link.chain));
    Some((format!("{}/triggers?name={name}.", visit.base()), text))
}

fn neighbours(visit: &CompanyVisit, one: &One) -> Vec<(String, String)> {
    let Some(place) = one.parts.iter().position(|part| *part == one.trigger.asked.name) else {
        return Vec::new();
    };
    let before = place.checked_sub(1).map(|before| ("‹ ", before, ""));
    let after = Some(("", place + 1, " ›"));
    let link = |(left, place, right): (&str, usize, &str)| {
        let part = one.parts.get(place)?;
        Some((format!("{}/triggers/{part}", visit.base()), format!("{left}{part}{right}")))
    };
    [before, after].into_iter().flatten().filter_map(link).collect()
}

fn line(visit: &CompanyVisit, one: &One, event: &TriggerEvent) -> HistoryLine {
    let known = (visit.visit.words().triggers.happened)(&event.event);
    HistoryLine {
        at: visit.when.moment(event.at, one.now),
        event: known.map_or_else(|| Plain::new(&event.event).to_string(), str::to_owned),
        who: event.by.as_deref().map(Plain::new),
        run: event.run.as_ref().map(|run| (format!("{}/runs/{run}", visit.base()), run.to_string())),
        detail: event.detail.as_deref().map(Plain::new),
    }
}
