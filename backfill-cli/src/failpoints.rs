//! Breaks the process at a named point, for tests. `QBO_BACKFILL_POINT` is `NAME=abort`, `NAME=stop` (freezes once),
//! `NAME=panic:MESSAGE`, or `NAME=print:MESSAGE`, a leak that a test must find. `NAME@2=…` acts from the second pass on.
//! Only the feature `points` compiles this.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use raw_store::DatabaseOptions;

static POINT: OnceLock<Point> = OnceLock::new();

/// A point, the passes before it acts, and the action.
struct Point {
    name: String,
    harmless: u32,
    passes: AtomicU32,
    act: String,
}

/// Reads the variable.
#[expect(clippy::disallowed_methods, reason = "no setting: only a build for tests has it")]
pub(crate) fn arm() {
    let variable = std::env::var("QBO_BACKFILL_POINT").unwrap_or_default();
    if let Some((point, act)) = variable.split_once('=') {
        let (name, pass) = point.split_once('@').unwrap_or((point, "1"));
        let harmless = pass.parse::<u32>().expect("the number of a pass") - 1;
        let (name, act) = (name.to_owned(), act.to_owned());
        let _ = POINT.set(Point { name, harmless, passes: AtomicU32::new(0), act });
        failpoint::at_every_point(reached);
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
    let Some(point) = POINT.get().filter(|point| point.name == name) else { return };
    let passes = point.passes.fetch_add(1, Ordering::Relaxed);
    if passes < point.harmless {
        return;
    }
    match point.act.split_once(':') {
        Some(("panic", message)) => panic!("{message}"),
        Some(("print", message)) => crate::output::print::say(message),
        _ if point.act == "stop" && passes == point.harmless => freeze(),
        _ if point.act == "stop" => {}
        _ => std::process::abort(),
    }
}

/// Stops the process until it receives SIGCONT.
fn freeze() {
    use rustix::process::{Signal, getpid, kill_process};
    let _ = kill_process(getpid(), Signal::STOP);
    // The signal reaches this thread a moment later; the thread must not continue before that.
    std::thread::sleep(Duration::from_millis(100));
}
