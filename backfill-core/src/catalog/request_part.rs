//! The parts of a request that QuickBooks may refuse for an entity, and what it means to leave them out.

use std::fmt;

use super::time_axis::Axis;

/// A part of a request that can be left out if QuickBooks refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestPart {
    /// The wish for all custom fields. Without it, records may have only some of them.
    CustomFields,
    /// Columns beside `*`. Without them, records lack these.
    Columns,
    /// The order of the records. Without it, a range is read in parts that fit into a page.
    Order,
    /// The wish for inactive records. Without it, QuickBooks may leave them out.
    Active,
    /// The range of time. Without it, the entity is read whole.
    Time,
}

impl RequestPart {
    /// All parts, in the order in which they are left out: the first ones lose the least.
    pub(crate) const ALL: [Self; 5] =
        [Self::CustomFields, Self::Columns, Self::Order, Self::Active, Self::Time];

    /// Returns the part as a word, such as `custom_fields`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CustomFields => "custom_fields",
            Self::Columns => "columns",
            Self::Order => "order",
            Self::Active => "active",
            Self::Time => "time",
        }
    }

    /// Returns what leaving out the part means, as the end of a sentence about the refusal.
    pub fn consequence(self) -> &'static str {
        match self {
            Self::CustomFields => {
                "QuickBooks refuses to send all custom fields, so records may have only some"
            }
            Self::Columns => "QuickBooks refuses columns beside *, so records lack them",
            Self::Order => "QuickBooks refuses to sort them, so they are read in parts that fit into a page",
            Self::Active => "QuickBooks refuses to be asked for inactive ones, so these may be missing",
            Self::Time => "QuickBooks refuses to be asked by time, so they are read as a whole",
        }
    }

    /// The part as it is remembered. Order and range name the time that windows measure: one time can be refused, and another
    /// one accepted.
    pub(super) fn remembered_as(self, axis: Axis) -> String {
        match self {
            Self::CustomFields | Self::Columns | Self::Active => self.as_str().to_owned(),
            Self::Order | Self::Time => format!("{self} by {axis}"),
        }
    }
}

impl fmt::Display for RequestPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
