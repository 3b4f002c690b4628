//! Records that differ between QuickBooks and the store.

use raw_store::Window;
use time::OffsetDateTime;

/// How a record differs between QuickBooks and the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MismatchKind {
    /// QuickBooks has the record; the store has nothing of it.
    Missing,
    /// QuickBooks has another version of the record than the store, and not an older one.
    Changed,
    /// The store has the record; QuickBooks no longer does.
    Gone,
}

impl MismatchKind {
    /// Returns the kind as a word: `missing`, `changed` or `gone`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Gone => "gone",
        }
    }
}

/// A record that differs between QuickBooks and the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The pipeline's name.
    pub pipeline: String,
    /// How the record differs.
    pub kind: MismatchKind,
    /// The record's id, if it has a usable one.
    pub id: Option<Box<str>>,
    /// The window to read again to repair the difference; `None` for a record that is gone.
    pub window: Option<Window>,
    /// When the record was deleted, if QuickBooks still knows.
    pub deleted_at: Option<OffsetDateTime>,
}
