//! How QuickBooks and the store disagree about a record.

use raw_store::Window;
use time::OffsetDateTime;

/// How QuickBooks and the store disagree about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MismatchKind {
    /// QBO has it; nothing of it is stored.
    Missing,
    /// QBO has it in another version than the one that is stored, and not in an older one.
    Changed,
    /// It is stored; QBO does not have it any more.
    Gone,
}

impl MismatchKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Gone => "gone",
        }
    }
}

/// A record about which QuickBooks and the store disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The pipeline's name.
    pub pipeline: String,
    /// How.
    pub kind: MismatchKind,
    /// The record's id, where it has a usable one.
    pub id: Option<Box<str>>,
    /// The window to read again for it; none for what is gone.
    pub window: Option<Window>,
    /// When it was deleted, where QBO still knows that it was.
    pub deleted_at: Option<OffsetDateTime>,
}
