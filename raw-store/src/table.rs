//! Validated names of schemas and tables, which need no escaping in SQL.

use std::fmt;
use std::str::FromStr;

/// The longest name: PostgreSQL truncates identifiers at 63 bytes, and indexes add a suffix to ours.
const LONGEST: usize = 48;

/// A text that is not a valid [`SchemaName`] or [`TableName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name is 1 to 48 characters: lower-case letters, digits and underscores, not starting with a digit or pg_"
)]
pub struct InvalidName;

fn checked(name: &str) -> Result<Box<str>, InvalidName> {
    let first = name.bytes().next().ok_or(InvalidName)?;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let sound = name.len() <= LONGEST
        && !first.is_ascii_digit()
        && name.bytes().all(allowed)
        && !name.starts_with("pg_");
    if sound { Ok(name.into()) } else { Err(InvalidName) }
}

/// A PostgreSQL schema that holds the rows of one company.
///
/// Invariant: lower-case letters, digits and underscores only, so the name needs no escaping inside quotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaName(Box<str>);

/// A raw table, without its schema. It has the same invariant as [`SchemaName`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName(Box<str>);

impl SchemaName {
    /// The name as it is written in SQL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `raw`, the schema that users name in their own queries.
impl Default for SchemaName {
    fn default() -> Self {
        Self("raw".into())
    }
}

impl TableName {
    /// The name as it is written in SQL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SchemaName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        checked(name).map(Self)
    }
}

impl FromStr for TableName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        checked(name).map(Self)
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{SchemaName, TableName};

    #[test]
    fn names_that_could_carry_sql_are_refused() {
        for bad in ["", "Raw", "raw;drop", "a\"b", "1raw", "pg_raw", "ra w", "räw", &"x".repeat(49)] {
            assert!(bad.parse::<SchemaName>().is_err(), "{bad}");
            assert!(bad.parse::<TableName>().is_err(), "{bad}");
        }
        assert_eq!("qb_invoices".parse::<TableName>().unwrap().as_str(), "qb_invoices");
    }
}
