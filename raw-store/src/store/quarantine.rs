use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;

use crate::{Owner, Pipeline, RunId, StoreError, Window};

/// A document that could not become a row, or a record that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The pipeline's name in the log.
    pub entity_name: Box<str>,
    /// Names it within its pipeline: a fingerprint of its bytes, in hexadecimal.
    pub digest: Box<str>,
    /// Its id at the source, where it has a usable one.
    pub record_id: Option<Box<str>>,
    /// Why it is here, in our own words.
    pub reason: Box<str>,
    /// The window that it was read in last.
    pub window: Window,
    /// What that window measures, where that is known.
    pub time_axis: Option<Box<str>>,
    /// The run that saw it last.
    pub run: Option<RunId>,
    /// When it was seen first.
    pub first_seen_at: OffsetDateTime,
    /// When it was seen last.
    pub last_seen_at: OffsetDateTime,
    /// When its window was read to the end without it.
    pub resolved_at: Option<OffsetDateTime>,
    /// The decision to leave it where it is, if somebody took one.
    pub accepted: Option<Acceptance>,
    /// Whether the record has its row: these bytes are then kept because the row cannot say all of them.
    pub has_row: bool,
}

impl Quarantined {
    /// Whether somebody still has to do something about it: it has no row, is not resolved and not accepted.
    pub fn is_open(&self) -> bool {
        !self.has_row && self.resolved_at.is_none() && self.accepted.is_none()
    }
}

/// A recorded decision that a document may stay in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// When it was taken, by the store's clock.
    pub at: OffsetDateTime,
    /// Who took it.
    pub by: Box<str>,
    /// Why, in that person's words.
    pub reason: Box<str>,
}

/// What is kept aside.
///
/// # Contract
///
/// - Nothing is ever deleted: what is resolved says when, and is open again when it is seen again.
/// - An acceptance holds for the bytes that it was given for. A record that comes back with other bytes is another
///   document, and open.
#[async_trait]
pub trait Quarantine: fmt::Debug + Send + Sync {
    /// Lists what is kept, by pipeline and window; of all pipelines if none is named.
    async fn quarantined(&self, entity_name: Option<&str>) -> Result<Vec<Quarantined>, StoreError>;

    /// The bytes of one document, as received.
    async fn quarantined_bytes(&self, entity_name: &str, digest: &str) -> Result<Option<Bytes>, StoreError>;

    /// How many documents of these pipelines are [open](Quarantined::is_open). With a span: those whose window shares an
    /// instant with it. A window that measures something else than the pipeline asked for cannot be compared with the span,
    /// and its document counts.
    async fn open_quarantine(&self, pipelines: &[Pipeline], span: Option<Window>) -> Result<u64, StoreError>;

    /// Records the decision to leave an open document in quarantine, and returns the document as it is now; `None` if there
    /// is no such document. One that is accepted already keeps its first decision, and one that is resolved needs none.
    async fn accept_quarantined(
        &self,
        entity_name: &str,
        digest: &str,
        by: &str,
        reason: &str,
    ) -> Result<Option<Quarantined>, StoreError>;

    /// Resolves what a run did not see again in windows that it has completed. Returns how many that were.
    async fn resolve_quarantine(&self, owner: Owner<'_>) -> Result<u64, StoreError>;
}
