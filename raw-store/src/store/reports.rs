//! The trait that keeps reports of the source, as sent.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use time::{Date, OffsetDateTime};

use crate::{RunId, StoreError, TableName};

/// A report of the source, with the question that it answers.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptReport {
    /// The request, as one line.
    pub question: Box<str>,
    /// The answer, as sent: JSON.
    pub answer: Bytes,
    /// First day of the report.
    pub first_day: Date,
    /// Last day of the report.
    pub last_day: Date,
    /// When the report's amounts count, if the question says so: `Accrual` or `Cash`.
    pub basis: Option<Box<str>>,
    /// When the source answered, by its own clock.
    pub answered_at: Option<OffsetDateTime>,
    /// When the answer was received, by our clock.
    pub received_at: OffsetDateTime,
    /// Id of the verification that asked.
    pub verification: RunId,
}

/// Shows sizes and no contents.
impl fmt::Debug for KeptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptReport")
            .field("question", &self.question)
            .field("bytes", &self.answer.len())
            .field("received_at", &self.received_at)
            .finish_non_exhaustive()
    }
}

/// Keeps reports of the source, in a table for each kind.
///
/// # Contract
///
/// - **As sent.** The bytes of an answer stay as they are.
/// - **One answer for each question.** A new answer replaces the one before, so that repeating a question does not grow the
///   table. An answer that was received earlier replaces nothing.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ReportArchive: fmt::Debug + Send + Sync {
    /// Keeps a report in a table, which is one that the schema has for a report.
    async fn keep_report(&self, table: &TableName, report: &KeptReport) -> Result<(), StoreError>;

    /// The newest answer to a question; `None` if there is none.
    async fn kept_report(&self, table: &TableName, question: &str) -> Result<Option<KeptReport>, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn ReportArchive) = |_| ();
