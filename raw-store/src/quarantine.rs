use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;

use crate::{Owner, RunId, StoreError, Window};

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
}

/// What is kept aside.
///
/// # Contract
///
/// - Nothing is ever deleted: what is resolved says when, and is open again when it is seen again.
#[async_trait]
pub trait Quarantine: fmt::Debug + Send + Sync {
    /// Lists what is kept, by pipeline and window; of all pipelines if none is named.
    async fn quarantined(&self, entity_name: Option<&str>) -> Result<Vec<Quarantined>, StoreError>;

    /// The bytes of one document, as received.
    async fn quarantined_bytes(&self, entity_name: &str, digest: &str) -> Result<Option<Bytes>, StoreError>;

    /// Resolves what a run did not see again in windows that it has completed. Returns how many that were.
    async fn resolve_quarantine(&self, owner: Owner<'_>) -> Result<u64, StoreError>;
}
