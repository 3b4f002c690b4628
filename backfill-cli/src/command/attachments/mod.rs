//! The command `attachments`: downloads the files of attachments into a folder. Their records are in the database; their
//! content is not.

mod download;
mod file_name;
mod folder;
mod gap;
mod transfer;

use std::sync::Arc;

use backfill_core::Axis;
use backfill_report::attachments::{Downloads, json, text};
use qbo_client::FileHost;

use self::download::Download;
use self::folder::Folder;
use self::gap::{ENTITY, Gap};
use self::transfer::Transfers;
use crate::app::{RunApp, Schema, compose};
use crate::args::{Attachments, DownloadArgs, Output};
use crate::config::settings::Settings;
use crate::output::event;
use crate::output::exit::{DONE, Exit, INCOMPLETE, REFUSED, chain};
use crate::output::print::{out, say};
use crate::shutdown::Stop;
use crate::sinks::progress::plain_sink;

/// `attachments`: downloads the files of attachments.
pub(crate) async fn attachments(settings: &Settings, command: &Attachments) -> Result<u8, Exit> {
    let Attachments::Download(arguments) = command;
    // Refuse wrong arguments before opening anything.
    settings.catalog.find(ENTITY)?;
    let folder = Folder::open(&arguments.folder)?;
    let stop = Stop::waiting()?;
    let composed =
        compose(settings, arguments.concurrency, 0, Schema::Needed, |_| plain_sink(settings)).await?;
    stop.keep(&composed.tokens);
    stop.follow(settings)?;
    let (result, done) = download(settings, arguments, &composed, &stop, folder).await;
    let closed = composed.close().await;
    let verdict = match result.and(closed) {
        Ok(()) => incomplete(&done).map_or(Ok(DONE), Err),
        Err(exit) => Err(stop.signed(exit)),
    };
    match settings.output {
        Output::Text => {
            out(&text(&done));
            if !after_gone(&done).is_empty() {
                say(&format!("to mark what is no longer in QuickBooks: {}", after_gone(&done)));
            }
        }
        Output::Json => {
            let (code, next) =
                verdict.as_ref().map_or_else(|exit| (exit.code, &*exit.next), |_| (DONE, after_gone(&done)));
            event::write("attachments_finished", json(&done, code, next));
        }
    }
    verdict
}

async fn download(
    settings: &Settings,
    arguments: &DownloadArgs,
    composed: &RunApp,
    stop: &Stop,
    folder: Folder,
) -> (Result<(), Exit>, Downloads) {
    let mut done = Downloads::default();
    let result = async {
        let spec = settings.catalog.find(ENTITY)?;
        composed.store.bind(&composed.identity).await?;
        folder.bind(&composed.identity)?;
        let gap = Gap::find(composed.database_store(), spec.entity_name()).await?;
        // Only an emulator is on this machine, and without HTTPS.
        let host = FileHost::new(settings.endpoints.api.is_some())
            .map_err(|error| Exit::new(REFUSED, chain(&error), "check the system's root certificates"))?;
        let clock = Arc::clone(&composed.clock);
        let mut download = Download {
            client: &*composed.client,
            store: composed.database_store(),
            entity: spec.name().clone(),
            pipeline: spec.pipeline(Axis::Updated),
            transfers: Arc::new(Transfers { host, folder, clock, stop: stop.token.clone() }),
            concurrency: arguments.concurrency,
            done: Downloads {
                unread_windows: gap.windows,
                quarantined: gap.quarantined,
                ..Downloads::default()
            },
            unreached: 0,
            undelivered: 0,
        };
        let result = download.run().await;
        done = download.done;
        result
    }
    .await;
    done.calls = composed.client.usage().calls;
    (result, done)
}

/// Why the folder may lack files; `None` if it lacks none.
fn incomplete(done: &Downloads) -> Option<Exit> {
    let failed = (done.failed > 0).then(|| {
        let what = format!("files that could not be downloaded: {}", done.failed);
        (what, "run the same command again: it fetches only what is missing".to_owned())
    });
    let gap = Gap { windows: done.unread_windows, quarantined: done.quarantined };
    let gap = gap.told().map(|(what, next)| (what, format!("{next}; then run the same command again")));
    let (what, next): (Vec<_>, Vec<_>) = [gap, failed].into_iter().flatten().unzip();
    let next = next.into_iter().next()?;
    Some(Exit::new(INCOMPLETE, format!("{}; all others are complete in the folder", what.join("; ")), next))
}

/// The command that marks the records which QuickBooks no longer returns; empty if there is none.
fn after_gone(done: &Downloads) -> &'static str {
    if done.gone > 0 { "qbo-backfill verify Attachable --mark-gone" } else { "" }
}
