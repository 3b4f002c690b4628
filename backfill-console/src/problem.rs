//! What keeps a page from being shown, in two sentences for a person.

/// Something that a person has to know: what happened, and what to do next. Both are whole sentences, without secrets and
/// without text of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What happened.
    pub what: String,
    /// What to do next, such as the command to run.
    pub next: String,
}

impl Problem {
    /// Combines what happened with what to do next.
    pub fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into() }
    }
}
