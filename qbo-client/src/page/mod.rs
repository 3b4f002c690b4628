//! A page of records, as QuickBooks Online sent it.
//!
//! A [`RawPage`] keeps the body of one answer and the position of each [`RawRecord`] in it: nothing is parsed into a tree, and
//! no byte is copied or changed. [`Deletions`] is an answer of change data capture.

mod cdc;
pub(crate) mod envelope;
pub(crate) mod json_members;
mod mend;
mod span;
pub(crate) mod split;
pub(crate) mod timestamp;

use std::fmt;

use bytes::Bytes;
use time::{Date, OffsetDateTime};

use self::span::RecordSpan;
use self::split::Envelope;
use crate::query::{Query, RecordLayout};

pub use cdc::{Deleted, Deletions};
pub use span::IdentityProblem;
pub use split::SplitError;

/// One page as received: a single buffer, and the position of each record in it.
#[derive(Clone)]
pub struct RawPage {
    body: Bytes,
    records: Vec<RecordSpan>,
    answered_at: Option<OffsetDateTime>,
}

/// One record of a page: a view into its buffer. No JSON is copied.
#[derive(Clone)]
pub struct RawRecord<'a> {
    body: &'a Bytes,
    span: &'a RecordSpan,
}

impl RawPage {
    /// Splits an answer's body into its records, found under `key`.
    ///
    /// # Errors
    ///
    /// [`SplitError`] for anything that is not a whole, consistent page. In particular a fault, a truncated
    /// body and an answer without its envelope are errors, never "no rows".
    pub fn split(body: Bytes, key: &str) -> Result<Self, SplitError> {
        let Envelope { records, answered_at, .. } = split::split(&body, key, &RecordLayout::default())?;
        Ok(Self { body, records, answered_at })
    }

    /// Splits the answer to a query.
    ///
    /// # Errors
    ///
    /// As [`split`](Self::split), and for a page that begins at another position or holds fewer records than it announces.
    pub fn answering(body: Bytes, query: &Query) -> Result<Self, SplitError> {
        let envelope = split::split(&body, query.entity().as_str(), query.record_layout())?;
        Self::answered(body, envelope, query)
    }

    /// Splits the answer to a query, and accepts records whose text is not JSON: raw control characters, escapes that do not
    /// exist, words such as `NaN`. They keep their bytes, and [`RawRecord::is_malformed`] reports them. For an answer that
    /// stays malformed when it is requested again.
    ///
    /// # Errors
    ///
    /// As [`answering`](Self::answering), if the positions of the records cannot be found.
    pub fn around_malformed(body: Bytes, query: &Query) -> Result<Self, SplitError> {
        let envelope = split::split_around(&body, query.entity().as_str(), query.record_layout())?;
        Self::answered(body, envelope, query)
    }

    fn answered(body: Bytes, envelope: Envelope, query: &Query) -> Result<Self, SplitError> {
        if !envelope.answers(query.start_position(), query.page_size().get()) {
            return Err(SplitError::Contradiction);
        }
        let Envelope { records, answered_at, .. } = envelope;
        Ok(Self { body, records, answered_at })
    }

    /// The records, in the order in which they were received.
    pub fn records(&self) -> impl ExactSizeIterator<Item = RawRecord<'_>> {
        self.records.iter().map(|span| RawRecord { body: &self.body, span })
    }

    /// Number of records on the page.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether the page holds no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Size of the body in bytes, decompressed.
    pub fn size_bytes(&self) -> usize {
        self.body.len()
    }

    /// When QBO answered, by its own clock (the envelope's `time`, to the millisecond).
    pub fn answered_at(&self) -> Option<OffsetDateTime> {
        self.answered_at
    }

    #[cfg(feature = "http")]
    pub(crate) fn or_answered_at(mut self, other: Option<OffsetDateTime>) -> Self {
        self.answered_at = self.answered_at.or(other);
        self
    }
}

/// Shows sizes and no contents: a page is customer data.
impl fmt::Debug for RawPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPage")
            .field("records", &self.records.len())
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl<'a> RawRecord<'a> {
    /// The record's JSON text, exactly as received except for the members that its layout strips. Shares the page's buffer if
    /// nothing is stripped.
    pub fn bytes(&self) -> Bytes {
        let RecordSpan { range, cuts, .. } = self.span;
        if cuts.is_empty() {
            return self.body.slice(range.clone());
        }
        let mut kept = Vec::with_capacity(range.len());
        let mut from = range.start;
        for cut in cuts {
            kept.extend_from_slice(&self.body[from..cut.start]);
            from = cut.end;
        }
        kept.extend_from_slice(&self.body[from..range.end]);
        kept.into()
    }

    /// Whether the record's text is not JSON.
    pub fn is_malformed(&self) -> bool {
        self.span.is_malformed
    }

    /// The record's id.
    ///
    /// # Errors
    ///
    /// [`IdentityProblem`] says why the record has no usable id.
    pub fn id(&self) -> Result<&'a str, IdentityProblem> {
        self.span.id.as_deref().map_err(|problem| *problem)
    }

    /// The record's `SyncToken`, its edit counter; `None` if it is not an integer.
    pub fn sync_token(&self) -> Option<i64> {
        self.span.sync_token
    }

    /// The record's `MetaData.LastUpdatedTime`; `None` if it cannot be read.
    pub fn updated_at(&self) -> Option<OffsetDateTime> {
        self.span.updated_at
    }

    /// The day of the record's `MetaData.LastUpdatedTime`, if no more than the day can be read: it is a date alone, or its zone
    /// is missing.
    pub fn updated_on(&self) -> Option<Date> {
        self.span.updated_on
    }

    /// The record's `MetaData.CreateTime`; `None` if it cannot be read.
    pub fn created_at(&self) -> Option<OffsetDateTime> {
        self.span.created_at
    }

    /// The record's `TxnDate`; `None` if it cannot be read.
    pub fn txn_date(&self) -> Option<Date> {
        self.span.txn_date
    }

    /// A hash of the record's `DocNumber`, if it has one that is not empty. Records with the same number have the same hash
    /// within this process, but not across processes.
    pub fn number_mark(&self) -> Option<u64> {
        self.span.number
    }
}

/// Shows the record's id and no contents.
impl fmt::Debug for RawRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRecord").field("id", &self.id()).finish_non_exhaustive()
    }
}
