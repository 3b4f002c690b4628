//! The trait that keeps the results of verifications.

use std::fmt;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{RunId, StoreError, Window};

/// How the records of a pipeline were verified. The words are those of `raw.backfill_verification.method`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VerifyMethod {
    /// Every record was read and compared with its row.
    #[default]
    Compared,
    /// The source counted as many records as there are live rows; where it did not, the records were read and compared.
    Count,
    /// The ids in the source's own reports were compared with the rows.
    Report,
}

words! {
    VerifyMethod {
        Compared => "compared",
        Count => "count",
        Report => "report",
    }
}

/// What a verification has shown. The words are those of `raw.backfill_verification.result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerifyResult {
    /// Everything that the source has is stored, or kept in quarantine.
    Confirmed,
    /// Records are missing or changed.
    Differs,
    /// Something could not be read, so nothing is confirmed.
    Incomplete,
}

words! {
    VerifyResult {
        Confirmed => "confirmed",
        Differs => "differs",
        Incomplete => "incomplete",
    }
}

/// The result of one verification for one pipeline: numbers, and no text of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationRecord {
    /// Id of the verification; runs have others.
    pub id: RunId,
    /// Name of the pipeline in the log.
    pub entity_name: Box<str>,
    /// How the records were verified.
    pub method: VerifyMethod,
    /// Span in which the records were last updated.
    pub span: Window,
    /// What the verification has shown.
    pub result: VerifyResult,
    /// Records that were counted and not read.
    pub counted: u64,
    /// Records that were read and are stored as they are.
    pub same: u64,
    /// Records of which nothing was stored.
    pub missing: u64,
    /// Records that were stored in another version.
    pub changed: u64,
    /// Rows that were found gone.
    pub gone: u64,
    /// Rows that were marked as gone.
    pub marked: u64,
    /// API calls of the verification, for all of its pipelines together.
    pub calls: u64,
    /// When the verification ended, by our clock.
    pub at: OffsetDateTime,
}

/// Keeps the results of verifications.
///
/// # Contract
///
/// - Results are only ever added. The same verification of a pipeline is kept once.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait VerificationLog: fmt::Debug + Send + Sync {
    /// Keeps results. The schema need not be bound to a company.
    async fn keep_verifications(&self, records: &[VerificationRecord]) -> Result<(), StoreError>;

    /// The newest result of each pipeline and method, sorted by these.
    async fn last_verifications(&self) -> Result<Vec<VerificationRecord>, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn VerificationLog) = |_| ();
