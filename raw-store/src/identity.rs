use std::fmt;

use crate::TableName;

/// Where one pipeline lands, and how its log lines are found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pipeline {
    /// The name in `raw.backfill_log.entity_name`, such as `invoices`.
    pub entity_name: Box<str>,
    /// The raw table, such as `qb_invoices`.
    pub table: TableName,
    /// What the windows measure, such as `updated`. Windows of different axes are different log lines.
    pub time_axis: Box<str>,
}

/// The company whose documents a schema holds. Ids of different companies collide, so a schema has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreIdentity {
    /// The company's id at the source.
    pub realm_id: Box<str>,
    /// Which of the source's worlds the company lives in, such as `sandbox`.
    pub environment: Box<str>,
}

impl fmt::Display for StoreIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "company {} ({})", self.realm_id, self.environment)
    }
}
