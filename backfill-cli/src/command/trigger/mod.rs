//! `trigger`: runs to be started once, at a stated time.

mod file;
mod mage;
mod spelling;

use backfill_core::{ChunkSize, EntitySpec, tile};
use backfill_report::instant::{short, utc};
use backfill_report::table::Table;
use qbo_auth::{Clock as _, SystemClock};
use raw_store::{
    ChainLink, IfMissed, NewTrigger, PgStore, StoreErrorKind, Trigger, TriggerName, TriggerPlan,
    TriggerQueue as _, TriggerState, Window,
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use self::file::{Filed, What};
use super::request::{nobody, request, span};
use super::{or_nothing, reader};
use crate::app::{Database, create_where_missing};
use crate::args::{Missed, Output, RunArgs, Trigger as Command, TriggerAddArgs, When};
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit};
use crate::output::human_duration::human_duration;
use crate::output::print::{out, out_json, say};
use crate::time_zone::in_zone;

/// `trigger`.
pub(crate) async fn trigger(settings: &Settings, command: &Command) -> Result<u8, Exit> {
    // Whatever can be wrong with what is asked for is found before anything is opened.
    let (mut asked, mut filed) = (Vec::new(), Vec::new());
    match command {
        Command::Add(arguments) => asked = chain(settings, arguments)?,
        Command::Apply { file, inactive, now } => filed = file::triggers(settings, file, *inactive, *now)?,
        Command::Rearm { when, .. } => {
            fire_at(*when)?;
        }
        _ => {}
    }
    let database = reader(settings).await?;
    let done = carry_out(settings, command, (asked, filed), &database).await;
    let closed = database.close().await;
    done.and(closed)?;
    Ok(DONE)
}

async fn carry_out(
    settings: &Settings,
    command: &Command,
    (asked, filed): (Vec<NewTrigger>, Vec<Filed>),
    database: &Database,
) -> Result<(), Exit> {
    let store = &database.store;
    match command {
        Command::Add(_) => {
            create_where_missing(store).await?;
            store.add(&asked).await?;
            let names: Vec<TriggerName> = asked.into_iter().map(|one| one.name).collect();
            show(settings, store, |one| names.contains(&one.asked.name)).await?;
            if settings.output == Output::Text {
                say("a worker starts it: qbo-backfill worker");
            }
            Ok(())
        }
        Command::Apply { .. } => apply(settings, store, filed).await,
        Command::List => show(settings, store, |_| true).await,
        Command::History { name } => history(settings, store, name).await,
        Command::Cancel { name } => {
            let names = cancelled_with(store, name).await?;
            for name in &names {
                let now = store.cancel(name).await?;
                if settings.output == Output::Text && now.state == TriggerState::Running {
                    say(&format!("the run of {name} stops after the page in hand; what is stored stays"));
                }
            }
            show(settings, store, |one| names.contains(&one.asked.name)).await
        }
        Command::Rearm { name, when } => {
            store.rearm(name, fire_at(*when)?).await?;
            show(settings, store, |one| one.asked.name == *name).await
        }
    }
}

/// The trigger of a name; or of the chain of that name the parts that can still be taken back, the last one first, so that
/// none fires meanwhile.
async fn cancelled_with(store: &PgStore, name: &TriggerName) -> Result<Vec<TriggerName>, Exit> {
    let (all, _) = store.triggers().await?;
    if all.iter().any(|one| one.asked.name == *name) {
        return Ok(vec![name.clone()]);
    }
    let position = |one: &Trigger| one.asked.link.as_ref().map(|link| link.position);
    let of_chain = |one: &&Trigger| one.asked.link.as_ref().is_some_and(|link| &*link.chain == name.as_str());
    let mut parts: Vec<_> = all.iter().filter(of_chain).collect();
    let is_chain = !parts.is_empty();
    parts.retain(|one| !one.state.is_spent());
    parts.sort_by_key(|one| std::cmp::Reverse(position(one)));
    if is_chain && parts.is_empty() {
        return Err(Exit::usage(
            format!("every part of the chain {name} has come to its end"),
            "see: qbo-backfill trigger list",
        ));
    }
    if parts.is_empty() {
        Ok(vec![name.clone()])
    } else {
        Ok(parts.iter().map(|one| one.asked.name.clone()).collect())
    }
}

