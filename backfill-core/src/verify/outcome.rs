//! The result of a verification.

use std::collections::BTreeSet;

use qbo_client::Usage;
pub use raw_store::VerifyMethod;
use raw_store::{RunId, VerificationRecord, VerifyResult, Window};
use time::OffsetDateTime;

use crate::catalog::EntitySpec;
use crate::error::RunError;

/// The result of a verification.
#[derive(Debug)]
pub struct Verification {
    /// The result of each pipeline, in the requested order.
    pub pipelines: Vec<VerifiedPipeline>,
    /// The API calls that the verification made, and what they cost.
    pub usage: Usage,
    /// The failure that stopped the verification, if one did; the numbers then cover what was compared until then.
    pub failure: Option<RunError>,
}

/// The result of a verification for one pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPipeline {
    /// The pipeline's name.
    pub pipeline: String,
    /// The entity's name in the log.
    pub entity_name: Box<str>,
    /// The span in which the compared records were last updated.
    pub span: Window,
    /// How the records were verified.
    pub method: VerifyMethod,
    /// Records that were read and are stored as QBO has them, or newer.
    pub same: u64,
    /// Records that were counted and not read: QBO has as many as there are live rows and records in quarantine.
    pub counted: u64,
    /// Records that are in quarantine as QBO has them.
    pub quarantined: u64,
    /// Records of the span that are open in quarantine, neither resolved nor accepted.
    pub open_quarantine: u64,
    /// Records of which nothing is stored.
    pub missing: u64,
    /// Records that are stored in another version.
    pub changed: u64,
    /// Rows whose records QBO no longer has. Rows that were marked before are not searched for.
    pub gone: u64,
    /// Rows that this verification has marked as gone.
    pub marked: u64,
    /// Rows whose records were not met and could not be queried: they may be changed or gone.
    pub unknown: u64,
    /// Windows that could not be read.
    pub unread: u64,
    /// Whether the company does not have the entity at all.
    pub is_unavailable: bool,
    /// Whether rows that are gone were searched for: only a span that was read to its end can show them.
    pub looked_for_gone: bool,
    /// Windows to read again, so that nothing is missing or changed. The windows between two of them are included if they hold
    /// less than a page, because one request over both costs less than two.
    pub read_again: BTreeSet<Window>,
}

impl VerifiedPipeline {
    /// Creates an empty result.
    pub(crate) fn new(spec: &EntitySpec, span: Window) -> Self {
        Self {
            pipeline: spec.pipeline_name(),
            entity_name: spec.entity_name().into(),
            span,
            method: VerifyMethod::default(),
            same: 0,
            counted: 0,
            quarantined: 0,
            open_quarantine: 0,
            missing: 0,
            changed: 0,
            gone: 0,
            marked: 0,
            unknown: 0,
            unread: 0,
            is_unavailable: false,
            looked_for_gone: false,
            read_again: BTreeSet::new(),
        }
    }

    /// Adds what was compared of the pipeline; keeps the method and the numbers of what was counted.
    pub(crate) fn with_compared(self, compared: Vec<Self>) -> Self {
        let Some(compared) = compared.into_iter().next() else { return self };
        Self {
            method: self.method,
            counted: self.counted,
            gone: self.gone + compared.gone,
            marked: self.marked + compared.marked,
            ..compared
        }
    }

    /// What is kept of the result.
    pub(crate) fn record(&self, id: &RunId, calls: u64, at: OffsetDateTime) -> VerificationRecord {
        let is_incomplete = self.unread > 0 || self.unknown > 0 || !self.looked_for_gone;
        VerificationRecord {
            id: id.clone(),
            entity_name: self.entity_name.clone(),
            method: self.method,
            span: self.span,
            result: match (self.missing + self.changed, is_incomplete) {
                (1.., _) => VerifyResult::Differs,
                (_, true) => VerifyResult::Incomplete,
                (_, false) => VerifyResult::Confirmed,
            },
            counted: self.counted,
            same: self.same,
            missing: self.missing,
            changed: self.changed,
            gone: self.gone,
            marked: self.marked,
            calls,
            at,
        }
    }

    /// Whether everything that QBO has is stored or kept as QBO has it. Rows of records that are gone are kept and prove
    /// nothing wrong; records that are open in quarantine are kept and reported separately.
    pub fn agrees(&self) -> bool {
        self.missing == 0 && self.changed == 0 && self.unknown == 0 && self.unread == 0
    }
}
