//! Event sinks of a run: progress for people, NDJSON for programs, and the log of the process.

pub(crate) mod event_log;
pub(crate) mod progress;
pub(crate) mod stored_events;

mod bar;
