//! Several processes on one company: one budget of calls, one owner of a pipeline.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use fixtures::{CallKind, Fault, Gate, Rule, Shape};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

#[cfg(feature = "points")]
use crate::house::signal;
use crate::house::{House, YEAR, standing_run, wait};

/// How long a lease lasts in these tests, in seconds.
#[cfg(feature = "points")]
const LEASE: &str = "4";

fn shape() -> Shape {
    Shape::default().with_counts(1500, 150, 50).with_bulk_import(40)
}

/// A slow server: many calls are under way at once.
fn slow_down(house: &House) {
    for kind in [CallKind::Query, CallKind::Count] {
        house.sandbox.faults().push(Rule::on(kind, Fault::Delay(Duration::from_millis(900))).always());
    }
}

/// That no limit was passed is seen when the house is left.
#[tokio::test(flavor = "multi_thread")]
async fn two_and_twenty_processes_keep_the_limits_together_and_store_what_one_does() {
    let calm = House::new(&shape()).await;
    calm.backfill(&["all"], &["--page-size", "50"]).await.expect(0);
    let expected = calm.fingerprint().await;
    for processes in [2, 20] {
        let house = House::new(&shape()).await;
        slow_down(&house);
        let more = ["--page-size", "50", "--wait", "600"];
        let started: Vec<_> = (0..processes).map(|_| house.start(&more)).collect();
        for child in started {
            wait(child).await.expect(0);
        }
        assert_eq!(house.fingerprint().await, expected);
        assert!(house.sandbox.most_in_flight() > 5, "they did not meet");
        let used = house.number("SELECT sum(calls)::bigint FROM raw.call_month").await;
        assert_eq!(used, house.sandbox.journal().metered() as i64);
        let failed = "SELECT count(*) FROM raw.backfill_run WHERE status <> 'completed'";
        assert_eq!(house.number(failed).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_pipeline_says_so_and_finds_nothing_left_to_do() {
    let house = House::new(&shape()).await;
    let (first, gate) = standing_run(&house).await;
    let mut second = house.start(&["--output", "json"]);
    let mut events = lines(second.stdout.take().unwrap());
    let told = loop {
        let event: Value = serde_json::from_str(&events.recv().await.unwrap()).unwrap();
        if event["reason"] == "lease" && event["pipeline"] == "qb_invoices_backfill" {
            break event;
        }
    };
    let name = format!("process {} on", first.id());
    assert!(told["holder"].as_str().unwrap().starts_with(&name), "{told}");
    gate.open();
    wait(first).await.expect(0);
    let status = tokio::task::spawn_blocking(move || second.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    let read = "SELECT sum(records_read)::bigint FROM raw.backfill_log WHERE entity_name = 'invoices'";
    assert_eq!(house.number(read).await, 1500, "nothing was read twice");
}

#[cfg(feature = "points")]
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_process_is_overtaken_and_changes_nothing_when_it_wakes_up() {
    let calm = House::new(&shape()).await;
    calm.backfill(&["Invoice"], &["--page-size", "100"]).await.expect(0);
    let house = House::new(&shape()).await;
    let run = || {
        let mut command = house.command(&["run", "Invoice", "--page-size", "100", "--concurrency", "1"]);
        command.args(YEAR).args(house.addresses()).env("QBO_BACKFILL_LEASE_SECONDS", LEASE);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    // The answer to the fifth question lies ready when the process wakes up.
    let gate = Gate::new();
    house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())).after(4));
    let frozen = run();
    gate.arrived().await;
    signal(&frozen, "-STOP");
    let heir = wait(run()).await.expect(0);
    let name = format!("held by process {}", frozen.id());
    assert!(heir.stderr.contains(&name), "{}", heir.stderr);
    assert_eq!(house.fingerprint().await, calm.fingerprint().await);

    let all = "SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM (
        SELECT id || xmin::text FROM raw.qb_invoices
        UNION ALL SELECT backfill_log::text FROM raw.backfill_log
        UNION ALL SELECT backfill_page::text FROM raw.backfill_page
        UNION ALL SELECT backfill_run_pipeline::text FROM raw.backfill_run_pipeline) AS all_ (t)";
    let before: String = house.query(all).await[0].get(0);
    gate.open();
    signal(&frozen, "-CONT");
    let woken = wait(frozen).await.expect(9);
    assert!(woken.error().contains("lost the lease on pipeline invoices"), "{}", woken.error());
    assert_eq!(house.query(all).await[0].get::<_, String>(0), before);
    assert_eq!(house.number("SELECT max(epoch) FROM raw.backfill_lease").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_is_used_up_ends_with_6_and_says_until_when() {
    let house = House::new(&Shape::default().with_counts(900, 5, 5)).await;
    let limited = ["--page-size", "200", "--monthly-calls", "4", "--concurrency", "1"];
    let run = house.backfill(&["Invoice"], &limited).await.expect(6);
    assert_eq!(house.sandbox.journal().metered(), 4);
    let error = run.error();
    assert!(
        error.contains("the monthly allowance of 4 calls is used up; calls are refused until 20"),
        "{error}"
    );
    assert!(error.contains("-01 UTC") && error.contains("committed data stays"), "{error}");
    assert!(run.stderr.contains("4 of this month's 4 calls are used"), "{}", run.stderr);

    let again = house.backfill(&["Invoice"], &limited).await.expect(6);
    assert!(again.stderr.contains("calls this month (UTC): 4 made, 0 of 4 left"), "{}", again.stderr);
    assert_eq!(house.sandbox.journal().metered(), 4, "no further call");

    let settings = "[profile.default]\nmonthly_calls = 1000\n";
    std::fs::write(house.home().join("qbo-backfill.toml"), settings).unwrap();
    let plan = house.at(&[&["plan", "Invoice", "--output", "json"], &YEAR[..]].concat()).await.expect(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(
        (&plan["calls_this_month"]["used"], &plan["calls_this_month"]["left"]),
        (&4.into(), &996.into())
    );
    house.backfill(&["Invoice"], &["--page-size", "200"]).await.expect(0);
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 900);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_one_process_pauses_the_other() {
    let house = House::new(&shape()).await;
    let begin = |pipeline| {
        let mut command = house.command(&["run", pipeline, "--page-size", "10", "--concurrency", "1"]);
        command.args(YEAR).args(house.addresses()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let gate = Gate::new();
    house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())).containing("FROM Item"));
    let refused = Fault::Xml { status: 429, code: "3001".into(), retry_after: Some("6".into()) };
    house.sandbox.faults().push(Rule::on(CallKind::Query, refused).containing("FROM Customer"));
    let calling = begin("Item");
    gate.arrived().await;
    let mut stopped = begin("Customer");
    let mut said = lines(stopped.stderr.take().unwrap());
    while !said.recv().await.unwrap().contains("QuickBooks asked to slow down") {}
    gate.open();
    let calling = wait(calling).await.expect(0);
    let waits =
        calling.stderr.lines().filter_map(|line| line.strip_prefix("waiting ")?.strip_suffix(" s (limit)"));
    let longest = waits.filter_map(|seconds| seconds.parse::<u32>().ok()).max();
    assert!(longest.is_some_and(|seconds| (3..=6).contains(&seconds)), "{}", calling.stderr);
    let status = tokio::task::spawn_blocking(move || stopped.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

/// The lines of a stream, read to its end whether anybody listens or not.
fn lines(stream: impl std::io::Read + Send + 'static) -> UnboundedReceiver<String> {
    let (sender, lines) = unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    lines
}
