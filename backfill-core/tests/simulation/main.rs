//! Deterministic simulation: the production engine, client, refresh and worker over fake seams, in one thread and in simulated
//! time. A seed decides everything, and repeats it bit for bit.
//!
//! See CONTRIBUTING.md for the commands. `SIM_SEED=n` runs one schedule and prints its timeline; `SIM_SCHEDULES=n` says how many
//! are run, from `SIM_FIRST=n` on; `SIM_BUG=name` plants one bug.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may panic and print, and it is what the disallowed methods stand for: it makes the time, and reads its settings"
)]

mod disk;
mod ledger;
mod process;
mod profile;
mod schedule;
mod shrink;
mod source;
mod store;
mod tokens;
mod world;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use profile::Profile;
use schedule::Ended;

/// As many as CI runs.
const SCHEDULES: u64 = 100_000;

/// Within so many schedules each planted bug has to be caught.
const CAUGHT_WITHIN: u64 = 20_000;

/// Each planted where it would be made; and where a second safeguard makes up for it, in that as well.
const BUGS: [&str; 34] = [
    "offset paging",
    "no anchor",
    "time of the transaction's start",
    "epoch checked outside",
    "ledger in a second transaction",
    "close without check",
    "torn page taken as end",
    "fault taken as empty",
    "refresh inside the caller",
    "persist after wake",
    "no re-read",
    "old token after new",
    "guard lets equal versions in",
    "sync token as text",
    "window end inclusive",
    "lease renewed by a stale owner",
    "trigger claimed outside",
    "pause of one",
    "slots kept over sleep",
    "commit assumed failed",
    "quarantine uncounted",
    "realm unchecked",
    "intent kept",
    "breaker never closing",
    "empty answer believed",
    "source clock believed",
    "claims of rows believed",
    "page on top of anything",
    "completeness from memory",
    "dropped rows taken for unchanged",
    "clock never set back",
    "odd time believed",
    "count of another log",
    "silent part believed",
];

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn plant(bug: Option<&'static str>) {
    qbo_auth::planted::plant(bug);
    raw_store::planted::plant(bug);
}

/// Runs schedules on all cores until one of them says to stop.
fn on_all_cores(count: u64, each: impl Fn(u64) -> bool + Sync) {
    let next = AtomicU64::new(setting("SIM_FIRST").unwrap_or(0));
    let end = next.load(Ordering::Relaxed) + count;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    if each(seed) {
                        next.store(end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

fn bug_by_name() -> Option<&'static str> {
    let wanted = std::env::var("SIM_BUG").ok()?;
    Some(*BUGS.iter().find(|bug| **bug == wanted).expect("a bug of the list"))
}

#[test]
fn a_hundred_thousand_schedules_keep_every_promise() {
    let bug = bug_by_name();
    if let Some(seed) = setting("SIM_SEED") {
        plant(bug);
        let ended = schedule::run(Profile::draw(seed), true);
        println!("{:#?}\n{}", Profile::draw(seed), ended.timeline);
        assert_eq!(ended.broken, None);
        return;
    }
    let met = Mutex::new(BTreeSet::new());
    let failed = Mutex::new(None);
    let began = std::time::Instant::now();
    let count = setting("SIM_SCHEDULES").unwrap_or(SCHEDULES);
    on_all_cores(count, |seed| {
        plant(bug);
        let Ended { broken, met: pairs, .. } = schedule::run(Profile::draw(seed), false);
        met.lock().unwrap().extend(pairs);
        let Some(broken) = broken else { return false };
        failed.lock().unwrap().get_or_insert((seed, broken));
        true
    });
    if let Some((seed, broken)) = failed.into_inner().unwrap() {
        plant(bug);
        shrink::tell(seed, &broken);
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{count} schedules in {seconds:.1} s");
    tell_coverage(&met.into_inner().unwrap());
}

/// How many pairs of a step and what may become of it were met, and which were not.
fn tell_coverage(met: &BTreeSet<(&'static str, &'static str)>) {
    let steps: BTreeSet<_> = met.iter().map(|(step, _)| step).collect();
    let fates: BTreeSet<_> = met.iter().map(|(_, fate)| fate).collect();
    println!("steps by fates met: {} of {} by {}", met.len(), steps.len(), fates.len());
    for step in steps {
        let missing: Vec<_> = fates.iter().filter(|fate| !met.contains(&(*step, **fate))).collect();
        if !missing.is_empty() {
            println!("    not met: {step} {missing:?}");
        }
    }
}

#[test]
fn every_planted_bug_is_caught() {
    let only = bug_by_name();
    let mut missed = Vec::new();
    let mut needed = Vec::new();
    for bug in BUGS.into_iter().filter(|bug| only.is_none_or(|only| only == *bug)) {
        let caught = Mutex::new(None::<(u64, world::Broken)>);
        on_all_cores(CAUGHT_WITHIN, |seed| {
            plant(Some(bug));
            let broken = schedule::run(Profile::draw(seed), false).broken;
            let Some(broken) = broken else { return false };
            caught.lock().unwrap().get_or_insert((seed, broken));
            true
        });
        if let Some((seed, broken)) = caught.into_inner().unwrap() {
            println!("{bug:<34} {seed:>6}  {} {}", broken.invariant, broken.how);
            needed.push(seed);
        } else {
            println!("{bug:<34} missed");
            missed.push(bug);
        }
    }
    plant(None);
    needed.sort_unstable();
    println!("median: schedule {}", needed.get(needed.len() / 2).copied().unwrap_or_default());
    assert!(missed.is_empty(), "not caught within {CAUGHT_WITHIN} schedules: {missed:?}");
}

#[test]
fn a_seed_replays_bit_for_bit() {
    on_all_cores(200, |seed| {
        plant(None);
        let digest = || schedule::run(Profile::draw(seed), false).digest;
        assert_eq!(digest(), digest(), "seed {seed}");
        false
    });
}
