//! Stopping a run from another terminal: asked for in the database, seen by the run's process.

use std::sync::Arc;
use std::time::Duration;

use backfill_core::ReportError;
use qbo_auth::{Clock as _, SystemClock};
use raw_store::{BackfillLog as _, RunId, Store, TriggerQueue as _, TriggerState};
use serde_json::json;

use super::log_reader::reader;
use crate::app::Database;
use crate::args::Output;
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit};
use crate::output::print::{out_json, say};
use crate::shutdown::Stop;

/// How often a run looks whether it is to stop.
const LOOK: Duration = Duration::from_secs(1);

/// `cancel`.
pub(crate) async fn cancel(settings: &Settings, run: &RunId) -> Result<u8, Exit> {
    let database = reader(settings).await?;
    let asked = ask(&database, run).await;
    let closed = database.close().await;
    asked.and(closed)?;
    match settings.output {
        Output::Json => out_json(&json!({"run_id": run.as_str(), "stop_requested": true})),
        Output::Text => {
            say(&format!(
                "run {run} stops after its current page, if its process is alive; stored records stay"
            ));
        }
    }
    Ok(DONE)
}

async fn ask(database: &Database, run: &RunId) -> Result<(), Exit> {
    let store = &database.store;
    let record = store.run(run).await?.ok_or_else(|| ReportError::UnknownRun(run.clone()))?;
    // The run of a trigger is its worker's: stopped there, it is not gone on with.
    let (triggers, _) = store.triggers().await?;
    let trigger =
        triggers.into_iter().find(|one| one.state == TriggerState::Running && one.run.as_ref() == Some(run));
    if let Some(trigger) = trigger {
        store.cancel(&trigger.asked.name).await?;
        return Ok(());
    }
    if store.request_stop(run).await? {
        return Ok(());
    }
    Err(Exit::usage(
        format!("run {run} is not running: it is {}", record.status.as_str()),
        "see: qbo-backfill runs",
    ))
}

/// Watches for a request to stop this run, as long as the process lives.
pub(super) fn watch(store: &Arc<dyn Store>, run: RunId, stop: Stop) {
    // It may not outlive the run by holding its database.
    let store = Arc::downgrade(store);
    tokio::spawn(async move {
        let clock = SystemClock::new();
        loop {
            clock.sleep(LOOK).await;
            let Some(store) = store.upgrade() else { return };
            // A database that does not answer is the run's own trouble.
            if store.stop_requested(&run).await.unwrap_or(false) {
                say("stopping after the current page, as requested by another process");
                stop.token.cancel();
                return;
            }
        }
    });
}
