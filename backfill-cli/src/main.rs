//! `qbo-backfill`: brings a QuickBooks Online company's history into PostgreSQL.

/// Marks a named point, see the module `points`.
macro_rules! point {
    ($name:literal) => {
        #[cfg(feature = "points")]
        crate::points::reached($name);
    };
}

mod args;
#[path = "secrets/provided.rs"]
mod bootstrap;
#[path = "oauth_callback.rs"]
mod callback;
mod command;
#[path = "app.rs"]
mod compose;
#[path = "secrets/lineage.rs"]
mod consent;
#[path = "service/listener.rs"]
mod doorway;
#[path = "output/event.rs"]
mod event;
#[path = "output/exit.rs"]
mod exit;
#[path = "config/file_system.rs"]
mod file_system;
#[path = "output/foreign.rs"]
mod foreign;
#[path = "service/metrics.rs"]
mod gauges;
#[path = "service/health.rs"]
mod health;
mod instant;
mod interrupt;
#[path = "output/event_log.rs"]
mod journal;
#[path = "secrets/keyring.rs"]
mod keyring;
#[path = "output/logging.rs"]
mod logging;
mod output;
#[path = "output/paint.rs"]
mod paint;
#[path = "database/pgpass.rs"]
mod passfile;
#[path = "config/profile.rs"]
mod profile;
#[path = "output/progress.rs"]
mod progress;
#[path = "config/proxy.rs"]
mod proxy;
#[path = "args/secret_args.rs"]
mod refused;
mod render;
#[path = "secrets/text.rs"]
mod secret_text;
mod secrets;
#[path = "config/settings.rs"]
mod settings;
#[path = "secrets/postgres.rs"]
mod shared_vault;
#[cfg(feature = "embedded")]
#[path = "database/shell.rs"]
mod shell;
#[path = "config/trusted.rs"]
mod trusted;
#[path = "secrets/prompt.rs"]
mod typed;
#[path = "secrets/unlock.rs"]
mod unlock;
#[path = "args/words.rs"]
mod words;
#[cfg(feature = "embedded")]
#[path = "database/private.rs"]
mod embedded;
#[cfg(feature = "points")]
#[path = "failpoints.rs"]
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
