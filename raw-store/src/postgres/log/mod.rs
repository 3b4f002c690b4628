//! The backfill log: runs, the windows that they read, and queries over both.

pub(super) mod query;
pub(super) mod runs;
pub(super) mod windows;
