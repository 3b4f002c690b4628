//! The trait that shows what a person should look at: findings, and documents in quarantine.

#![cfg_attr(feature = "mock", allow(clippy::ref_option_ref, reason = "the mock is generated"))]

use std::fmt;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{AsOf, Finding, Quarantined, RunId, StoreError};

/// A finding of the newest validation of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestFinding {
    /// Name of the pipeline in the log.
    pub entity_name: Box<str>,
    /// Run after which the pipeline was validated.
    pub run: RunId,
    /// When it was validated, by our clock.
    pub validated_at: OffsetDateTime,
    /// What was found.
    pub finding: Finding,
}

/// Which documents in quarantine to show. A document must match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineFilter {
    /// Only documents of this pipeline.
    pub entity_name: Option<Box<str>>,
    /// Only documents that are [open](Quarantined::is_open).
    pub open: bool,
}

/// The position of a document in the order of the quarantine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuarantineKey {
    /// Name of the pipeline in the log.
    pub entity_name: Box<str>,
    /// Fingerprint of the document, in hexadecimal.
    pub digest: Box<str>,
}

impl From<&Quarantined> for QuarantineKey {
    fn from(one: &Quarantined) -> Self {
        Self { entity_name: one.entity_name.clone(), digest: one.digest.clone() }
    }
}

/// Shows what a person should look at.
///
/// # Contract
///
/// - **Read only.** The bytes of documents are not returned; see
///   [`Quarantine::quarantined_bytes`](crate::Quarantine::quarantined_bytes).
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait IssueReader: fmt::Debug + Send + Sync {
    /// Lists the findings of the newest validation of each pipeline, the most serious first, at most `limit`.
    async fn newest_findings(&self, limit: u32) -> Result<AsOf<Vec<NewestFinding>>, StoreError>;

    /// Lists the documents in quarantine that match, in the order of [`QuarantineKey`]: at most `limit` of them behind `after`.
    /// Fewer than `limit` mean that there are no more.
    async fn page_of_quarantine<'a>(
        &self,
        filter: &QuarantineFilter,
        after: Option<&'a QuarantineKey>,
        limit: u32,
    ) -> Result<AsOf<Vec<Quarantined>>, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn IssueReader) = |_| ();
