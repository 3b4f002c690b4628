//! Shows triggers and their history, as tables and JSON.

use backfill_report::instant::{short, utc};
use backfill_report::table::Table;
use raw_store::{
    PgStore, StoreErrorKind, Trigger, TriggerName, TriggerPlan, TriggerQueue as _, TriggerState,
    WindowSelection,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::super::log_reader::or_nothing;
use crate::args::Output;
use crate::config::settings::Settings;
use crate::output::exit::Exit;
use crate::output::human_duration::human_duration;
use crate::output::print::{out, out_json};
use crate::output::screen_width;
use crate::time_zone::in_zone;

pub(super) async fn show(
    settings: &Settings,
    store: &PgStore,
    wanted: impl Fn(&Trigger) -> bool,
) -> Result<(), Exit> {
    let (all, now) = match store.triggers().await {
        Err(error) if matches!(error.kind, StoreErrorKind::NotSetUp(_)) => {
            (Vec::new(), OffsetDateTime::UNIX_EPOCH)
        }
        answer => answer?,
    };
    let shown: Vec<&Trigger> = all.iter().filter(|one| wanted(one)).collect();
    match settings.output {
        Output::Json => out_json(&shown.into_iter().map(|one| trigger_json(one, now)).collect()),
        Output::Text if shown.is_empty() => out("no trigger: qbo-backfill trigger add --help"),
        Output::Text => out(&text(settings, (&shown, &all), now)?),
    }
    Ok(())
}

pub(super) fn text(
    settings: &Settings,
    (shown, all): (&[&Trigger], &[Trigger]),
    now: OffsetDateTime,
) -> Result<String, Exit> {
    let zone = settings.time_zone.as_deref().filter(|zone| *zone != "UTC");
    let mut columns = vec!["trigger", "status", "fires (UTC)"];
    columns.extend(zone);
    columns.extend(["due", "pipelines", "from .. to", "run", "note"]);
    let mut table =
        Table::new(&columns).optional(&["run", "from .. to", zone.unwrap_or_default(), "pipelines"]);
    for one in shown {
        let plan = &one.asked.plan;
        let mut row = vec![one.asked.name.to_string(), one.state.as_str().to_owned(), utc(one.asked.fire_at)];
        if let Some(zone) = zone {
            let local = in_zone(one.asked.fire_at, zone)?;
            row.push(local.trim_end_matches(zone).trim_end().to_owned());
        }
        let stopping = one.stop_requested && one.state == TriggerState::Running;
        let note = if stopping { Some("stopping") } else { one.message.as_deref() };
        row.extend([
            due(one, all, now),
            pipelines(plan),
            format!("{} .. {}", short(plan.span.start()), short(plan.span.end())),
            one.run.as_ref().map(ToString::to_string).unwrap_or_default(),
            note.unwrap_or_default().to_owned(),
        ]);
        table.row(row);
    }
    Ok(table.fitted(screen_width::of_stdout()))
}

/// The pipelines of a trigger, and which of their windows it reads if not all that are open.
fn pipelines(plan: &TriggerPlan) -> String {
    let names = match plan.entity_names.len() {
        many @ 5.. => format!("{many} pipelines"),
        _ => plan.entity_names.join(", "),
    };
    match plan.selection {
        WindowSelection::Open => names,
        WindowSelection::Failed => format!("{names}: what failed"),
        WindowSelection::Again => format!("{names}: again"),
    }
}

/// The time until a trigger fires, or what it waits for.
pub(super) fn due(one: &Trigger, all: &[Trigger], now: OffsetDateTime) -> String {
    if one.state != TriggerState::Armed {
        return String::new();
    }
    let mut before = all.iter().filter(|other| {
        let links = other.asked.link.as_ref().zip(one.asked.link.as_ref());
        links.is_some_and(|(other, own)| other.chain == own.chain && other.position < own.position)
    });
    let over = [TriggerState::Done, TriggerState::Expired];
    match before.find(|other| !over.contains(&other.state)) {
        Some(other) if other.state.is_spent() => {
            format!("held up: {} is {}", other.asked.name, other.state.as_str())
        }
        Some(other) => format!("after {}", other.asked.name),
        None if one.asked.fire_at > now => {
            format!("in {}", human_duration((one.asked.fire_at - now).unsigned_abs()))
        }
        None => "now".into(),
    }
}

pub(super) fn trigger_json(one: &Trigger, now: OffsetDateTime) -> Value {
    let plan = &one.asked.plan;
    json!({
        "trigger": one.asked.name.as_str(), "status": one.state.as_str(), "fire_at": utc(one.asked.fire_at),
        "due_seconds": (one.state == TriggerState::Armed).then(|| (one.asked.fire_at - now).whole_seconds()),
        "if_missed": one.asked.if_missed.as_str(), "pipelines": plan.entity_names, "by": plan.time_axis,
        "from": utc(plan.span.start()), "to": utc(plan.span.end()), "chunk": plan.chunk,
        "windows": plan.selection.as_str(),
        "chain": one.asked.link.as_ref().map(|link| &link.chain),
        "chain_position": one.asked.link.as_ref().map(|link| link.position),
        "run_id": one.run.as_ref().map(raw_store::RunId::as_str), "armings": one.armings,
        "stop_requested": one.stop_requested, "changed_at": utc(one.changed_at), "message": one.message,
    })
}

pub(super) async fn history(settings: &Settings, store: &PgStore, name: &TriggerName) -> Result<(), Exit> {
    let events = or_nothing(store.trigger_history(name).await)?;
    if events.is_empty() {
        return Err(Exit::usage(format!("there is no trigger {name}"), "see: qbo-backfill trigger list"));
    }
    if settings.output == Output::Json {
        let event = |one: &raw_store::TriggerEvent| {
            json!({"at": utc(one.at), "event": one.event, "run_id": one.run.as_ref().map(raw_store::RunId::as_str),
                   "detail": one.detail})
        };
        out_json(&events.iter().map(event).collect());
        return Ok(());
    }
    let mut table = Table::new(&["when (UTC)", "what", "run", "note"]).optional(&["run"]);
    for one in events {
        let run = one.run.map(|run| run.to_string()).unwrap_or_default();
        table.row([utc(one.at), one.event.into(), run, one.detail.unwrap_or_default().into()]);
    }
    out(&table.fitted(screen_width::of_stdout()));
    Ok(())
}
