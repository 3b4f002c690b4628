//! Processes that are frozen for longer than their lease lasts, as on a laptop that sleeps, or whose heartbeat alone has
//! died: others go on, and what the first one does afterwards changes nothing.

use std::process::{Child, Command, Stdio};

use fixtures::{CallKind, Enforce, Fault, Gate, QuotaOptions, Rule, SandboxOptions, Shape};
use rustix::process::{Pid, WaitOptions, waitpid};
use tokio::task::JoinSet;

use crate::house::{Ended, House, YEAR, signal, wait};
use crate::oracle::{self, INVOICE, ITEM};
use crate::repro::Repro;

/// How long a lease lasts here, in seconds.
const LEASE: &str = "2";

/// Everything that a pipeline has in the database.
const STATE: &str = "
    SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM (
        SELECT id || xmin::text FROM raw.qb_invoices
        UNION ALL SELECT id || xmin::text FROM raw.qb_items
        UNION ALL SELECT backfill_log::text FROM raw.backfill_log
        UNION ALL SELECT backfill_page::text FROM raw.backfill_page
        UNION ALL SELECT backfill_run_pipeline::text FROM raw.backfill_run_pipeline) AS all_ (t)";

/// Where it is frozen. Within a transaction it keeps a lock that the server takes from it after half a minute.
const PLACES: [&str; 7] = [
    "lease.beat@1",
    "call.answered@2",
    "scan.taken@2",
    "page.fenced@2",
    "page.written@2",
    "page.commit@2",
    "count.noted@1",
];

async fn house() -> House {
    let quota = QuotaOptions::new(Enforce::Off);
    let shape = Shape::default().with_counts(120, 1, 30).with_bulk_import(25);
    House::with(&shape, SandboxOptions { quota, ..SandboxOptions::default() }).await
}

fn command(house: &House, words: &[&str]) -> Command {
    let mut command = house.command(words);
    command.args(house.addresses()).env("QBO_BACKFILL_LEASE_SECONDS", LEASE);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A process that is frozen. It does not outlive a test that fails.
struct Sleeper(Option<Child>);

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
        }
    }
}

/// Starts a process that freezes at a point, and waits until it has.
async fn frozen(house: &House, words: &[&str], place: &str) -> Sleeper {
    let mut command = command(house, words);
    let child = command.env("QBO_BACKFILL_POINT", format!("{place}=stop")).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let stopped = tokio::task::spawn_blocking(move || waitpid(Some(pid), WaitOptions::UNTRACED));
    let (_, status) = stopped.await.unwrap().unwrap().unwrap();
    assert!(status.stopped(), "{place}: it ended before it froze");
    Sleeper(Some(child))
}

async fn woken(mut sleeper: Sleeper) -> Ended {
    let child = sleeper.0.take().unwrap();
    signal(&child, "-CONT");
    wait(child).await
}

async fn overtaken(place: &'static str) {
    let house = house().await;
    let run = [&["run", "Invoice"], &YEAR[..], &["--chunk", "quarter", "--page-size", "20"]].concat();
    let sleeper = frozen(&house, &run, place).await;
    let heir = wait(command(&house, &run).spawn().unwrap()).await;
    assert_eq!(heir.code, 0, "{place}: {}", heir.stderr);
    oracle::assert_equal(&house, &[INVOICE], place).await;
    let before: String = house.query(STATE).await[0].get(0);
    let sleeper = woken(sleeper).await;
    // A count is not taken again: that its session was cut may be what it tells.
    let expected: &[i32] = if place.starts_with("count.") { &[7, 9] } else { &[9] };
    assert!(expected.contains(&sleeper.code), "{place}: {} {}", sleeper.code, sleeper.stderr);
    if sleeper.code == 9 {
        let said = sleeper.error();
        assert!(said.contains("lost the lease on pipeline invoices"), "{place}: {said}");
    }
    assert_eq!(house.query(STATE).await[0].get::<_, String>(0), before, "{place}: it changed something");
    house.at(&run).await.expect(0);
    oracle::assert_recounts(&house, &[INVOICE], place).await;
    oracle::assert_nothing_leaked(&house, place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_frozen_beyond_the_lease_commits_nothing_when_it_wakes_up() {
    let _repro = Repro::new();
    // Each waits for half a minute at most, and does next to nothing meanwhile.
    let mut all: JoinSet<_> = PLACES.into_iter().map(overtaken).collect();
    while let Some(ended) = all.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_frozen_loses_its_trigger_to_another_and_starts_no_second_run() {
    let _repro = Repro::new();
    let house = house().await;
    let add = ["trigger", "add", "Item", "--name", "night", "--at", "2026-02-02T10:00:00Z", "--now"];
    house.at(&[&add[..], &YEAR[..]].concat()).await.expect(0);
    let worker = ["worker", "--once"];
    let sleeper = frozen(&house, &worker, "trigger.fired@1").await;
    // One that came before the lease is over has nothing to do.
    let running = "SELECT count(*) FROM raw.backfill_trigger WHERE status <> 'done'";
    while house.number(running).await > 0 {
        let heir = wait(command(&house, &worker).spawn().unwrap()).await;
        assert_eq!(heir.code, 0, "{}", heir.stderr);
    }
    oracle::assert_equal(&house, &[ITEM], "worker").await;
    let before: String = house.query(STATE).await[0].get(0);
    woken(sleeper).await.expect(0);
    assert_eq!(house.query(STATE).await[0].get::<_, String>(0), before, "it changed something");
    let fired = "SELECT count(*) FROM raw.backfill_trigger_history WHERE event = 'fired'";
    assert_eq!(house.number(fired).await, 1);
    assert_eq!(house.number("SELECT count(*) FROM raw.backfill_run").await, 1);
    oracle::assert_nothing_leaked(&house, "worker").await;
}

/// A19 to the letter: the process lives, and nothing renews its lease.
#[tokio::test(flavor = "multi_thread")]
async fn whose_heartbeat_has_died_alone_commits_nothing_after_its_lease() {
    let _repro = Repro::new();
    let house = house().await;
    let run =
        [&["run", "Invoice"], &YEAR[..], &["--chunk", "quarter", "--page-size", "20", "--concurrency", "1"]];
    let run = run.concat();
    let gate = Gate::new();
    house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())).after(2));
    let mut command = command(&house, &run);
    let pulseless = command.env("QBO_BACKFILL_POINT", "lease.beat@2=panic:the heart").spawn().unwrap();
    gate.arrived().await;
    let heir = wait(self::command(&house, &run).spawn().unwrap()).await.expect(0);
    assert!(heir.stderr.contains(&format!("held by process {}", pulseless.id())), "{}", heir.stderr);
    let before: String = house.query(STATE).await[0].get(0);
    gate.open();
    let ended = wait(pulseless).await.expect(9);
    assert!(ended.error().contains("lost the lease on pipeline invoices"), "{}", ended.error());
    assert_eq!(house.query(STATE).await[0].get::<_, String>(0), before, "it changed something");
    oracle::assert_equal(&house, &[INVOICE], "heartbeat").await;
    oracle::assert_recounts(&house, &[INVOICE], "heartbeat").await;
    oracle::assert_nothing_leaked(&house, "heartbeat").await;
}
