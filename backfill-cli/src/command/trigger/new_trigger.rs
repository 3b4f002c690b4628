//! Builds new triggers from the arguments of `trigger add`.

use backfill_core::{ChunkSize, EntitySpec, tile};
use backfill_report::instant::{short, utc};
use qbo_auth::{Clock as _, SystemClock};
use raw_store::{ChainLink, IfMissed, NewTrigger, TriggerName, TriggerPlan, Window};
use time::OffsetDateTime;
use time::macros::format_description;

use super::super::request::{nobody, request, span};
use crate::args::{Missed, RunArgs, TriggerAddArgs, When};
use crate::config::settings::Settings;
use crate::output::exit::Exit;

/// The triggers of an `add`: one, or a chain.
pub(super) fn chain(settings: &Settings, arguments: &TriggerAddArgs) -> Result<Vec<NewTrigger>, Exit> {
    let span = span(settings, arguments.from, arguments.to)?;
    let run = RunArgs {
        chunk: arguments.chunk,
        by: arguments.by,
        ..RunArgs::by_day(arguments.pipelines.clone(), span)
    };
    let asked = request(settings, &run, span, nobody(None))?;
    let fire_at = fire_at(arguments.when)?;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => default_name(&asked.entities, fire_at)?,
    };
    let one = |name: TriggerName, span: Window, link: Option<ChainLink>| NewTrigger {
        name,
        plan: TriggerPlan {
            selection: arguments.windows,
            ..plan(&asked.entities, (arguments.by.as_str(), arguments.chunk.as_str()), span)
        },
        fire_at,
        if_missed: if arguments.if_missed == Missed::Run { IfMissed::Run } else { IfMissed::Skip },
        link,
    };
    let Some(every) = arguments.every.filter(|every| *every != ChunkSize::Whole) else {
        return Ok(vec![one(name, span, None)]);
    };
    let link = |position| ChainLink { chain: name.as_str().into(), position };
    (1..)
        .zip(tile(span, every)?)
        .map(|(position, part)| {
            let name = name_of(&format!("{name}.{}", short(part.start()).replace(':', "")))?;
            Ok(one(name, part, Some(link(position))))
        })
        .collect()
}

/// The time to fire at. Refuses a past time without `--now`: it would fire at once, which is rarely meant.
pub(super) fn fire_at(when: When) -> Result<OffsetDateTime, Exit> {
    let now = SystemClock::new().now_utc();
    let at = when.at.unwrap_or(now);
    if is_past(at, now) && !when.now {
        return Err(Exit::usage(
            format!("{} is in the past; nothing was armed", utc(at)),
            "give a time in the future, or add --now to fire at once",
        ));
    }
    Ok(at)
}

/// Whether a time has passed by more than it takes to type a command.
pub(super) fn is_past(at: OffsetDateTime, now: OffsetDateTime) -> bool {
    at < now - time::Duration::MINUTE
}

/// The default name of a trigger, from its pipeline and time.
pub(super) fn default_name(entities: &[EntitySpec], at: OffsetDateTime) -> Result<TriggerName, Exit> {
    let what = match entities {
        [one] => one.pipeline_name(),
        several => format!("{}_pipelines", several.len()),
    };
    let stamp = format_description!("[year][month][day]T[hour][minute]Z");
    let at = at.to_offset(time::UtcOffset::UTC).format(stamp).unwrap_or_default();
    name_of(&format!("{what}-{at}"))
}

pub(super) fn plan(entities: &[EntitySpec], (axis, chunk): (&str, &str), span: Window) -> TriggerPlan {
    TriggerPlan {
        entity_names: entities.iter().map(|spec| spec.entity_name().into()).collect(),
        time_axis: axis.into(),
        span,
        chunk: chunk.into(),
        selection: raw_store::WindowSelection::Open,
    }
}

pub(super) fn name_of(text: &str) -> Result<TriggerName, Exit> {
    text.parse().map_err(|error| Exit::usage(format!("{text}: {error}"), "choose another name with --name"))
}
