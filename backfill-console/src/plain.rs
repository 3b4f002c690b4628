//! Text from outside, shown as text.

use std::fmt;

use backfill_report::untrusted::Untrusted;

/// Text that this program did not write: names, reasons, messages. It is one line without characters that a browser obeys;
/// the template escapes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plain(String);

impl Plain {
    pub(crate) fn new(text: &str) -> Self {
        Self(Untrusted(text).to_string())
    }

    /// Whether there is nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Plain {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
