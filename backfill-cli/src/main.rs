//! `qbo-backfill`: brings a QuickBooks Online company's history into PostgreSQL.

mod args;
mod bootstrap;
mod callback;
mod command;
mod compose;
mod consent;
mod exit;
mod file_system;
mod instant;
mod logging;
mod passfile;
mod progress;
mod refused;
mod render;
mod secrets;
mod settings;
mod shared_vault;
mod unlock;
#[cfg(feature = "embedded")]
mod embedded;

fn main() -> std::process::ExitCode {
    exit::hide_panics();
    leave_no_core();
    let outcome = exit::guarded(|| args::parse().and_then(command::dispatch));
    exit::report(outcome)
}

/// A core file would hold every secret that this process has seen.
fn leave_no_core() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Where the system does not allow it, its own limit stands.
    let _ = setrlimit(Resource::Core, none);
}
