//! The triggers that a form would arm.

use backfill_core::{EntitySpec, TooManyWindows, tile};
use backfill_report::instant::short;
use raw_store::{ChainLink, NewTrigger, Trigger, TriggerName, TriggerPlan, Window};
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::pages::new::asked::Asked;

/// The most parts of a chain.
const MOST_PARTS: usize = 400;

/// The longest beginning of a name that the console makes, so that the parts of a chain have room behind it.
const LONGEST: usize = 48;

/// Why a chain cannot be armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoChain {
    /// It would have too many parts.
    TooLong,
    /// Its name leaves no room for the names of its parts.
    NameTooLong,
}

/// The trigger, or the parts of the chain, that a form would arm under a name.
pub(super) fn triggers(asked: &Asked, name: &TriggerName) -> Result<Vec<NewTrigger>, NoChain> {
    let one = |name: TriggerName, span: Window, link: Option<ChainLink>| NewTrigger {
        name,
        plan: plan(asked, span),
        fire_at: asked.fire_at,
        if_missed: asked.if_missed,
        link,
    };
    let Some(every) = asked.every else { return Ok(vec![one(name.clone(), asked.span, None)]) };
    let parts = tile(asked.span, every).map_err(|TooManyWindows { .. }| NoChain::TooLong)?;
    if parts.len() > MOST_PARTS {
        return Err(NoChain::TooLong);
    }
    let link = |position| ChainLink { chain: name.as_str().into(), position };
    let part = |(position, span): (u32, Window)| {
        let own = format!("{name}.{}", short(span.start()).replace(':', ""));
        let own = own.parse().map_err(|_| NoChain::NameTooLong)?;
        Ok(one(own, span, Some(link(position))))
    };
    (1..).zip(parts).map(part).collect()
}

fn plan(asked: &Asked, span: Window) -> TriggerPlan {
    TriggerPlan {
        entity_names: asked.entities.iter().map(|spec| spec.entity_name().into()).collect(),
        time_axis: asked.axis.as_str().into(),
        span,
        chunk: asked.chunk.as_str().into(),
        selection: asked.selection,
    }
}

/// Whether a stored trigger is the one that would be armed, such as after the button was pressed twice.
pub(super) fn is_same(stored: &Trigger, new: &NewTrigger, is_now: bool) -> bool {
    let own = &stored.asked;
    own.plan == new.plan && own.link == new.link && (is_now || own.fire_at == new.fire_at)
}

/// A name for what is asked: the one that was typed, the one that the preview made, or one made now from pipelines and time that
/// no other trigger or chain has.
pub(super) fn name_for(asked: &Asked, made: &str, stored: &[Trigger]) -> Option<TriggerName> {
    if let Some(name) = &asked.name {
        return Some(name.clone());
    }
    if let Ok(name) = made.parse() {
        return Some(name);
    }
    let first = usual_name(&asked.entities, asked.fire_at);
    let is_taken = |name: &str| {
        let is_chain = |one: &Trigger| one.asked.link.as_ref().is_some_and(|link| &*link.chain == name);
        stored.iter().any(|one| one.asked.name.as_str() == name || is_chain(one))
    };
    let others = (2..1_000).map(|number| format!("{first}-{number}"));
    std::iter::once(first.clone()).chain(others).find(|name| !is_taken(name))?.parse().ok()
}

/// A name from pipelines and time, as the command makes it.
pub(super) fn usual_name(entities: &[EntitySpec], at: OffsetDateTime) -> String {
    let what = match entities {
        [one] => one.pipeline_name(),
        several => format!("{}_pipelines", several.len()),
    };
    let what: String = what.chars().take(LONGEST).collect();
    let stamp = format_description!("[year][month][day]T[hour][minute]Z");
    let at = at.to_offset(UtcOffset::UTC).format(stamp).unwrap_or_default();
    format!("{what}-{at}")
}
