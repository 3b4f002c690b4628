//! What a verification found.

use std::collections::BTreeSet;

use qbo_client::Usage;
use raw_store::Window;

use crate::catalog::EntitySpec;
use crate::error::RunError;

/// What a verification found.
#[derive(Debug)]
pub struct Verification {
    /// Each pipeline, in the order asked for.
    pub pipelines: Vec<VerifiedPipeline>,
    /// What it cost.
    pub usage: Usage,
    /// What stopped it, if something did: then the numbers are those of what was compared until then.
    pub failure: Option<RunError>,
}

/// What a verification found of one pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPipeline {
    /// The pipeline's name.
    pub pipeline: String,
    /// Its name in the log.
    pub entity_name: Box<str>,
    /// When the records that were compared were last updated.
    pub span: Window,
    /// Records that are stored as QBO has them, or newer.
    pub same: u64,
    /// Records that are in quarantine as QBO has them.
    pub quarantined: u64,
    /// Records of the span that are open in quarantine: neither resolved nor accepted.
    pub open_quarantine: u64,
    /// Records of which nothing is stored.
    pub missing: u64,
    /// Records that are stored in another version.
    pub changed: u64,
    /// Rows whose records QBO does not have any more.
    pub gone: u64,
    /// Rows that were not met, and whose records could not be asked for: they may be changed or gone.
    pub unknown: u64,
    /// Windows that could not be read.
    pub unread: u64,
    /// Whether the company does not have the entity at all.
    pub is_unavailable: bool,
    /// Whether it was looked for rows that are gone: only what was read to its end can show it.
    pub looked_for_gone: bool,
    /// Windows to read again, so that nothing is missing or changed; with those between them that hold less than a page, for
    /// one question over both costs less than two.
    pub read_again: BTreeSet<Window>,
}

impl VerifiedPipeline {
    /// Nothing yet.
    pub(crate) fn new(spec: &EntitySpec, span: Window) -> Self {
        Self {
            pipeline: spec.pipeline_name(),
            entity_name: spec.entity_name().into(),
            span,
            same: 0,
            quarantined: 0,
            open_quarantine: 0,
            missing: 0,
            changed: 0,
            gone: 0,
            unknown: 0,
            unread: 0,
            is_unavailable: false,
            looked_for_gone: false,
            read_again: BTreeSet::new(),
        }
    }

    /// Whether everything that QBO has is stored or kept as it has it. Rows of records that are gone are kept and prove
    /// nothing wrong; what is open in quarantine is kept, and a matter of its own.
    pub fn agrees(&self) -> bool {
        self.missing == 0 && self.changed == 0 && self.unknown == 0 && self.unread == 0
    }
}
