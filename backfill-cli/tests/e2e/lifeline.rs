//! A parent that goes away: its child ends cleanly, whatever else ended with the parent.

use std::io::Write as _;
use std::process::{Child, ChildStdin, Stdio};

use fixtures::{CallKind, Fault, Gate, Rule, Shape};
use serde_json::json;

use crate::house::{House, THREE, YEAR, wait};

fn shape() -> Shape {
    Shape::default().with_counts(1500, 150, 50).with_bulk_import(40)
}

/// The first line that an orchestrator writes.
fn first_line(house: &House) -> String {
    let credentials = house.sandbox.credentials();
    json!({"QBO_CLIENT_ID": credentials.client_id, "QBO_CLIENT_SECRET": credentials.client_secret,
           "QBO_REALM_ID": credentials.realm_id, "QBO_REFRESH_TOKEN": credentials.refresh_token,
           "PG_PASSWORD": house.database.password()})
    .to_string()
}

/// Starts a command as an orchestrator does. Whoever holds the second value is its parent.
fn start(house: &House, words: &[&str]) -> (Child, ChildStdin) {
    let mut command = house.command(words);
    command.args(house.addresses()).args(["--secrets", "stdin", "--lifeline", "stdin", "--output", "json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lifeline = child.stdin.take().unwrap();
    writeln!(lifeline, "{}", first_line(house)).unwrap();
    (child, lifeline)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_parent_is_gone_lands_the_page_in_hand_and_the_same_command_goes_on() {
    let house = House::new(&shape()).await;
    let words = [&["run"], &THREE[..], &YEAR].concat();
    for all_pipes in [false, true] {
        let gate = Gate::new();
        house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())).after(3));
        let few = ["--page-size", "100", "--concurrency", "1", "--log-level", "trace"];
        let (mut child, lifeline) = start(&house, &[&words[..], &few].concat());
        gate.arrived().await;
        if all_pipes {
            // A parent that was killed leaves nobody to read what its child says.
            drop((child.stdout.take(), child.stderr.take()));
        }
        drop(lifeline);
        let ended = wait(child).await.expect(130);
        gate.open();
        if !all_pipes {
            assert!(ended.error().contains("run the same command again"), "{}", ended.stderr);
            let last = ended.stdout.lines().last().unwrap();
            assert!(last.contains(r#""ev":"run_finished""#) && last.contains(r#""exit_code":130"#), "{last}");
        }
    }
    let stopped = "SELECT count(*) FROM raw.backfill_run WHERE status = 'stopped'";
    assert_eq!(house.number(stopped).await, 2);
    let landed = house.number("SELECT count(*) FROM raw.qb_invoices").await;
    assert!((400..1500).contains(&landed), "{landed} rows landed");

    // It is held open for the whole of a run that succeeds.
    let (child, lifeline) = start(&house, &words);
    wait(child).await.expect(0);
    drop(lifeline);
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 1500);
    let read = "SELECT sum(records_read)::bigint FROM raw.backfill_log";
    assert_eq!(house.number(read).await, 1700, "something was counted twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_needs_the_secrets_twice_reads_their_line_once() {
    let house = House::new(&Shape::default().with_counts(40, 5, 5)).await;
    house.backfill(&["Item"], &[]).await.expect(0);
    let (child, lifeline) = start(&house, &["retry", "--window", "2024-03-14"]);
    wait(child).await.expect(0);
    drop(lifeline);
}
