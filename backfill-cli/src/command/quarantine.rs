//! The command `quarantine`: lists, shows, accepts and retries documents that could not become rows.

use backfill_core::EntitySpec;
use backfill_core::catalog::pipeline_name;
use backfill_report::hex;
use backfill_report::instant::{short, utc};
use backfill_report::table::Table;
use raw_store::{Acceptance, LogLine, PgStore, Quarantine as _, Quarantined, Reopen};
use serde_json::json;

use super::log_reader::{is_wanted, or_nothing, reader};
use super::rerun;
use super::run::Ending;
use crate::args::{AcceptanceReason, Output, Quarantine};
use crate::config::settings::{Settings, user};
use crate::output::exit::{DONE, Exit};
use crate::output::print;
use crate::output::print::{out, out_json, say};
use crate::output::screen_width;

/// The shortest prefix of a digest that may accept a record, so that a typing error does not accept another one.
const SHORTEST: usize = 6;

/// `quarantine`: lists, shows, accepts or retries records that could not become rows.
pub(crate) async fn quarantine(settings: &Settings, command: &Quarantine) -> Result<u8, Exit> {
    match command {
        Quarantine::List { pipelines, all } => list(settings, pipelines, *all).await,
        Quarantine::Show { pipeline, digest } => show(settings, pipeline, digest).await,
        Quarantine::Accept { id, pipeline, reason } => {
            accept(settings, pipeline.as_deref(), id, reason).await
        }
        Quarantine::Retry { pipelines, details } => retry(settings, pipelines, Ending::of(*details)).await,
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
    let mut table =
        Table::new(&["pipeline", "digest", "status", "id", "window", "last seen (UTC)", "reason"])
            .optional(&["last seen (UTC)", "window", "id"]);
    for one in &kept {
        let resolved = if one.resolved_at.is_some() { " (resolved)" } else { "" };
        let accepted = one.accepted.as_ref().map(|decision| format!(" ({})", decided(decision)));
        table.row([
            pipeline_name(&one.entity_name),
            one.digest.chars().take(12).collect(),
            status(one).to_owned(),
            one.record_id.as_deref().unwrap_or_default().to_owned(),
            format!("{} .. {}", short(one.window.start()), short(one.window.end())),
            utc(one.last_seen_at),
            format!("{}{resolved}{}", one.reason, accepted.unwrap_or_default()),
        ]);
    }
    out(&table.fitted(screen_width::of_stdout()));
    say(
        "see a record: qbo-backfill quarantine show PIPELINE DIGEST; read their windows again: qbo-backfill quarantine retry; \
         accept a record: qbo-backfill quarantine accept DIGEST --reason TEXT",
    );
    Ok(DONE)
}

/// The status of a record. A record beside its row is stored; its bytes say more than the row can.
fn status(one: &Quarantined) -> &'static str {
    match (one.resolved_at, &one.accepted) {
        (Some(_), _) => "resolved",
        (None, Some(_)) => "accepted",
        (None, None) if one.has_row => "beside row",
        (None, None) => "open",
    }
}

fn decided(decision: &Acceptance) -> String {
    format!("accepted {} by {}: {}", utc(decision.at), decision.by, decision.reason)
}

fn as_json(one: &Quarantined) -> serde_json::Value {
    let accepted = one.accepted.as_ref();
    json!({"entity_name": &*one.entity_name, "digest": &*one.digest, "record_id": one.record_id.as_deref(),
           "reason": &*one.reason, "window_start_utc": utc(one.window.start()),
           "window_end_utc": utc(one.window.end()), "run_id": one.run.as_ref().map(ToString::to_string),
           "first_seen_at_utc": utc(one.first_seen_at), "last_seen_at_utc": utc(one.last_seen_at),
           "resolved_at_utc": one.resolved_at.map(utc), "status": status(one),
           "accepted_at_utc": accepted.map(|decision| utc(decision.at)),
           "accepted_by": accepted.map(|decision| &*decision.by),
           "accepted_reason": accepted.map(|decision| &*decision.reason)})
}

/// Writes the bytes to stdout unchanged, as QuickBooks sent them; they may not be text.
async fn show(settings: &Settings, pipeline: &str, digest: &str) -> Result<u8, Exit> {
    let entity_name = settings.catalog.find(pipeline)?.entity_name().to_owned();
    let database = reader(settings).await?;
    let found = find(&database.store, &entity_name, digest).await;
    database.close().await?;
    let (one, bytes) = found?;
    if settings.output == Output::Json {
        let mut shown = as_json(&one);
        // Bytes that are not text need another encoding.
        let text = std::str::from_utf8(&bytes).ok();
        shown["bytes_hex"] = text.is_none().then(|| hex(&bytes)).into();
        shown["text"] = text.into();
        out_json(&shown);
        return Ok(DONE);
    }
    say(&format!("{}, window {}, {}: {}", one.entity_name, one.window, status(&one), one.reason));
    if let Some(decision) = &one.accepted {
        say(&decided(decision));
    }
    print::bytes(&bytes);
    Ok(DONE)
}