/// The triggers of an `add`: one, or a chain.
fn chain(settings: &Settings, arguments: &TriggerAddArgs) -> Result<Vec<NewTrigger>, Exit> {
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
        plan: plan(&asked.entities, (arguments.by.as_str(), arguments.chunk.as_str()), span),
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

/// A time that is past fires at once, which is seldom what was meant.
fn fire_at(when: When) -> Result<OffsetDateTime, Exit> {
    let now = SystemClock::new().now_utc();
    let at = when.at.unwrap_or(now);
    if is_past(at, now) && !when.now {
        return Err(Exit::usage(
            format!("{} is past; nothing is armed", utc(at)),
            "give a time to come, or --now as well to fire at once",
        ));
    }
    Ok(at)
}

/// Past by more than it takes to type a command.
fn is_past(at: OffsetDateTime, now: OffsetDateTime) -> bool {
    at < now - time::Duration::MINUTE
}

/// Made of what it reads, and when.
fn default_name(entities: &[EntitySpec], at: OffsetDateTime) -> Result<TriggerName, Exit> {
    let what = match entities {
        [one] => one.pipeline_name(),
        several => format!("{}_pipelines", several.len()),
    };
    let stamp = format_description!("[year][month][day]T[hour][minute]Z");
    let at = at.to_offset(time::UtcOffset::UTC).format(stamp).unwrap_or_default();
    name_of(&format!("{what}-{at}"))
}

fn plan(entities: &[EntitySpec], (axis, chunk): (&str, &str), span: Window) -> TriggerPlan {
    TriggerPlan {
        entity_names: entities.iter().map(|spec| spec.entity_name().into()).collect(),
        time_axis: axis.into(),
        span,
        chunk: chunk.into(),
    }
}

fn name_of(text: &str) -> Result<TriggerName, Exit> {
    text.parse().map_err(|error| Exit::usage(format!("{text}: {error}"), "give it another one with --name"))
}

/// Arms what is new: all of it, or nothing. What is known stays as it is, whatever the file says: a file that is applied again
/// fires nothing again.
async fn apply(settings: &Settings, store: &PgStore, filed: Vec<Filed>) -> Result<(), Exit> {
    create_where_missing(store).await?;
    let (known, _) = store.triggers().await?;
    let (mut new, mut told) = (Vec::new(), Vec::new());
    for Filed { name, what } in filed {
        match what {
            What::LeftOut(why) => told.push(Told { name, trigger: None, outcome: "left_out", why }),
            What::Wanted { trigger, before } => {
                let Some(one) = known_as(&known, &trigger, before.as_ref())? else {
                    told.push(Told { name, trigger: Some(trigger.name.clone()), outcome: "armed", why: "" });
                    new.push(trigger);
                    continue;
                };
                let why = if one.asked.plan == trigger.plan {
                    "known already"
                } else {
                    "known already, and left with the range that it has"
                };
                told.push(Told { name, trigger: Some(one.asked.name.clone()), outcome: "known", why });
            }
        }
    }
    store.add(&new).await?;
    let (all, now) = store.triggers().await?;
    if settings.output == Output::Json {
        let rows = all.iter().map(|one| {
            let mut row = trigger_json(one, now);
            if let Some(told) = told.iter().find(|told| told.trigger.as_ref() == Some(&one.asked.name)) {
                told.add_to(&mut row);
            }
            row
        });
        let left_out = told.iter().filter(|told| told.trigger.is_none()).map(|told| {
            let mut row = json!({"trigger": null});
            told.add_to(&mut row);
            row
        });
        out_json(&rows.chain(left_out).collect());
        return Ok(());
    }
    for told in &told {
        say(&told.line());
    }
    out(&text(settings, (&all.iter().collect::<Vec<_>>(), &all), now)?);
    Ok(())
}

/// What became of a trigger of a file.
struct Told {
    /// Its name in the file.
    name: String,
    /// Its name here; none if it was left out.
    trigger: Option<TriggerName>,
    outcome: &'static str,
    why: &'static str,
}

impl Told {
    fn add_to(&self, row: &mut Value) {
        row["name_in_file"] = self.name.as_str().into();
        row["outcome"] = self.outcome.into();
        row["reason"] = (!self.why.is_empty()).then_some(self.why).into();
    }

    fn line(&self) -> String {
        let name = self.name.replace(char::is_control, "?");
        match (&self.trigger, self.outcome) {
            (Some(trigger), "armed") => format!("{name} is armed as {trigger}"),
            (Some(trigger), _) => format!("note: {name} is left as it is, as {trigger}: {}", self.why),
            (None, _) => format!("note: {name} is left out: {}", self.why),
        }
    }
}

/// The trigger that one of a file has become before, under this name or under that of an earlier version.
fn known_as<'a>(
    known: &'a [Trigger],
    asked: &NewTrigger,
    before: Option<&TriggerName>,
) -> Result<Option<&'a Trigger>, Exit> {
    if let Some(one) = known.iter().find(|one| one.asked.name == asked.name) {
        if one.asked.plan.entity_names == asked.plan.entity_names {
            return Ok(Some(one));
        }
        return Err(Exit::usage(
            format!(
                "another trigger, of other pipelines, is called {} already; nothing is armed",
                asked.name
            ),
            "give the one of the file another name",
        ));
    }
    let earlier = known.iter().find(|one| Some(&one.asked.name) == before);
    Ok(earlier.filter(|one| one.asked.plan == asked.plan))
}

