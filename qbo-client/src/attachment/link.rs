//! A link that opens a file.

use std::fmt;

/// A link that opens a file for whoever has it, for 15 minutes. It is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct FileLink(Box<str>);

impl FileLink {
    /// Wraps the text of a link.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text of the link, for the request that uses it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Shows that there is a link, and nothing of it.
impl fmt::Debug for FileLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileLink(redacted)")
    }
}
