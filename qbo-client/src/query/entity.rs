//! The validated name of a QBO entity.

use std::fmt;
use std::str::FromStr;

/// A QBO object type in Intuit's own spelling, such as `Invoice`. Entities are an open set: the caller knows which ones exist.
///
/// Invariant: 1 to 64 ASCII letters, the first one upper case, so that the name needs no escaping in a query.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityName(Box<str>);

/// A text that is not a valid [`EntityName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entity name is 1 to 64 letters and starts with a capital, such as Invoice")]
pub struct InvalidEntityName;

impl EntityName {
    /// The name as Intuit spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EntityName {
    type Err = InvalidEntityName;

    fn from_str(text: &str) -> Result<Self, InvalidEntityName> {
        let sound = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphabetic())
            && text.as_bytes()[0].is_ascii_uppercase();
        if sound { Ok(Self(text.into())) } else { Err(InvalidEntityName) }
    }
}

impl fmt::Display for EntityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::EntityName;

    #[test]
    fn a_name_that_could_carry_a_query_is_refused() {
        for bad in ["", "invoice", "Invoice WHERE", "Invoice;", "Factura\u{e9}", "In'voice"] {
            assert!(bad.parse::<EntityName>().is_err(), "{bad}");
        }
        assert_eq!("CreditMemo".parse::<EntityName>().unwrap().as_str(), "CreditMemo");
    }
}
