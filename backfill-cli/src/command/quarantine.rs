use raw_store::{LogLine, Quarantine as _, Quarantined, Reopen};
use serde_json::json;

use super::{again, is_wanted, or_nothing, reader};
use crate::args::{Output, Quarantine};
use crate::exit::{DONE, Exit};
use crate::instant::{short, utc};
use crate::output;
use crate::render::{Table, out, out_json, say};
use crate::settings::Settings;

/// `quarantine`: what could not be a row.
pub(crate) async fn quarantine(settings: &Settings, command: &Quarantine) -> Result<u8, Exit> {
    match command {
        Quarantine::List { pipelines, all } => list(settings, pipelines, *all).await,
        Quarantine::Show { pipeline, digest } => show(settings, pipeline, digest).await,
        Quarantine::Retry { pipelines } => retry(settings, pipelines).await,
    }
}

async fn kept(settings: &Settings, pipelines: &[String]) -> Result<Vec<Quarantined>, Exit> {
    let wanted = settings.catalog.select(pipelines.iter().map(String::as_str))?;
    let database = reader(settings).await?;
    let kept = or_nothing(database.store.quarantined(None).await);
    database.close().await?;
    let mut kept = kept?;
    kept.retain(|one| is_wanted(&wanted, &one.entity_name));
    Ok(kept)
}

async fn list(settings: &Settings, pipelines: &[String], all: bool) -> Result<u8, Exit> {
    let mut kept = kept(settings, pipelines).await?;
    kept.retain(|one| all || one.resolved_at.is_none());
    if settings.output == Output::Json {
        out_json(&kept.iter().map(as_json).collect());
        return Ok(DONE);
    }
    if kept.is_empty() {
        out("nothing is in quarantine");
        return Ok(DONE);
    }
    let mut table = Table::new(&["pipeline", "digest", "id", "window", "last seen (UTC)", "reason"]);
    for one in &kept {
        let resolved = if one.resolved_at.is_some() { " (resolved)" } else { "" };
        table.row([
            format!("qb_{}_backfill", one.entity_name),
            one.digest.chars().take(12).collect(),
            one.record_id.as_deref().unwrap_or_default().to_owned(),
            format!("{} .. {}", short(one.window.start()), short(one.window.end())),
            utc(one.last_seen_at),
            format!("{}{resolved}", one.reason),
        ]);
    }
    out(&table.to_string());
    say(
        "see one: qbo-backfill quarantine show PIPELINE DIGEST; read their windows again: qbo-backfill quarantine retry",
    );
    Ok(DONE)
}

fn as_json(one: &Quarantined) -> serde_json::Value {
    json!({"entity_name": &*one.entity_name, "digest": &*one.digest, "record_id": one.record_id.as_deref(),
           "reason": &*one.reason, "window_start_utc": utc(one.window.start()),
           "window_end_utc": utc(one.window.end()), "run_id": one.run.as_ref().map(ToString::to_string),
           "first_seen_at_utc": utc(one.first_seen_at), "last_seen_at_utc": utc(one.last_seen_at),
           "resolved_at_utc": one.resolved_at.map(utc)})
}

/// The bytes go to stdout untouched: they are what QuickBooks sent, and may not even be text.
async fn show(settings: &Settings, pipeline: &str, digest: &str) -> Result<u8, Exit> {
    let entity_name = settings.catalog.find(pipeline)?.entity_name().to_owned();
    let database = reader(settings).await?;
    let found = find(&database.store, &entity_name, digest).await;
    database.close().await?;
    let (one, bytes) = found?;
    say(&format!("{}, window {}: {}", one.entity_name, one.window, one.reason));
    output::bytes(&bytes);
    Ok(DONE)
}

async fn find(
    store: &raw_store::PgStore,
    entity_name: &str,
    digest: &str,
) -> Result<(Quarantined, raw_store::Bytes), Exit> {
    let unknown = || {
        Exit::usage(
            format!("nothing of {entity_name} in quarantine has the digest {digest}, or more than one"),
            "see: qbo-backfill quarantine list --all",
        )
    };
    let kept = or_nothing(store.quarantined(Some(entity_name)).await)?;
    let mut fitting = kept.into_iter().filter(|one| one.digest.starts_with(digest));
    let (Some(one), None) = (fitting.next(), fitting.next()) else { return Err(unknown()) };
    let bytes = store.quarantined_bytes(entity_name, &one.digest).await?;
    Ok((one, bytes.ok_or_else(unknown)?))
}

async fn retry(settings: &Settings, pipelines: &[String]) -> Result<u8, Exit> {
    let kept = kept(settings, pipelines).await?;
    let open: Vec<_> = kept.iter().filter(|one| one.resolved_at.is_none()).collect();
    let holds = |line: &LogLine| {
        open.iter().any(|one| {
            one.entity_name == line.entity_name
                && one.window == line.window
                && one.time_axis.as_ref().is_none_or(|axis| *axis == line.time_axis)
        })
    };
    let mut lines = again::lines(settings, pipelines).await?;
    lines.retain(holds);
    if lines.is_empty() {
        say("nothing is in quarantine");
        return Ok(DONE);
    }
    again::read(settings, &lines, Reopen::All).await
}
