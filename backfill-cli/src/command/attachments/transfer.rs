//! The transfer of one file: from its link to a complete file in the folder.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use backfill_core::CancellationToken;
use backfill_report::hex;
use qbo_auth::Clock;
use qbo_client::{AttachedFile, Attachment, Backoff, FileError, FileHost, FileLink};
use raw_store::{AttachmentFile, AttachmentRecord};
use sha2::{Digest as _, Sha256};

use super::file_name::file_name;
use super::folder::Folder;
use crate::output::exit::{Exit, REFUSED};

/// How often a transfer is repeated with the same link.
const REPEATS: usize = 3;

/// How long after its request a link is used. It lasts 15 minutes.
const USABLE: Duration = Duration::from_mins(12);

/// The largest file whose record does not state its length. QuickBooks accepts uploads of 100 MB.
const LARGEST: u64 = 1 << 30;

/// How long a transfer may take at least, whatever its length.
const LEAST_TIME: Duration = Duration::from_mins(10);

/// The slowest transfer that is waited for, in bytes per second.
const SLOWEST: u64 = 16_000;

/// The length that is expected of a file whose record does not state it: the longest upload that QuickBooks accepts.
const EXPECTED: u64 = 100_000_000;

/// Transfers files into a folder.
#[derive(Debug)]
pub(super) struct Transfers {
    pub(super) host: FileHost,
    pub(super) folder: Folder,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: CancellationToken,
}

/// How a transfer ended.
#[derive(Debug)]
pub(super) enum Transferred {
    /// The file is complete in the folder.
    Kept(AttachmentRecord),
    /// The link no longer opens the file: another one is needed.
    NeedsLink,
    /// The file cannot be had now.
    Failed(Unfetched),
    /// The command was asked to stop.
    Stopped,
}

/// Why a file could not be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfetched {
    #[error("{0}")]
    Host(#[from] FileError),
    #[error("the content has {found} bytes, and its record says {stated}")]
    Size { stated: u64, found: u64 },
    #[error("the content is longer than {0} bytes")]
    TooLarge(u64),
    #[error("the transfer did not end within {0} seconds")]
    Slow(u64),
    #[error("QuickBooks gave no link to the file")]
    NoLink,
    #[error("the file's host refuses every link that QuickBooks gives")]
    EveryLink,
    #[error("QuickBooks cannot deliver the record of the file")]
    NoRecord,
}

/// Why one attempt brought no file.
enum Attempt {
    Unfetched(Unfetched),
    Stopped,
    Disk(Exit),
}

impl<E: Into<Unfetched>> From<E> for Attempt {
    fn from(why: E) -> Self {
        Self::Unfetched(why.into())
    }
}

impl Transfers {
    /// Transfers the file of an attachment whose link was requested at `asked_at`, by the process's clock. An error is one of the
    /// folder, or of a host that cannot be trusted: it concerns all files.
    pub(super) async fn fetch(
        &self,
        attachment: &Attachment,
        asked_at: Duration,
    ) -> Result<Transferred, Exit> {
        let Some(file) = &attachment.file else { return Ok(Transferred::Failed(Unfetched::NoLink)) };
        let Some(link) = &file.link else { return Ok(Transferred::Failed(Unfetched::NoLink)) };
        let mut delays = Backoff::new(asked_at.subsec_nanos().into()).take(REPEATS);
        loop {
            if self.clock.elapsed().saturating_sub(asked_at) > USABLE {
                return Ok(Transferred::NeedsLink);
            }
            let most = most_time(file.size);
            let attempt = tokio::select! {
                attempt = self.attempt(attachment, file, link) => attempt,
                // A host that sends little by little does not end by itself. The link has expired by now.
                () = self.clock.sleep(most) => Err(Unfetched::Slow(most.as_secs()).into()),
            };
            let why = match attempt {
                Ok(record) => return Ok(Transferred::Kept(record)),
                Err(Attempt::Stopped) => return Ok(Transferred::Stopped),
                Err(Attempt::Disk(exit)) => return Err(exit),
                Err(Attempt::Unfetched(why)) => why,
            };
            match why {
                Unfetched::Host(FileError::LinkRefused(_)) => return Ok(Transferred::NeedsLink),
                Unfetched::Host(error @ FileError::Insecure(_)) => return Err(insecure(error)),
                Unfetched::Slow(_) => return Ok(Transferred::Failed(why)),
                Unfetched::Host(error) if !error.may_pass() => return Ok(Transferred::Failed(why)),
                _ => {}
            }
            let Some(delay) = delays.next() else { return Ok(Transferred::Failed(why)) };
            tokio::select! {
                () = self.clock.sleep(delay) => {}
                () = self.stop.cancelled() => return Ok(Transferred::Stopped),
            }
        }
    }

    /// One request. What it wrote is removed unless the file is complete.
    async fn attempt(
        &self,
        attachment: &Attachment,
        file: &AttachedFile,
        link: &FileLink,
    ) -> Result<AttachmentRecord, Attempt> {
        let mut part = self.folder.part().map_err(Attempt::Disk)?;
        let mut body = self.unless_stopped(self.host.open(link)).await??;
        let most = file.size.unwrap_or(LARGEST);
        let (mut hash, mut size) = (Sha256::new(), 0);
        while let Some(chunk) = self.unless_stopped(body.chunk()).await?? {
            size += chunk.len() as u64;
            if size > most {
                let too_large = Unfetched::TooLarge(most);
                return Err(file
                    .size
                    .map_or(too_large, |stated| Unfetched::Size { stated, found: size })
                    .into());
            }
            hash.update(&chunk);
            part.write_all(&chunk).map_err(|error| Attempt::Disk(self.folder.unwritten(&error)))?;
        }
        if let Some(stated) = file.size.filter(|stated| *stated != size) {
            return Err(Unfetched::Size { stated, found: size }.into());
        }
        let name = file_name(&attachment.id, &file.name);
        // Flushing to the disk may take long; the folder is used by this process alone.
        tokio::task::block_in_place(|| self.folder.keep(part, &name)).map_err(Attempt::Disk)?;
        Ok(AttachmentRecord {
            id: attachment.id.clone(),
            file: Some(AttachmentFile { name: name.into(), size, sha256: hex(&hash.finalize()).into() }),
            sync_token: attachment.sync_token,
            recorded_at: self.clock.now_utc(),
        })
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Attempt> {
        tokio::select! {
            done = work => Ok(done),
            () = self.stop.cancelled() => Err(Attempt::Stopped),
        }
    }
}

/// How long one attempt may take, by the length that the record states, in bytes.
fn most_time(size: Option<u64>) -> Duration {
    LEAST_TIME + Duration::from_secs(size.unwrap_or(EXPECTED) / SLOWEST)
}

fn insecure(error: FileError) -> Exit {
    Exit::new(
        REFUSED,
        format!("{error}; files that were downloaded are complete"),
        "check the proxy, if there is one, and the system's root certificates, then run the same command again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_file_has_more_time_and_none_has_too_little() {
        assert_eq!(most_time(Some(0)), LEAST_TIME);
        assert_eq!(most_time(Some(16_000_000)), LEAST_TIME + Duration::from_secs(1000));
        assert_eq!(most_time(None), most_time(Some(EXPECTED)));
        // No length that a record may state is too large for a duration.
        assert!(most_time(Some(u64::MAX)) > LEAST_TIME);
    }
}
