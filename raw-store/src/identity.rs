//! Identifies what is stored: the pipeline that writes a table, and the company that a schema belongs to.

use std::fmt;

use crate::TableName;

/// The raw table that one pipeline writes to, and the names that its log lines are found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pipeline {
    /// Name of the pipeline in `raw.backfill_log.entity_name`, such as `invoices`.
    pub entity_name: Box<str>,
    /// Raw table that receives the rows, such as `qb_invoices`.
    pub table: TableName,
    /// What the windows measure, such as `updated`. Windows of different axes have separate log lines.
    pub time_axis: Box<str>,
}

/// The company whose documents a schema holds. Ids of different companies collide, so a schema is bound to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreIdentity {
    /// Id of the company at the source.
    pub realm_id: Box<str>,
    /// Environment of the source that the company belongs to, such as `sandbox`.
    pub environment: Box<str>,
}

impl fmt::Display for StoreIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "company {} ({})", self.realm_id, self.environment)
    }
}
