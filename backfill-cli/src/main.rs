//! `qbo-backfill`: brings a QuickBooks Online company's history into PostgreSQL.

mod app;
mod args;
mod command;
mod config;
mod database;
#[cfg(feature = "points")]
mod failpoints;
mod instant;
mod interrupt;
mod oauth_callback;
mod output;
mod logging;
mod secrets;
mod service;
mod shutdown;
mod sinks;
mod time_zone;

fn main() -> std::process::ExitCode {
    output::exit::hide_panics();
    keep_to_itself();
    #[cfg(feature = "points")]
    failpoints::arm();
    let outcome = output::exit::guarded(|| args::parse().and_then(command::dispatch));
    output::exit::report(outcome)
}

/// What this process has seen of secrets stays in it: no core file is left, and on Linux no other process of the same
/// user may attach or read its memory.
fn keep_to_itself() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Where the system does not allow it, its own rules stand.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
