//! The lease that lets one process write for a pipeline.

/// The right to write for one pipeline, held by one process at a time.
///
/// The epoch is a fencing token: it grows with every new owner, and every page transaction checks it, so a process that lost
/// its lease while it slept commits nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Name of the pipeline in the log (`entity_name`).
    pub entity_name: Box<str>,
    /// Number of this ownership, counted from 1.
    pub epoch: i64,
}