async fn show(settings: &Settings, store: &PgStore, wanted: impl Fn(&Trigger) -> bool) -> Result<(), Exit> {
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

fn text(
    settings: &Settings,
    (shown, all): (&[&Trigger], &[Trigger]),
    now: OffsetDateTime,
) -> Result<String, Exit> {
    let zone = settings.time_zone.as_deref().filter(|zone| *zone != "UTC");
    let mut columns = vec!["trigger", "status", "fires (UTC)"];
    columns.extend(zone);
    columns.extend(["due", "pipelines", "from .. to", "run", "note"]);
    let mut table = Table::new(&columns);
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
            if plan.entity_names.len() > 4 {
                format!("{} pipelines", plan.entity_names.len())
            } else {
                plan.entity_names.join(", ")
            },
            format!("{} .. {}", short(plan.span.start()), short(plan.span.end())),
            one.run.as_ref().map(ToString::to_string).unwrap_or_default(),
            note.unwrap_or_default().to_owned(),
        ]);
        table.row(row);
    }
    Ok(table.to_string())
}

/// How long until it fires, or what it waits for.
fn due(one: &Trigger, all: &[Trigger], now: OffsetDateTime) -> String {
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

fn trigger_json(one: &Trigger, now: OffsetDateTime) -> Value {
    let plan = &one.asked.plan;
    json!({
        "trigger": one.asked.name.as_str(), "status": one.state.as_str(), "fire_at": utc(one.asked.fire_at),
        "due_seconds": (one.state == TriggerState::Armed).then(|| (one.asked.fire_at - now).whole_seconds()),
        "if_missed": one.asked.if_missed.as_str(), "pipelines": plan.entity_names, "by": plan.time_axis,
        "from": utc(plan.span.start()), "to": utc(plan.span.end()), "chunk": plan.chunk,
        "chain": one.asked.link.as_ref().map(|link| &link.chain),
        "chain_position": one.asked.link.as_ref().map(|link| link.position),
        "run_id": one.run.as_ref().map(raw_store::RunId::as_str), "armings": one.armings,
        "stop_requested": one.stop_requested, "changed_at": utc(one.changed_at), "message": one.message,
    })
}

async fn history(settings: &Settings, store: &PgStore, name: &TriggerName) -> Result<(), Exit> {
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
    let mut table = Table::new(&["when (UTC)", "what", "run", "note"]);
    for one in events {
        let run = one.run.map(|run| run.to_string()).unwrap_or_default();
        table.row([utc(one.at), one.event.into(), run, one.detail.unwrap_or_default().into()]);
    }
    out(&table.to_string());
    Ok(())
}
