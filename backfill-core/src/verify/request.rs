//! What a verification is asked for.

use crate::plan::RunRequest;

/// A verification to make: the span to read, and what to write about it.
#[derive(Clone, Debug)]
pub struct VerifyRequest {
    /// Span, pipelines and limits. The axis, the proof and `reopen` have no effect.
    pub run: RunRequest,
    /// Whether rows whose records are gone are marked. This needs the lease of each pipeline with such rows.
    pub marks_gone: bool,
}

impl VerifyRequest {
    /// Creates a verification that changes no row.
    pub fn new(run: RunRequest) -> Self {
        Self { run, marks_gone: false }
    }

    /// Sets whether rows whose records are gone are marked.
    #[must_use]
    pub fn with_marks(self, marks_gone: bool) -> Self {
        Self { marks_gone, ..self }
    }
}

/// A verification that changes no row.
impl From<RunRequest> for VerifyRequest {
    fn from(run: RunRequest) -> Self {
        Self::new(run)
    }
}
