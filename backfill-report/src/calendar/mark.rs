//! How a span of time is marked in a calendar or a bar.

use raw_store::WindowState;

/// How a span of time is marked. The order is that of importance: of several, the last one prevails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// The company does not have it.
    Unavailable,
    /// Read to the end without a record, and confirmed by a count.
    Empty,
    /// Read to the end with records, and confirmed by a count.
    Confirmed,
    /// Read to the end, and not confirmed by a count.
    Unconfirmed,
    /// Read so near to its end that it is read once more.
    Provisional,
    /// Not read to the end, or never planned.
    Open,
    /// Failed.
    Failed,
}

impl Mark {
    /// The mark of windows in one state.
    pub fn new(state: WindowState, counted: bool, records: u64) -> Self {
        match state {
            WindowState::Failed => Self::Failed,
            WindowState::Pending | WindowState::Running => Self::Open,
            WindowState::Provisional => Self::Provisional,
            WindowState::Unavailable => Self::Unavailable,
            WindowState::Completed if !counted => Self::Unconfirmed,
            WindowState::Completed if records == 0 => Self::Empty,
            WindowState::Completed => Self::Confirmed,
        }
    }

    /// The class by which the style sheet knows it.
    pub fn class(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Empty => "empty",
            Self::Confirmed => "l3",
            Self::Unconfirmed => "unproven",
            Self::Provisional => "provisional",
            Self::Open => "open",
            Self::Failed => "failed",
        }
    }

    /// The sign that says the same without colour.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Unavailable => "—",
            Self::Empty | Self::Confirmed | Self::Open => "",
            Self::Unconfirmed => "?",
            Self::Provisional => "~",
            Self::Failed => "✕",
        }
    }
}
