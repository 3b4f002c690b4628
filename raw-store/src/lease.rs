/// The right to write for one pipeline, held by one process at a time.
///
/// The epoch grows with every new owner, and every page transaction checks it: a process that lost its lease
/// while it slept commits nothing (a fencing token).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The pipeline's `entity_name`.
    pub entity_name: Box<str>,
    /// Number of this ownership, from 1.
    pub epoch: i64,
}
