//! The download: which files are missing, and the batches in which their links are requested.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use backfill_report::attachments::{Downloads, FailedDownload};
use qbo_client::{Advice, Attachment, EntityName, QboClient, attachments_query};
use raw_store::{AttachmentLog, AttachmentRecord, AttachmentState, Pipeline};
use serde_json::json;
use tokio::task::JoinSet;

use super::transfer::{Transferred, Transfers, Unfetched};
use crate::output::event;
use crate::output::exit::{Exit, INTERRUPTED, SOURCE};
use crate::output::print::{is_for_programs, say};

/// The number of records that are listed from the database at once.
const LISTED_AT_ONCE: u32 = 1000;

/// The number of links of one request. Links last 15 minutes; others who asked for a thousand lost the last hundred of them.
const LINKS_AT_ONCE: usize = 50;

/// How often links are requested for files of which none could be downloaded with the links before.
const MOST_ROUNDS: u32 = 3;

/// The number of failures shown; `--output json` lists all of them.
const MOST_SHOWN: usize = 20;

/// After this many failures in a row, all others are expected to fail as well.
const MOST_IN_A_ROW: u32 = 5;

/// What is done about records that an answer lacks. One answer is no proof that a record is gone.
#[derive(Clone, Copy, Debug)]
enum Lacking {
    /// They are requested once more.
    AskAgain,
    /// They count as gone.
    Gone,
}

/// A download in progress.
pub(super) struct Download<'a> {
    pub(super) client: &'a dyn QboClient,
    pub(super) store: &'a dyn AttachmentLog,
    pub(super) entity: EntityName,
    pub(super) pipeline: Pipeline,
    pub(super) transfers: Arc<Transfers>,
    pub(super) concurrency: NonZeroUsize,
    pub(super) done: Downloads,
    /// Files in a row that no connection brought.
    pub(super) unreached: u32,
    /// Records in a row that QuickBooks did not deliver.
    pub(super) undelivered: u32,
}

