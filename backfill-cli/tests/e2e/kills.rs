//! Killed, stopped, and two at once.

use std::io::{BufRead as _, BufReader};
use std::process::{ChildStderr, Command, Stdio};

use fixtures::{CallKind, Fault, Gate, Rule, Shape};

use crate::house::{House, THREE, signal, standing_run, wait};

fn shape() -> Shape {
    Shape::default().with_counts(1500, 150, 50).with_bulk_import(40)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_many_moments_and_run_again_ends_like_an_undisturbed_run() {
    let calm = House::new(&shape()).await;
    calm.backfill(&THREE, &["--page-size", "100"]).await.expect(0);
    let expected = calm.fingerprint().await;

    let house = House::new(&shape()).await;
    let mut random = fastrand_like(42);
    for _ in 0..12 {
        // At a random event, not at a random time: the machine may be slow.
        let mut child = house.start(&["--page-size", "100", "--output", "json"]);
        let events = 1 + random() % 40;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reading = tokio::task::spawn_blocking(move || lines.take(events as usize).count());
        reading.await.unwrap();
        signal(&child, "-KILL");
        wait(child).await;
    }
    house.backfill(&THREE, &["--page-size", "100"]).await.expect(0);
    assert_eq!(house.fingerprint().await, expected);
    let read = "SELECT sum(records_read)::bigint FROM raw.backfill_log";
    assert_eq!(house.number(read).await, 1700, "an overlap was counted twice");
    let again = house.sandbox.journal().metered();
    house.backfill(&THREE, &[]).await.expect(0);
    assert_eq!(house.sandbox.journal().metered(), again, "completed windows cost calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_from_another_terminal() {
    let house = House::new(&shape()).await;
    let (child, gate) = standing_run(&house).await;
    let runs = house.at(&["runs", "--output", "json"]).await.expect(0);
    let runs: serde_json::Value = serde_json::from_str(&runs.stdout).unwrap();
    let run = runs[0]["run_id"].as_str().unwrap();
    house.at(&["cancel", run]).await.expect(0);
    let ended = wait(child).await.expect(130);
    gate.open();
    assert!(ended.stderr.contains("as requested by another process"), "{}", ended.stderr);
    let over = house.at(&["cancel", run]).await.expect(2);
    assert!(over.error().contains("it is stopped"), "{}", over.error());
    house.backfill(&THREE, &[]).await.expect(0);
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 1500);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_lands_the_page_in_hand_and_the_same_command_goes_on() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let house = House::new(&shape()).await;
        // The answer to the fifth question is held until the signal has arrived.
        let gate = Gate::new();
        house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())).after(5));
        let child = house.start(&["--page-size", "100", "--concurrency", "1"]);
        gate.arrived().await;
        signal(&child, name);
        let ended = wait(child).await.expect(code);
        gate.open();
        assert!(ended.error().contains("run the same command again"), "{}", ended.stderr);
        let landed = house.number("SELECT count(*) FROM raw.qb_invoices").await;
        assert!(landed >= 400, "{landed} rows landed");
        let states = "SELECT count(*) FROM raw.backfill_run WHERE status = 'stopped'";
        assert_eq!(house.number(states).await, 1);
        house.backfill(&THREE, &[]).await.expect(0);
        assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 1500);
    }
}

/// Reads what a process says until it says this.
async fn heard(mut said: BufReader<ChildStderr>, word: &'static str) -> BufReader<ChildStderr> {
    let reading = move || {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended without saying {word:?}");
        }
        said
    };
    tokio::task::spawn_blocking(reading).await.unwrap()
}

/// The same command, started by another one, which it replaces.
fn begun_by(first: &[&str], command: &Command) -> Command {
    let mut both = Command::new(first[0]);
    both.args(&first[1..]).arg(command.get_program()).args(command.get_args());
    both.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    both
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_under_way_outlives_every_signal() {
    let run = ["run", "Invoice", "--from", "2024-01-01", "--to", "2024-02-01"];
    for (words, signals) in [
        (&run[..], &["-TERM", "-TERM"][..]),
        (&run, &["-HUP", "-INT"]),
        (&["auth", "refresh"], &["-TERM"]),
        (&["auth", "refresh"], &["-INT", "-TERM"]),
        (&["doctor"], &["-HUP"]),
    ] {
        let house = House::new(&Shape::empty()).await;
        house.at(&["db", "init"]).await.expect(0);
        let gate = Gate::new();
        house.sandbox.faults().push(Rule::on(CallKind::Token, Fault::Held(gate.clone())));
        // Whoever runs the tests under nohup would hand its deafness down.
        let mut command = begun_by(&["env", "--default-signal=HUP"], &house.command(words));
        command.args(house.addresses()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        gate.arrived().await;
        for (one, word) in signals.iter().zip(["stopping", "at once"]) {
            signal(&child, one);
            said = heard(said, word).await;
        }
        gate.open();
        let code = if signals.last() == Some(&"-INT") { 130 } else { 143 };
        wait(child).await.expect(code);
        let newest = qbo_auth::RefreshToken::new(house.sandbox.current_refresh_token()).fingerprint();
        let status = house.run(&["auth", "status", "--output", "json"]).await.expect(0);
        assert!(status.stdout.contains(&newest), "{words:?} {signals:?}: {}", status.stdout);
        assert_eq!(house.sandbox.token_calls(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_started_to_outlive_its_terminal_does() {
    let house = House::new(&Shape::empty()).await;
    let gate = Gate::new();
    house.sandbox.faults().push(Rule::on(CallKind::Token, Fault::Held(gate.clone())));
    let nohup = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"];
    let mut nohup = begun_by(&nohup, &house.command(&["auth", "refresh"]));
    nohup.args(house.addresses()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = nohup.spawn().unwrap();
    gate.arrived().await;
    signal(&child, "-HUP");
    gate.open();
    wait(child).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_pipeline_is_told_who_holds_it() {
    let house = House::new(&shape()).await;
    let (first, gate) = standing_run(&house).await;
    let second = house.backfill(&["Invoice"], &["--wait", "0"]).await.expect(9);
    assert!(second.error().contains(&format!("process {}", first.id())), "{}", second.error());
    gate.open();
    wait(first).await.expect(0);
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 1500);
}

/// A little generator: the test's own chance must repeat.
fn fastrand_like(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}
