//! What a verification is asked for.

use raw_store::Window;

use super::outcome::VerifyMethod;
use crate::catalog::EntitySpec;
use crate::plan::RunRequest;

/// A verification to make: the span to read, and what to write about it.
#[derive(Clone, Debug)]
pub struct VerifyRequest {
    /// Span, pipelines and limits. The axis, the proof and `reopen` have no effect.
    pub run: RunRequest,
    /// Whether rows whose records are gone are marked. This needs the lease of each pipeline with such rows.
    pub marks_gone: bool,
    /// Whether every record is read, or only those in windows whose number of records differs.
    pub method: VerifyMethod,
}

impl VerifyRequest {
    /// Creates a verification that changes no row.
    pub fn new(run: RunRequest) -> Self {
        Self { run, marks_gone: false, method: VerifyMethod::Compared }
    }

    /// Sets whether rows whose records are gone are marked.
    #[must_use]
    pub fn with_marks(self, marks_gone: bool) -> Self {
        Self { marks_gone, ..self }
    }

    /// Sets how the records are verified.
    #[must_use]
    pub fn with_method(self, method: VerifyMethod) -> Self {
        Self { method, ..self }
    }

    /// The same verification for some windows of one pipeline.
    pub(super) fn only(&self, spec: &EntitySpec, windows: Vec<Window>) -> Self {
        let chosen = Some([(spec.entity_name().into(), windows)].into());
        let run = RunRequest { entities: vec![spec.clone()], chosen, ..self.run.clone() };
        Self { run, ..self.clone() }
    }
}

/// A verification that changes no row.
impl From<RunRequest> for VerifyRequest {
    fn from(run: RunRequest) -> Self {
        Self::new(run)
    }
}
