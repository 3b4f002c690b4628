//! The name of a trigger and its states.

use std::fmt;
use std::str::FromStr;

/// The name of a trigger: 1 to 80 ASCII letters, digits, dots, dashes and underscores.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TriggerName(Box<str>);

/// A text that is not a valid [`TriggerName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a trigger's name is 1 to 80 letters, digits, dots, dashes and underscores")]
pub struct InvalidTriggerName;

impl TriggerName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TriggerName {
    type Err = InvalidTriggerName;

    fn from_str(text: &str) -> Result<Self, InvalidTriggerName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let sound = (1..=80).contains(&text.len()) && text.bytes().all(allowed);
        if sound { Ok(Self(text.into())) } else { Err(InvalidTriggerName) }
    }
}

impl fmt::Display for TriggerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// State of a trigger. The words are those of `raw.backfill_trigger.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TriggerState {
    /// Armed: it will fire once.
    Armed,
    /// Fired: its run is in progress, or waits for a worker to resume it.
    Running,
    /// Its run was completed.
    Done,
    /// Its run ended with something missing.
    Failed,
    /// It was cancelled, or its run was stopped, by a person.
    Cancelled,
    /// Its time passed without a worker, and it was not allowed to be late.
    Expired,
}

words! {
    TriggerState {
        Armed => "armed",
        Running => "running",
        Done => "done",
        Failed => "failed",
        Cancelled => "cancelled",
        Expired => "expired",
    }
}

impl TriggerState {
    /// Whether the trigger does nothing more unless it is armed again.
    pub fn is_spent(self) -> bool {
        !matches!(self, Self::Armed | Self::Running)
    }
}
