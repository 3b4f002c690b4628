pub(super) mod query;
pub(super) mod runs;
pub(super) mod windows;
