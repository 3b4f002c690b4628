//! The list of triggers.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use raw_store::{Trigger, TriggerState};
use serde::Deserialize;

use crate::facts::Due;
use crate::pages::answer::page;
use crate::pages::choice::Choice;
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::triggers::known::{Known, known};
use crate::pages::triggers::told::{DueTold, Switch, reads, who};
use crate::pages::trouble::{Told, trouble_page};
use crate::plain::Plain;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// The most triggers that are listed.
const MOST: usize = 200;

const STATES: [TriggerState; 6] = [
    TriggerState::Armed,
    TriggerState::Running,
    TriggerState::Done,
    TriggerState::Failed,
    TriggerState::Cancelled,
    TriggerState::Expired,
];

/// What the address asks for. A value that makes no sense is left out.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    state: Option<String>,
    /// A part of the name.
    name: Option<String>,
    told: Option<String>,
}

/// One trigger.
struct Line {
    href: String,
    name: String,
    switch: Switch,
    on_label: String,
    off_label: String,
    due: DueTold,
    reads: String,
    fires: Both,
    run: Option<(String, String)>,
    who: String,
}

#[derive(Template)]
#[template(path = "triggers.html")]
struct ListPage {
    frame: Frame,
    stale: Option<(Told, String)>,
    base: String,
    states: Vec<Choice>,
    name: String,
    is_filtered: bool,
    notice: Option<&'static str>,
    lines: Vec<Line>,
    more: Option<String>,
}

pub(super) async fn show(visit: CompanyVisit, Query(asked): Query<Asked>) -> Response {
    let words = visit.visit.words();
    let w = &words.triggers;
    let seen = match visit.view("triggers", async |open| known(&open).await).await {
        Ok(seen) => seen,
        Err(trouble) => return trouble_page(&visit, Area::Triggers, w.title, &trouble),
    };
    let known = &*seen.value;
    let shown = asked.choose(known);
    let more = u64::try_from(shown.len().saturating_sub(MOST)).unwrap_or_default();
    let stale = Told::stale(&visit, &seen);
    let status = if stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let name = asked.name.as_deref().unwrap_or_default();
    let template = ListPage {
        frame: Frame::of(&visit, Area::Triggers, w.title, every(known)),
        stale,
        base: visit.base(),
        states: asked.states(&visit),
        name: Plain::new(name).to_string(),
        is_filtered: !name.is_empty() || asked.state.as_deref().is_some_and(|state| !state.is_empty()),
        notice: (asked.told.as_deref() == Some("before")).then_some(w.chain_before),
        lines: shown.iter().take(MOST).map(|(trigger, due)| line(&visit, known, trigger, due)).collect(),
        more: (more > 0).then(|| (w.and_more)(more)),
    };
    page(&visit.visit, status, &template)
}

fn every(known: &Known) -> Every {
    let is_spent = |due: &Due| matches!(due, Due::Spent(_));
    if known.dues.iter().all(is_spent) { Every::HalfMinute } else { Every::FiveSeconds }
}

impl Asked {
    /// The triggers that match: first those that still do something by their time, then the others by their last change.
    fn choose<'a>(&self, known: &'a Known) -> Vec<(&'a Trigger, &'a Due)> {
        let state = self.state.as_deref().filter(|state| !state.is_empty());
        let matches_state = |trigger: &Trigger| match state {
            Some("on") => !trigger.state.is_spent(),
            Some("off") => trigger.state.is_spent(),
            Some(word) => trigger.state.as_str() == word || !STATES.iter().any(|one| one.as_str() == word),
            None => true,
        };
        let part = self.name.as_deref().unwrap_or_default().to_ascii_lowercase();
        let matches_name =
            |trigger: &Trigger| trigger.asked.name.as_str().to_ascii_lowercase().contains(&part);
        let pairs = known.triggers.iter().zip(&known.dues);
        let chosen = pairs.filter(|(trigger, _)| matches_state(trigger) && matches_name(trigger));
        let (spent, mut on): (Vec<_>, Vec<_>) = chosen.partition(|(trigger, _)| trigger.state.is_spent());
        let mut spent = spent;
        spent.sort_by_key(|(trigger, _)| std::cmp::Reverse(trigger.changed_at));
        on.append(&mut spent);
        on
    }

    fn states(&self, visit: &CompanyVisit) -> Vec<Choice> {
        let words = visit.visit.words();
        let w = &words.triggers;
        let own = STATES.iter().map(|state| (state.as_str(), (words.state.trigger)(*state)));
        let all = [("on", w.only_on), ("off", w.only_off)].into_iter().chain(own);
        let choice = |(value, text): (&str, &str)| Choice {
            value: value.to_owned(),
            text: text.to_owned(),
            is_chosen: self.state.as_deref() == Some(value),
        };
        all.map(choice).collect()
    }
}

fn line(visit: &CompanyVisit, known: &Known, trigger: &Trigger, due: &Due) -> Line {
    let w = &visit.visit.words().triggers;
    let name = trigger.asked.name.to_string();
    let arming = known.armings.get(&trigger.asked.name);
    Line {
        href: format!("{}/triggers/{name}", visit.base()),
        switch: Switch::new(visit, trigger, known.now),
        on_label: (w.turn_on)(&name),
        off_label: (w.turn_off)(&name),
        due: DueTold::new(visit, due, known.now),
        reads: reads(visit, trigger),
        fires: visit.when.moment(trigger.asked.fire_at, known.now),
        run: trigger.run.as_ref().map(|run| (format!("{}/runs/{run}", visit.base()), run.to_string())),
        who: arming.map_or_else(String::new, |arming| who(visit, Some(arming))),
        name,
    }
}
