//! The trait that shows single rows of raw tables.

use std::fmt;

use async_trait::async_trait;
use time::{Date, OffsetDateTime};

use crate::{AsOf, Pipeline, RunId, StoreError, Window};

/// A row of a raw table without its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRecord {
    /// Name of the pipeline in the log.
    pub entity_name: Box<str>,
    /// Id of the record at the source.
    pub id: Box<str>,
    /// The number or name by which people know the record, if its document has one and the role may read documents.
    pub number: Option<Box<str>>,
    /// When the source last changed the record.
    pub updated_at: Option<OffsetDateTime>,
    /// The day on which the source last changed the record, if it names a day and no time.
    pub updated_on: Option<Date>,
    /// Edit counter of the source.
    pub sync_token: Option<i64>,
    /// When the source answered the request that brought the row.
    pub answered_at: OffsetDateTime,
    /// When the row was written.
    pub ingested_at: OffsetDateTime,
    /// Window in which the record was read.
    pub window: Window,
    /// Run that wrote the row, if its pages are still known.
    pub run: Option<RunId>,
    /// Number of the page that brought the row.
    pub page_number: u32,
    /// Number of records that were requested with that page.
    pub page_size: u32,
    /// The request, as a JSON object without secrets, if the role may read it.
    pub request: Option<Box<str>>,
    /// Digest of the document, in hexadecimal, if the role may read it.
    pub digest: Option<Box<str>>,
    /// When the record was found to be gone at the source.
    pub gone_found_at: Option<OffsetDateTime>,
    /// When the source deleted the record, if it still knew.
    pub deleted_at: Option<OffsetDateTime>,
}

/// Where to search for a number: a pipeline, and the top-level member of its documents that holds the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberSearch {
    /// Pipeline whose table is searched.
    pub pipeline: Pipeline,
    /// Name of the member, such as `DocNumber`.
    pub member: Box<str>,
}

/// Shows single rows of raw tables.
///
/// # Contract
///
/// - **Read only.** A table that does not exist holds nothing.
/// - Only [`document`](Self::document) returns a document.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RowReader: fmt::Debug + Send + Sync {
    /// Looks up a row by its id; `search` names the pipeline and the member that holds the record's number.
    async fn row(&self, search: &NumberSearch, id: &str) -> Result<AsOf<Option<RowRecord>>, StoreError>;

    /// Finds the rows whose number is exactly `number`, sorted by the order of `searches` and by id, at most `limit`. The tables
    /// have no index on the number: the store gives up after five seconds with `Busy`. A role that may not read documents is
    /// refused with `Forbidden`.
    async fn rows_by_number(
        &self,
        searches: &[NumberSearch],
        number: &str,
        limit: u32,
    ) -> Result<AsOf<Vec<RowRecord>>, StoreError>;

    /// Returns the document of a row as JSON text; `None` if there is no such row. It may hold personal data: a caller that shows
    /// it should record who looked. A role that may not read documents is refused with `Forbidden`.
    async fn document(&self, pipeline: &Pipeline, id: &str) -> Result<AsOf<Option<Box<str>>>, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn RowReader) = |_| ();
