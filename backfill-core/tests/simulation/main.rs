//! Deterministic simulation: the production engine, client, refresh and worker over fake seams, in one thread and in simulated
//! time. A seed decides everything, and repeats it bit for bit.
//!
//! See CONTRIBUTING.md for the commands. `SIM_SEED=n` runs one schedule and prints its timeline; `SIM_SCHEDULES=n` says how many
//! are run, from `SIM_FIRST=n` on.
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
mod reports;
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

/// As many as the gate runs, optimised. Unoptimised, as part of all tests, a sample is enough.
const SCHEDULES: u64 = if cfg!(debug_assertions) { 500 } else { 100_000 };

/// The number of schedules that are run twice.
const REPLAYED: u64 = if cfg!(debug_assertions) { 20 } else { 200 };

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
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

#[test]
fn a_hundred_thousand_schedules_keep_every_promise() {
    if let Some(seed) = setting("SIM_SEED") {
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
        let Ended { broken, met: pairs, .. } = schedule::run(Profile::draw(seed), false);
        met.lock().unwrap().extend(pairs);
        let Some(broken) = broken else { return false };
        failed.lock().unwrap().get_or_insert((seed, broken));
        true
    });
    if let Some((seed, broken)) = failed.into_inner().unwrap() {
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
fn a_seed_replays_bit_for_bit() {
    on_all_cores(REPLAYED, |seed| {
        let digest = || schedule::run(Profile::draw(seed), false).digest;
        assert_eq!(digest(), digest(), "seed {seed}");
        false
    });
}
