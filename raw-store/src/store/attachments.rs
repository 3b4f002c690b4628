//! The trait that records which files of attachments were downloaded.

use std::fmt;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{Pipeline, StoreError};

/// What is known of an attachment after its download (`raw.attachment_file`). The content of the file is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentRecord {
    /// Id of the document that describes the attachment.
    pub id: Box<str>,
    /// The downloaded file; `None` if the attachment is a note, which has no file.
    pub file: Option<AttachmentFile>,
    /// Edit counter of the document whose link was used; `None` if it has none.
    pub sync_token: Option<i64>,
    /// When the download ended, by our clock.
    pub recorded_at: OffsetDateTime,
}

/// A downloaded file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentFile {
    /// Name of the file within the folder of the download.
    pub name: Box<str>,
    /// Length of the content in bytes.
    pub size: u64,
    /// SHA-256 of the content, as 64 lower-case hexadecimal digits.
    pub sha256: Box<str>,
}

/// A stored document that describes an attachment, and what is known of its download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentState {
    /// Id of the document.
    pub id: Box<str>,
    /// The last download, if there was one.
    pub record: Option<AttachmentRecord>,
    /// Whether the download belongs to the stored version of the document, or to a newer one.
    pub is_current: bool,
}

/// Records which files of attachments were downloaded.
///
/// # Contract
///
/// - An attachment has one record: a later download replaces it.
/// - A table that does not exist holds nothing.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AttachmentLog: fmt::Debug + Send + Sync {
    /// Lists the stored documents without those that are marked as gone: at most `limit` of them after the id `after`, in the
    /// store's own order. Fewer than `limit` mean that there are no more.
    async fn attachments(
        &self,
        pipeline: &Pipeline,
        after: &str,
        limit: u32,
    ) -> Result<Vec<AttachmentState>, StoreError>;

    /// Records a download.
    async fn keep_attachment(&self, record: &AttachmentRecord) -> Result<(), StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn AttachmentLog) = |_| ();
