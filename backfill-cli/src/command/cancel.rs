//! The command `cancel`: requests in the database that a run stops; the process of the run sees it.

use std::sync::Arc;
use std::time::Duration;

use qbo_auth::{Clock as _, SystemClock};
use raw_store::{BackfillLog as _, RunId, Store, TriggerQueue as _, TriggerState};
use serde_json::json;

use super::find_run::find_run;
use super::log_reader::reader;
use crate::app::Database;
use crate::args::Output;
use crate::config::settings::{Settings, user};
use crate::output::exit::{DONE, Exit};
use crate::output::print::{out_json, say};
use crate::shutdown::Stop;

/// Poll interval of a run for a request to stop.
const LOOK: Duration = Duration::from_secs(1);

/// `cancel`: requests that a run stops.
pub(crate) async fn cancel(settings: &Settings, run: &RunId) -> Result<u8, Exit> {
    let database = reader(settings).await?;
    let asked = ask(&database, run).await;
    let closed = database.close().await;
    let run = asked.and_then(|run| closed.map(|()| run))?;
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

/// Requests it of the run that is meant, and returns its id.
async fn ask(database: &Database, wanted: &RunId) -> Result<RunId, Exit> {
    let store = &database.store;
    let record = find_run(&**store, wanted).await?;
    let run = &record.id;
    // Cancel the trigger of a run, too; otherwise its worker would continue the run.
    let (triggers, _) = store.triggers().await?;
    let trigger =
        triggers.into_iter().find(|one| one.state == TriggerState::Running && one.run.as_ref() == Some(run));
    if let Some(trigger) = trigger {
        store.cancel(&trigger.asked.name, &user()).await?;
        return Ok(record.id);
    }
    if store.request_stop(run, &user()).await? {
        return Ok(record.id);
    }
    Err(Exit::usage(
        format!("run {run} is not running: it is {}", record.status.as_str()),
        "see: qbo-backfill runs",
    ))
}

/// Polls for a request to stop this run, until the process ends.
pub(super) fn watch(store: &Arc<dyn Store>, run: RunId, stop: Stop) {
    // The poller must not keep the database open after the run.
    let store = Arc::downgrade(store);
    tokio::spawn(async move {
        let clock = SystemClock::new();
        loop {
            clock.sleep(LOOK).await;
            let Some(store) = store.upgrade() else { return };
            // The run itself reports a database that does not answer.
            if store.stop_requested(&run).await.unwrap_or(false) {
                say("stopping after the current page, as requested by another process");
                stop.token.cancel();
                return;
            }
        }
    });
}
