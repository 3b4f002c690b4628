//! The trait that looks up rows by id, and lists them by a member of their documents.

use std::fmt;

use async_trait::async_trait;

use crate::{Pipeline, StoreError};

/// What is stored under an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing.
    Absent,
    /// A row; with the text of the member that was asked for, if the document has one.
    Live(Option<Box<str>>),
    /// A row that is marked as gone at the source.
    Gone,
}

/// Looks up rows without reading their documents.
///
/// # Contract
///
/// - **Read only.** Nothing changes, and no lease is needed.
/// - A table that does not exist holds nothing.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RowLookup: fmt::Debug + Send + Sync {
    /// Says of each id, in the given order, what is stored under it, with the text that the document has in a `member`. If the
    /// name of the member is empty, no document is read.
    async fn presence(
        &self,
        pipeline: &Pipeline,
        ids: &[Box<str>],
        member: &str,
    ) -> Result<Vec<Presence>, StoreError>;

    /// Lists ids of rows without a mark whose document has a text `member` from `first` to `last`, both included, compared byte
    /// by byte: at most `limit` ids after `after`, in the store's own order. Fewer than `limit` ids mean that there are no more.
    async fn ids_between(
        &self,
        pipeline: &Pipeline,
        between: &MemberRange,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Box<str>>, StoreError>;
}

/// A range of the texts that documents have in one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRange {
    /// Name of the member.
    pub member: Box<str>,
    /// The first text of the range.
    pub first: Box<str>,
    /// The last text of the range.
    pub last: Box<str>,
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn RowLookup) = |_| ();
