//! The trait for documents in quarantine, and what is kept of each.

#![cfg_attr(feature = "mock", allow(clippy::ref_option_ref, reason = "the mock is generated"))]

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;

use crate::{Owner, Pipeline, RunId, StoreError, Window};

/// A document that could not become a row, or a record that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Name of the pipeline in the log.
    pub entity_name: Box<str>,
    /// Identifies the document within its pipeline: a fingerprint of its bytes, in hexadecimal.
    pub digest: Box<str>,
    /// Id of the document at the source, if it has a usable one.
    pub record_id: Option<Box<str>>,
    /// Why the document is in quarantine, in our own words.
    pub reason: Box<str>,
    /// Window in which the document was last read.
    pub window: Window,
    /// What that window measures, if that is known.
    pub time_axis: Option<Box<str>>,
    /// Run that saw the document last.
    pub run: Option<RunId>,
    /// When the document was first seen.
    pub first_seen_at: OffsetDateTime,
    /// When the document was last seen.
    pub last_seen_at: OffsetDateTime,
    /// When its window was read to the end without the document.
    pub resolved_at: Option<OffsetDateTime>,
    /// The decision to leave the document in quarantine, if one was made.
    pub accepted: Option<Acceptance>,
    /// Whether the record has its row. Then the bytes are kept because the row cannot represent all of them.
    pub has_row: bool,
}

impl Quarantined {
    /// Whether a person still has to act: the document has no row, is not resolved and not accepted.
    pub fn is_open(&self) -> bool {
        !self.has_row && self.resolved_at.is_none() && self.accepted.is_none()
    }
}

/// A recorded decision that a document may stay in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// When the decision was made, by the store's clock.
    pub at: OffsetDateTime,
    /// Person who made the decision.
    pub by: Box<str>,
    /// Reason, in that person's words.
    pub reason: Box<str>,
}

/// Documents and records that could not be stored as rows.
///
/// # Contract
///
/// - Nothing is ever deleted: a resolved document records when it was resolved, and is open again when it is seen again.
/// - An acceptance holds for the bytes that it was given for. A record that returns with other bytes is another document, and
///   open.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Quarantine: fmt::Debug + Send + Sync {
    /// Lists the documents in quarantine, sorted by pipeline and window; those of all pipelines if none is named.
    async fn quarantined<'a>(&self, entity_name: Option<&'a str>) -> Result<Vec<Quarantined>, StoreError>;

    /// The bytes of one document, as received; `None` if there is no such document.
    async fn quarantined_bytes(&self, entity_name: &str, digest: &str) -> Result<Option<Bytes>, StoreError>;

    /// Counts the documents of these pipelines that are [open](Quarantined::is_open). With a span, only those whose window
    /// overlaps it. A window that measures something else than the given pipeline cannot be compared with the span, so its
    /// document counts.
    async fn open_quarantine(&self, pipelines: &[Pipeline], span: Option<Window>) -> Result<u64, StoreError>;

    /// Records the decision to leave an open document in quarantine, and returns the document as it is now; `None` if there is
    /// no such document. One that is accepted already keeps its first decision, and one that is resolved needs none.
    async fn accept_quarantined(
        &self,
        entity_name: &str,
        digest: &str,
        by: &str,
        reason: &str,
    ) -> Result<Option<Quarantined>, StoreError>;

    /// Resolves the documents that a run did not see again in windows that it has completed. Returns their number.
    async fn resolve_quarantine<'a>(&self, owner: Owner<'a>) -> Result<u64, StoreError>;
}
