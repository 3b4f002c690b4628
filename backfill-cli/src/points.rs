//! Breaks the process at a named point, as `QBO_BACKFILL_POINT` says: `NAME=abort`, `NAME=panic:MESSAGE`, or
//! `NAME=print:MESSAGE`, which is the leak that a test must find. For tests only: without the feature `points` there is
//! nothing of it.

use std::sync::OnceLock;
use std::time::Duration;

use raw_store::DatabaseOptions;

/// The point, and what happens there.
static POINT: OnceLock<(String, String)> = OnceLock::new();

/// Reads the variable.
#[expect(clippy::disallowed_methods, reason = "no setting: only a build for tests has it")]
pub(crate) fn arm() {
    let variable = std::env::var("QBO_BACKFILL_POINT").unwrap_or_default();
    if let Some((name, act)) = variable.split_once('=') {
        let _ = POINT.set((name.to_owned(), act.to_owned()));
        qbo_auth::at_every_point(reached);
    }
}

/// Lets leases last as long as `QBO_BACKFILL_LEASE_SECONDS` says, so that a test need not wait a minute for one to run out.
#[expect(clippy::disallowed_methods, reason = "no setting: only a build for tests has it")]
pub(crate) fn with_lease_time(options: DatabaseOptions) -> DatabaseOptions {
    match std::env::var("QBO_BACKFILL_LEASE_SECONDS").ok().and_then(|seconds| seconds.parse().ok()) {
        Some(seconds) => options.with_lease_time(Duration::from_secs(seconds)),
        None => options,
    }
}

fn reached(name: &str) {
    match POINT.get() {
        Some((wanted, act)) if wanted == name => match act.split_once(':') {
            Some(("panic", message)) => panic!("{message}"),
            Some(("print", message)) => crate::render::say(message),
            _ => std::process::abort(),
        },
        _ => {}
    }
}
