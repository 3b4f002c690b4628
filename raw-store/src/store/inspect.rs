use std::fmt;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{PageCommit, Pipeline, StoreError, Window};

/// What is stored of the documents of a page. Every document of it is in exactly one of the four.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageComparison {
    /// How many are stored as they are, or in a newer version.
    pub same: u64,
    /// How many are kept in quarantine as they are.
    pub quarantined: u64,
    /// Those of which nothing is stored.
    pub missing: Vec<Deviation>,
    /// Those that are stored in an older or another version.
    pub changed: Vec<Deviation>,
}

/// A document that is not stored as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// Its id, where it has a usable one.
    pub id: Option<Box<str>>,
    /// Which of [`PageCommit::windows`] it belongs to.
    pub window: usize,
}

/// Compares documents with what is stored, and changes nothing.
///
/// # Contract
///
/// - **Read only.** Neither rows nor the log change, and no lease is needed: those in the pages are not looked at.
/// - **As it would land.** What is `same` here would be `unchanged` in
///   [`RawStore::commit_page`](crate::RawStore::commit_page): two spellings of one JSON value are the same.
/// - A table that does not exist holds nothing.
#[async_trait]
pub trait RawInspection: fmt::Debug + Send + Sync {
    /// The time, by the store's own clock.
    async fn clock(&self) -> Result<OffsetDateTime, StoreError>;

    /// Compares the documents of a page.
    async fn compare(&self, page: &PageCommit) -> Result<PageComparison, StoreError>;

    /// At most `limit` ids of stored documents that the source last changed within `span`, or of all; in the store's own
    /// order, behind `after`. Fewer than `limit` are the last ones.
    async fn stored_ids(
        &self,
        pipeline: &Pipeline,
        span: Option<Window>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Box<str>>, StoreError>;
}

// Used behind `Arc<dyn _>`; fail the build, not a user, if that stops working.
const _: fn(&dyn RawInspection) = |_| ();
