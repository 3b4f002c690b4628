//! The binary `qbo-backfill`, which brings a QuickBooks Online company's history into PostgreSQL.

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

/// Keeps secrets in the memory of this process: it leaves no core file, and on Linux no other process of the same user may
/// attach to it or read its memory.
fn keep_to_itself() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // If the system does not allow this, its defaults apply.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
