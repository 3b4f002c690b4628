//! Four processes on one company in which people work, killed over and over at random moments.

use std::fs::File;
use std::process::{Child, Stdio};
use std::time::Duration;

use fastrand::Rng;
use fixtures::{Drift, Enforce, OauthOptions, QuotaOptions, Rotation, SandboxOptions, Shape};

use crate::house::{House, YEAR};
use crate::oracle::{self, ALL, Differences};
use crate::repro::{Repro, number};

const PROCESSES: usize = 4;

/// Reads everything, also what has changed since the year was over.
const ALL_OF_IT: [&str; 10] =
    ["run", "Invoice", "Customer", "Item", "--from", "2024-01-01", "--to", "2025-02-01", "--chunk", "month"];

/// Starts a run by chance: one that goes on, or reads all again; within the limits of calls that all share, or without.
fn start(house: &House, rng: &mut Rng, place: usize) -> Child {
    let mut command = house.command(&["run", "Invoice", "Customer", "Item", "--wait", "600"]);
    command.args(YEAR).args(["--chunk", "month", "--page-size", "20", "--concurrency", "3"]);
    if rng.u8(..4) == 0 {
        command.arg("--force");
    }
    if rng.u8(..4) != 0 {
        command.args(["--rate", "off"]);
    }
    command.args(house.addresses());
    let said = File::create(house.home().join(format!("said-{place}"))).unwrap();
    command.stdout(Stdio::null()).stderr(said).spawn().unwrap()
}

fn assert_well(house: &House, place: usize, child: &mut Child, context: &str) {
    let status = child.wait().unwrap();
    let said = std::fs::read_to_string(house.home().join(format!("said-{place}"))).unwrap();
    assert!(status.success(), "{context}: {status}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_processes_that_are_killed_at_random_leave_what_an_undisturbed_run_does() {
    let repro = Repro::new();
    let (mut rng, kills) = (repro.rng(), number("CRASH_KILLS", 200));
    let drift = Drift { every_n_calls: 4, edits: 2, inserts: 1, deletes: 1, seed: repro.seed };
    let options = SandboxOptions {
        drift: Some(drift),
        // A kill between the answer and the disk ends a consent whose old token is refused; tokens have a test of their own.
        oauth: OauthOptions { rotation: Rotation::Never, ..OauthOptions::default() },
        quota: QuotaOptions::new(Enforce::Off),
        ..SandboxOptions::default()
    };
    let house = House::with(&Shape::default().with_counts(900, 200, 100).with_bulk_import(50), options).await;
    house.at(&["db", "init"]).await.expect(0);
    oracle::watch_versions(&house).await;

    let mut running: Vec<_> = (0..PROCESSES).map(|place| start(&house, &mut rng, place)).collect();
    let mut by_themselves = 0_u64;
    for kill in 0..kills {
        let moment = Duration::from_millis(rng.u64(20..=200));
        #[expect(clippy::disallowed_methods, reason = "a kill comes at any time")]
        tokio::time::sleep(moment).await;
        let place = rng.usize(..PROCESSES);
        let victim = &mut running[place];
        if victim.try_wait().unwrap().is_some() {
            by_themselves += 1;
            assert_well(&house, place, victim, &format!("before kill {kill}"));
        }
        // Nothing happens to one that has ended.
        victim.kill().unwrap();
        victim.wait().unwrap();
        running[place] = start(&house, &mut rng, place);
    }
    for (place, child) in running.iter_mut().enumerate() {
        assert_well(&house, place, child, "left alone");
    }
    let killed_runs = "SELECT count(*) FROM raw.backfill_run WHERE status = 'running'";
    let (unfinished, pages) =
        (house.number(killed_runs).await, house.number("SELECT count(*) FROM raw.backfill_page").await);
    println!("{kills} kills; {by_themselves} ended first; {unfinished} runs without an end; {pages} pages");
    assert!(unfinished > 0, "no kill met a run: this test proves nothing on this machine");

    house.sandbox.end_drift();
    house.at(&ALL_OF_IT).await.expect(0);
    let context = format!("after {kills} kills");
    for entity in ALL {
        let Differences { wrong, gone } = oracle::differences(&house, entity).await;
        assert!(wrong.is_empty(), "{context}: {wrong:?}");
        // What people delete stays in the tables; only transactions are deleted here.
        assert!(entity.0 == "Invoice" || gone.is_empty(), "{context}: {gone:?}");
    }
    oracle::assert_nothing_went_back(&house, &context).await;
    oracle::assert_reported(&house, &context).await;
    oracle::assert_unchanged_by(&house, &[&ALL_OF_IT[..], &["--force"]].concat(), &context).await;
    oracle::assert_balanced(&house, &context).await;
    oracle::assert_nothing_leaked(&house, &context).await;
}
