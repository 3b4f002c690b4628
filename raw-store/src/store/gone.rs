//! The trait that marks stored rows whose records the source no longer has.

use std::fmt;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{Lease, Pipeline, StoreError};

/// A stored record that the source no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoneRecord {
    /// Id of the record.
    pub id: Box<str>,
    /// When the record was deleted, if the source still knows.
    pub deleted_at: Option<OffsetDateTime>,
}

/// Marks rows whose records the source no longer has.
///
/// # Contract
///
/// - **The document stays.** A mark changes the columns `gone_found_at_utc` and `source_deleted_at_utc`, and nothing else.
/// - **Fenced.** Only the owner of the pipeline marks its rows: a lease that has been taken over is refused with `LeaseLost`
///   and changes nothing.
/// - **Taken back by a page.** [`PageSink::commit_page`](crate::PageSink::commit_page) removes the mark of each document that it
///   receives, and counts the row as updated. The caller therefore asks the source while it owns the pipeline, so that no page
///   with an earlier answer can be committed after the mark.
/// - The first mark of a row stays until a page removes it. A table or a row that does not exist is not marked.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait GoneMarks: fmt::Debug + Send + Sync {
    /// Marks rows as found gone at `found_at`. Returns how many of them had no mark.
    async fn mark_gone(
        &self,
        pipeline: &Pipeline,
        lease: &Lease,
        gone: &[GoneRecord],
        found_at: OffsetDateTime,
    ) -> Result<u64, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn GoneMarks) = |_| ();