impl Download<'_> {
    /// Downloads every file that is missing from the folder.
    pub(super) async fn run(&mut self) -> Result<(), Exit> {
        let mut after: Box<str> = "".into();
        let mut missing = Vec::with_capacity(LINKS_AT_ONCE);
        loop {
            let listed = self.store.attachments(&self.pipeline, &after, LISTED_AT_ONCE).await?;
            let is_last = listed.len() < LISTED_AT_ONCE as usize;
            for state in listed {
                after.clone_from(&state.id);
                if !self.is_there(&state)? {
                    missing.push(state.id);
                }
                if missing.len() == LINKS_AT_ONCE {
                    self.batch(std::mem::take(&mut missing)).await?;
                }
                self.check_stop()?;
            }
            if is_last {
                return self.batch(missing).await;
            }
        }
    }

    /// Whether nothing is left to do for an attachment.
    fn is_there(&mut self, state: &AttachmentState) -> Result<bool, Exit> {
        let Some(record) = state.record.as_ref().filter(|_| state.is_current) else { return Ok(false) };
        let Some(file) = &record.file else {
            self.done.notes += 1;
            return Ok(true);
        };
        // Reading the file may take long, and nothing else is to be done meanwhile.
        let is_there = tokio::task::block_in_place(|| self.transfers.folder.holds(file))?;
        self.done.present += u64::from(is_there);
        Ok(is_there)
    }

    /// Downloads the files of these attachments. Links that expire meanwhile are requested again.
    async fn batch(&mut self, mut missing: Vec<Box<str>>) -> Result<(), Exit> {
        let (before, whole) = (self.done.downloaded, missing.len());
        let mut rounds = 0;
        while !missing.is_empty() {
            let wanted = missing.len();
            missing = self.round(missing).await?;
            rounds = if missing.len() == wanted { rounds + 1 } else { 0 };
            if rounds == MOST_ROUNDS {
                if missing.len() == whole && whole >= MOST_IN_A_ROW as usize {
                    return Err(every_link_refused());
                }
                for id in missing.drain(..) {
                    self.failed(&id, Unfetched::EveryLink);
                }
            }
        }
        if self.done.downloaded > before && !is_for_programs() {
            say(&format!("{} files downloaded, {} bytes", self.done.downloaded, self.done.bytes));
        }
        Ok(())
    }

    /// Requests links and uses each once. Returns the attachments that need another link.
    async fn round(&mut self, ids: Vec<Box<str>>) -> Result<Vec<Box<str>>, Exit> {
        let asked_at = self.transfers.clock.elapsed();
        let mut files = Vec::new();
        for attachment in self.links(ids).await? {
            if attachment.file.is_some() {
                files.push(attachment);
            } else {
                self.keep_note(attachment).await?;
            }
        }
        let (mut again, mut tasks, mut files) = (Vec::new(), JoinSet::new(), files.into_iter());
        loop {
            while tasks.len() < self.concurrency.get()
                && let Some(attachment) = files.next()
            {
                let transfers = Arc::clone(&self.transfers);
                tasks.spawn(async move { (transfers.fetch(&attachment, asked_at).await, attachment.id) });
            }
            let Some(ended) = tasks.join_next().await else { break };
            let (transferred, id) = ended.expect("a transfer does not panic and is not aborted");
            match transferred? {
                Transferred::Kept(record) => self.keep(record).await?,
                Transferred::NeedsLink => again.push(id),
                Transferred::Failed(why) => {
                    self.failed(&id, why);
                    self.note_unreached(why)?;
                }
                // The others see it as well, and end without a file.
                Transferred::Stopped => {}
            }
        }
        self.check_stop()?;
        Ok(again)
    }

    /// The records of these attachments, with fresh links. A record that spoils its page is requested apart.
    async fn links(&mut self, ids: Vec<Box<str>>) -> Result<Vec<Attachment>, Exit> {
        let mut attachments = Vec::with_capacity(ids.len());
        let mut parts = vec![(ids, Lacking::AskAgain)];
        while let Some((mut ids, lacking)) = parts.pop() {
            let query = attachments_query(&self.entity, ids.iter().map(|id| &**id));
            let answer = tokio::select! {
                answer = self.client.fetch_page(&query) => answer,
                () = self.transfers.stop.cancelled() => return Err(stopped()),
            };
            let page = match answer {
                Ok(page) => page,
                Err(error) if matches!(error.advice(), Advice::AskFewer | Advice::GiveUp) => {
                    match &*ids {
                        [id] => self.undelivered(id, error)?,
                        _ => parts.extend([ids.split_off(ids.len() / 2), ids].map(|ids| (ids, lacking))),
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            self.undelivered = 0;
            let mut missing: HashSet<Box<str>> = ids.into_iter().collect();
            for record in page.records() {
                // What was not requested, or comes twice, is left alone.
                let Some(id) = record.id().ok().and_then(|id| missing.take(id)) else { continue };
                match Attachment::read(&record) {
                    Some(attachment) => attachments.push(attachment),
                    None => self.failed(&id, Unfetched::NoRecord),
                }
            }
            match lacking {
                Lacking::AskAgain if !missing.is_empty() => {
                    parts.push((missing.into_iter().collect(), Lacking::Gone));
                }
                _ => missing.iter().for_each(|id| self.gone(id)),
            }
        }
        Ok(attachments)
    }

    async fn keep_note(&mut self, note: Attachment) -> Result<(), Exit> {
        let Attachment { id, sync_token, .. } = note;
        let recorded_at = self.transfers.clock.now_utc();
        self.store.keep_attachment(&AttachmentRecord { id, file: None, sync_token, recorded_at }).await?;
        self.done.notes += 1;
        Ok(())
    }

    async fn keep(&mut self, record: AttachmentRecord) -> Result<(), Exit> {
        self.store.keep_attachment(&record).await?;
        self.unreached = 0;
        self.done.downloaded += 1;
        self.done.bytes += record.file.map_or(0, |file| file.size);
        Ok(())
    }

    /// Counts a record that QuickBooks no longer returns.
    fn gone(&mut self, id: &str) {
        self.done.gone += 1;
        if is_for_programs() {
            event::write("attachment_gone", json!({"id": id}));
        }
    }

    fn failed(&mut self, id: &str, why: Unfetched) {
        self.done.failed += 1;
        if is_for_programs() {
            event::write("attachment_failed", json!({"id": id, "reason": why.to_string()}));
        }
        if self.done.failures.len() < MOST_SHOWN {
            self.done.failures.push(FailedDownload { id: id.into(), reason: why.to_string() });
        }
    }

    /// Leaves out a record that cannot be read by itself, and gives up if no record can.
    fn undelivered(&mut self, id: &str, error: qbo_client::Error) -> Result<(), Exit> {
        self.undelivered += 1;
        if self.undelivered == MOST_IN_A_ROW {
            return Err(Exit { next: "run the same command again later".into(), ..error.into() });
        }
        self.failed(id, Unfetched::NoRecord);
        Ok(())
    }

    /// Gives up on a host that cannot be reached.
    fn note_unreached(&mut self, why: Unfetched) -> Result<(), Exit> {
        let is_unreached = match why {
            Unfetched::Host(error) => error.may_pass(),
            Unfetched::Slow(_) => true,
            _ => false,
        };
        self.unreached = if is_unreached { self.unreached + 1 } else { 0 };
        if self.unreached < MOST_IN_A_ROW {
            return Ok(());
        }
        Err(Exit::new(
            SOURCE,
            format!(
                "the files' host failed for {MOST_IN_A_ROW} files in a row; files that were downloaded are complete"
            ),
            "check that HTTPS to other hosts than QuickBooks' is allowed here, then run the same command again",
        ))
    }

    fn check_stop(&self) -> Result<(), Exit> {
        if self.transfers.stop.is_cancelled() { Err(stopped()) } else { Ok(()) }
    }
}

/// An error for a host that refused all links of a whole batch: it would refuse those of the others as well.
fn every_link_refused() -> Exit {
    Exit::new(
        SOURCE,
        "the files' host refuses every link that QuickBooks gives; files that were downloaded are complete",
        "check that this machine's clock is right and that no proxy changes HTTPS, then run the same command again later",
    )
}

fn stopped() -> Exit {
    Exit::new(
        INTERRUPTED,
        "stopped; files that were downloaded are complete, and no other file was left behind",
        "run the same command again to continue",
    )
}
