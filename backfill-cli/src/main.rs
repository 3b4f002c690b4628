//! `qbo-backfill`: brings a QuickBooks Online company's history into PostgreSQL.

/// Marks a named point, see the module `points`.
macro_rules! point {
    ($name:literal) => {
        #[cfg(feature = "points")]
        crate::points::reached($name);
    };
}

mod args;
mod bootstrap;
mod callback;
mod command;
mod compose;
mod consent;
mod doorway;
mod event;
mod exit;
mod file_system;
mod foreign;
mod gauges;
mod health;
mod instant;
mod interrupt;
mod journal;
mod keyring;
mod logging;
mod output;
mod paint;
mod passfile;
mod profile;
mod progress;
mod proxy;
mod refused;
mod render;
mod secret_text;
mod secrets;
mod settings;
mod shared_vault;
#[cfg(feature = "embedded")]
mod shell;
mod trusted;
mod typed;
mod unlock;
mod words;
#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "points")]
mod points;

fn main() -> std::process::ExitCode {
    exit::hide_panics();
    keep_to_itself();
    #[cfg(feature = "points")]
    points::arm();
    let outcome = exit::guarded(|| args::parse().and_then(command::dispatch));
    exit::report(outcome)
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
