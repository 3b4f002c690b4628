//! The trait that compares documents with what is stored, without changing anything.

use std::fmt;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{PageCommit, Pipeline, StoreError, Window};

/// How the documents of a page compare with what is stored. Each document is in exactly one of the four fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageComparison {
    /// Number of documents that are stored as they are, or in a newer version.
    pub same: u64,
    /// Number of documents that are in quarantine as they are.
    pub quarantined: u64,
    /// Documents of which nothing is stored.
    pub missing: Vec<Deviation>,
    /// Documents that are stored in an older or a different version.
    pub changed: Vec<Deviation>,
}

/// A document that is not stored as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// Id of the document, if it has a usable one.
    pub id: Option<Box<str>>,
    /// Index into [`PageCommit::windows`] of the window that the document belongs to.
    pub window: usize,
}

/// Compares documents with what is stored, without changing anything.
///
/// # Contract
///
/// - **Read only.** Neither rows nor the log change, and no lease is needed: the leases in the pages are not checked.
/// - **As a commit would.** What is `same` here would be `unchanged` in
///   [`PageSink::commit_page`](crate::PageSink::commit_page): two spellings of one JSON value are the same.
/// - A table that does not exist holds nothing.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RawInspection: fmt::Debug + Send + Sync {
    /// The present time, by the store's own clock.
    async fn clock(&self) -> Result<OffsetDateTime, StoreError>;

    /// Compares the documents of a page with the stored rows and the quarantine.
    async fn compare(&self, page: &PageCommit) -> Result<PageComparison, StoreError>;

    /// Lists ids of stored documents that the source last changed within `span`, or of all documents if it is `None`, without
    /// those that are marked as gone: at most `limit` ids after `after`, in the store's own order. Fewer than
    /// `limit` ids mean that there are no more.
    async fn stored_ids(
        &self,
        pipeline: &Pipeline,
        span: Option<Window>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Box<str>>, StoreError>;

    /// Counts the rows without a mark that the source last changed within each of these windows, which must be in ascending
    /// order and not overlap. Zero where the table does not exist.
    async fn count_live(&self, pipeline: &Pipeline, windows: &[Window]) -> Result<Vec<u64>, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn RawInspection) = |_| ();
