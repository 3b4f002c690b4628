//! The name under which a person's acts are recorded.

use std::fmt;
use std::str::FromStr;

/// The most characters of a name.
const LONGEST: usize = 40;

/// The name that a person signs in with: 1 to 40 letters, digits, and `. - _ @`, in any script. It says under which name acts
/// are recorded, and is no proof of identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PersonName(Box<str>);

/// A text that is not a [`PersonName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPersonName;

impl fmt::Display for InvalidPersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name is 1 to 40 letters, digits, dots, dashes, underscores and @")
    }
}

impl std::error::Error for InvalidPersonName {}

impl PersonName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PersonName {
    type Err = InvalidPersonName;

    fn from_str(text: &str) -> Result<Self, InvalidPersonName> {
        let text = text.trim();
        let allowed = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_' | '@');
        let sound = (1..=LONGEST).contains(&text.chars().count()) && text.chars().all(allowed);
        if sound { Ok(Self(text.into())) } else { Err(InvalidPersonName) }
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