async fn find(
    store: &raw_store::PgStore,
    entity_name: &str,
    digest: &str,
) -> Result<(Quarantined, raw_store::Bytes), Exit> {
    let unknown = || {
        Exit::usage(
            format!("no record, or more than one, of {entity_name} in quarantine has the digest {digest}"),
            "see: qbo-backfill quarantine list --all",
        )
    };
    let kept = or_nothing(store.quarantined(Some(entity_name)).await)?;
    let mut fitting = kept.into_iter().filter(|one| one.digest.starts_with(digest));
    let (Some(one), None) = (fitting.next(), fitting.next()) else { return Err(unknown()) };
    let bytes = store.quarantined_bytes(entity_name, &one.digest).await?;
    Ok((one, bytes.ok_or_else(unknown)?))
}

/// Records the decision that a record may stay in quarantine. Accepting it again changes nothing.
async fn accept(
    settings: &Settings,
    pipeline: Option<&str>,
    id: &str,
    reason: &AcceptanceReason,
) -> Result<u8, Exit> {
    let pipeline = pipeline.map(|name| settings.catalog.find(name)).transpose()?;
    let database = reader(settings).await?;
    let accepted = record(&database.store, pipeline.map(EntitySpec::entity_name), id, reason).await;
    database.close().await?;
    let (before, now) = accepted?;
    if settings.output == Output::Json {
        out_json(&as_json(&now));
        return Ok(DONE);
    }
    let (name, digest) = (&now.entity_name, now.digest.get(..12).unwrap_or(&now.digest));
    out(&match (&now.accepted, before.is_open()) {
        (Some(decision), true) => format!("{name} {digest} is {}", decided(decision)),
        (Some(decision), false) => {
            format!("{name} {digest} was {} already; nothing was changed", decided(decision))
        }
        (None, _) => format!("{name} {digest} needs no decision: it is {}", status(&now)),
    });
    Ok(DONE)
}

/// Accepts the record. Returns it as it was, and as it is now.
async fn record(
    store: &PgStore,
    entity_name: Option<&str>,
    id: &str,
    reason: &AcceptanceReason,
) -> Result<(Quarantined, Quarantined), Exit> {
    let unknown =
        |what: &str| Exit::usage(format!("{what} has the digest {id}"), "see: qbo-backfill quarantine list");
    if id.len() < SHORTEST {
        return Err(Exit::usage(
            format!("{id} is too short to name a record"),
            format!("give at least {SHORTEST} characters of its digest, as quarantine list shows it"),
        ));
    }
    let kept = or_nothing(store.quarantined(entity_name).await)?;
    let mut fitting = kept.into_iter().filter(|one| one.digest.starts_with(id));
    let Some(one) = fitting.next() else { return Err(unknown("no record in quarantine")) };
    if fitting.next().is_some() {
        return Err(Exit::usage(
            format!("more than one record in quarantine has a digest that begins with {id}"),
            "give more characters, or name the pipeline with --pipeline",
        ));
    }
    let by = format!("{} on {}", user(), crate::secrets::lineage::host());
    let now = store.accept_quarantined(&one.entity_name, &one.digest, &by, reason.as_str()).await?;
    let now = now.ok_or_else(|| unknown("no record in quarantine"))?;
    Ok((one, now))
}

async fn retry(settings: &Settings, pipelines: &[String], ending: Ending) -> Result<u8, Exit> {
    let kept = kept(settings, pipelines).await?;
    let open: Vec<_> = kept.iter().filter(|one| one.resolved_at.is_none()).collect();
    let holds = |line: &LogLine| {
        open.iter().any(|one| {
            one.entity_name == line.entity_name
                && one.window == line.window
                && one.time_axis.as_ref().is_none_or(|axis| *axis == line.time_axis)
        })
    };
    let mut lines = rerun::lines(settings, pipelines).await?;
    lines.retain(holds);
    if lines.is_empty() {
        return Ok(rerun::nothing(settings, "nothing is in quarantine"));
    }
    rerun::read(settings, &lines, Reopen::All, ending).await
}
