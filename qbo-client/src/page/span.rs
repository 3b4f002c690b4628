//! The position of one record in the body of its page, with the members that identify it.

use std::ops::Range;

use time::{Date, OffsetDateTime};

/// The position of a record in the body of its page, and what was read of it.
#[derive(Clone, Debug)]
pub(crate) struct RecordSpan {
    pub(crate) range: Range<usize>,
    /// Ranges of the body inside `range` that are cut out before anyone sees the bytes.
    pub(crate) cuts: Vec<Range<usize>>,
    /// Whether the text is not JSON.
    pub(crate) is_malformed: bool,
    pub(crate) id: Result<Box<str>, IdentityProblem>,
    pub(crate) sync_token: Option<i64>,
    pub(crate) updated_at: Option<OffsetDateTime>,
    /// The day, if no more of `LastUpdatedTime` can be read.
    pub(crate) updated_on: Option<Date>,
    pub(crate) created_at: Option<OffsetDateTime>,
    pub(crate) txn_date: Option<Date>,
    pub(crate) number: Option<u64>,
}

/// Why a record has no usable id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityProblem {
    /// There is no `Id`.
    #[error("the record has no Id")]
    Missing,
    /// `Id` is not a text of 1 to 64 characters.
    #[error("the record's Id is not a text of 1 to 64 characters")]
    Unusable,
    /// The record is not a JSON object, or a key that identifies it occurs twice.
    #[error("the record is not an object with one Id")]
    NotAnObject,
}
