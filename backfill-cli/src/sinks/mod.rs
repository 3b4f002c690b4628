//! Listeners to the events of a run: the progress bar for people, NDJSON for programs, and the process's log.

pub(crate) mod event_log;
pub(crate) mod progress;
