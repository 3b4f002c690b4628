//! What the pages about triggers are computed from.

use std::collections::HashMap;

use raw_store::{HistoryFilter, HistoryOrder, HistoryPhase, Trigger, TriggerEvent, TriggerName, Window};
use time::{Duration, OffsetDateTime};

use crate::company::OpenCompany;
use crate::facts::{Due, due, is_present};
use crate::trouble::Trouble;

/// How many workers are looked at.
const WORKERS: u32 = 50;

/// How many changes of triggers are looked at to find who armed each.
const CHANGES: u32 = 1_000;

/// How far back these changes lie at most.
const CHANGES_SINCE: Duration = Duration::days(400);

/// The event of the history that arms a trigger.
pub(super) const ARMED: &str = "armed";

/// Who armed a trigger last, if that was recorded, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LastArming {
    pub(super) at: OffsetDateTime,
    pub(super) by: Option<Box<str>>,
}

/// All triggers.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) now: OffsetDateTime,
    pub(super) triggers: Vec<Trigger>,
    /// When each trigger fires, in the same order.
    pub(super) dues: Vec<Due>,
    pub(super) armings: HashMap<TriggerName, LastArming>,
}

pub(super) async fn known(open: &OpenCompany) -> Result<Known, Trouble> {
    let store = &open.store;
    let (triggers, now) = store.triggers().await?;
    let workers = store.workers(WORKERS).await?.value;
    let is_worked = workers.iter().any(|worker| is_present(worker, now));
    let dues = triggers.iter().map(|trigger| due(trigger, &triggers, &workers, is_worked, now)).collect();
    let mut armings = HashMap::new();
    if let Ok(span) = Window::new(now - CHANGES_SINCE, now + Duration::DAY) {
        let filter = HistoryFilter { phase: Some(HistoryPhase::Trigger), ..HistoryFilter::default() };
        let changes = store.happened(span, &filter, HistoryOrder::NewestFirst, None, CHANGES).await?.value;
        for change in changes.into_iter().filter(|change| &*change.event == ARMED) {
            if let Some(name) = change.trigger {
                armings.entry(name).or_insert(LastArming { at: change.at, by: change.who });
            }
        }
    }
    Ok(Known { now, triggers, dues, armings })
}

/// One trigger, with its history.
#[derive(Debug)]
pub(super) struct One {
    pub(super) now: OffsetDateTime,
    pub(super) trigger: Trigger,
    pub(super) due: Due,
    /// The names of its chain's parts, in their order.
    pub(super) parts: Vec<TriggerName>,
    /// The oldest entry first.
    pub(super) history: Vec<TriggerEvent>,
}

impl One {
    /// Who armed the trigger last, and when.
    pub(super) fn last_arming(&self) -> Option<LastArming> {
        let event = self.history.iter().rev().find(|event| &*event.event == ARMED)?;
        Some(LastArming { at: event.at, by: event.by.clone() })
    }
}

/// Reads one trigger, or the names of others that are the nearest.
pub(super) async fn one(open: &OpenCompany, name: &str) -> Result<Result<One, Vec<TriggerName>>, Trouble> {
    let Known { now, triggers, mut dues, .. } = known(open).await?;
    let Some(place) = triggers.iter().position(|trigger| trigger.asked.name.as_str() == name) else {
        let names = || triggers.iter().map(|trigger| trigger.asked.name.as_str());
        let near = backfill_core::nearest(name, names());
        let first = triggers.iter().find(|trigger| Some(trigger.asked.name.as_str()) == near);
        let others = triggers.iter().filter(|trigger| Some(trigger.asked.name.as_str()) != near).take(9);
        return Ok(Err(first.into_iter().chain(others).map(|trigger| trigger.asked.name.clone()).collect()));
    };
    let trigger = triggers[place].clone();
    let mut parts: Vec<_> = match &trigger.asked.link {
        Some(own) => triggers
            .iter()
            .filter_map(|other| other.asked.link.as_ref().map(|link| (link, other)))
            .filter(|(link, _)| link.chain == own.chain)
            .map(|(link, other)| (link.position, other.asked.name.clone()))
            .collect(),
        None => Vec::new(),
    };
    parts.sort_unstable();
    let history = open.store.trigger_history(&trigger.asked.name).await?;
    let parts = parts.into_iter().map(|(_, name)| name).collect();
    Ok(Ok(One { now, due: dues.swap_remove(place), trigger, parts, history }))
}
