use crate::{Pipeline, RunId};

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

/// Who changes the log of a pipeline: a run, by right of a lease. Without the lease nothing is changed.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The run.
    pub run: &'a RunId,
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// The right to write for it.
    pub lease: &'a Lease,
    /// A right without which the run opens no windows, if it is part of something larger; see
    /// [`crate::RunStart::fence`].
    pub fence: Option<&'a Lease>,
}
