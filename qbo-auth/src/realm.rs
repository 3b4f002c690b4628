//! The id of a company.

use std::fmt;
use std::str::FromStr;

/// The numeric id that Intuit gives to one company (`realmId` in the OAuth redirect).
///
/// Invariant: 1 to 32 ASCII digits, so it needs no escaping in a URL path.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RealmId(Box<str>);

/// The text is not 1 to 32 ASCII digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a realm id is 1 to 32 digits")]
pub struct InvalidRealmId;

impl RealmId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RealmId {
    type Err = InvalidRealmId;

    fn from_str(text: &str) -> Result<Self, InvalidRealmId> {
        let digits = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if !digits {
            return Err(InvalidRealmId);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for RealmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RealmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RealmId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_to_thirty_two_ascii_digits_make_a_realm() {
        let check = |text: &str, valid: bool| {
            assert_eq!(text.parse::<RealmId>().map(|r| r.to_string()).ok().as_deref() == Some(text), valid);
        };
        check("9", true);
        check("4620816365000000000", true);
        check(&"1".repeat(32), true);
        check(&"1".repeat(33), false);
        check("", false);
        check("12/34", false);
        check(" 1", false);
        check("١٢٣", false);
    }
}
