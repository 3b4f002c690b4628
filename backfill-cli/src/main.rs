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
    let outcome = args::parse().and_then(command::dispatch);
    exit::report(outcome)
}
