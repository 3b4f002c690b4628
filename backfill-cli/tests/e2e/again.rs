//! Windows read again: those that failed, those with something in quarantine, and the one that holds an instant.

use std::process::{Command, Stdio};

use fixtures::{CallKind, Fault, Gate, Hostile, Record, Rule, Shape};

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_quarantine_is_shown_and_resolved_when_it_has_become_sound() {
    let shape = Shape::default().with_counts(40, 5, 5).with_hostile("Invoice", Hostile::NulEscape);
    let house = House::new(&shape).await;
    house.backfill(&["Invoice"], &[]).await.expect(3);

    let listed = house.at(&["quarantine", "list", "--output", "json"]).await.expect(0);
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let (one, text) = (&listed[0], house.at(&["quarantine", "list"]).await.expect(0));
    assert!(text.stdout.contains("NUL"), "{}", text.stdout);
    let digest = one["digest"].as_str().unwrap();
    let shown = house.at(&["quarantine", "show", "Invoice", &digest[..10]]).await.expect(0);
    assert!(shown.stdout.contains("\\u0000"), "the bytes as they were sent");
    house.at(&["quarantine", "show", "Invoice", "ffff"]).await.expect(2);

    // Nothing has changed: it is seen again.
    house.at(&["quarantine", "retry"]).await.expect(3);
    let id = one["record_id"].as_str().unwrap().to_owned();
    house.sandbox.with_company(|company| {
        let hostile = company.records("Invoice").find(|record| record.id == id).unwrap();
        let sound = String::from_utf8(hostile.payload.to_vec()).unwrap().replace("\\u0000", "");
        company.insert("Invoice", Record::from_payload(sound.into_bytes()).unwrap());
    });
    house.at(&["quarantine", "retry", "qb_invoices_backfill"]).await.expect(0);
    let none = house.at(&["quarantine", "list"]).await.expect(0);
    assert!(none.stdout.contains("nothing is in quarantine"), "{}", none.stdout);
    let all = house.at(&["quarantine", "list", "--all"]).await.expect(0);
    assert!(all.stdout.contains("(resolved)"));
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 41);
    house.at(&["quarantine", "retry"]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_windows_and_the_one_that_holds_an_instant_are_read_again() {
    let house = House::new(&Shape::default().with_counts(300, 5, 5)).await;
    let wrong = Fault::json(400, "4000");
    house.sandbox.faults().push(Rule::on(CallKind::Query, wrong).containing("FROM Invoice").after(2));
    house.backfill(&["Invoice"], &["--page-size", "100", "--concurrency", "1"]).await.expect(3);
    let failed = "SELECT count(*) FROM raw.backfill_log WHERE status = 'failed'";
    assert!(house.number(failed).await > 0);
    let retried = house.at(&["retry", "--failed"]).await.expect(0);
    assert!(retried.stdout.contains("qb_invoices_backfill"), "{}", retried.stdout);
    assert_eq!(house.number(failed).await, 0);
    assert_eq!(house.number("SELECT sum(records_read)::bigint FROM raw.backfill_log").await, 300);
    house.at(&["retry", "--failed"]).await.expect(0);

    let calls = house.sandbox.journal().metered();
    let attempts =
        "SELECT attempts::bigint FROM raw.backfill_log WHERE window_start_utc = '2024-03-14T00:00:00Z'";
    let before = house.number(attempts).await;
    house.at(&["retry", "--window", "2024-03-14T12:00:00Z", "Invoice"]).await.expect(0);
    assert_eq!(house.number(attempts).await, before + 1);
    assert!(house.sandbox.journal().metered() - calls <= 2);
    let report = house.at(&["report"]).await.expect(0);
    assert!(report.stdout.contains("chosen"), "{}", report.stdout);
    let nowhere = house.at(&["retry", "--window", "2031-01-01"]).await.expect(2);
    assert!(nowhere.error().contains("no window of the log holds"));
    house.at(&["retry"]).await.expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_retry_over_several_times_at_once() {
    let house = House::new(&Shape::default().with_counts(30, 5, 5)).await;
    house.backfill(&["Invoice"], &["--chunk", "whole"]).await.expect(0);
    house.backfill(&["Invoice"], &["--chunk", "whole", "--by", "created"]).await.expect(0);
    let gate = Gate::new();
    house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())));
    let mut retry = house.command(&["retry", "--window", "2024-03-14"]);
    retry.args(house.addresses()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = retry.spawn().unwrap();
    gate.arrived().await;
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    gate.open();
    assert_eq!(ended.status.code(), Some(143), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(house.number("SELECT count(*) FROM raw.backfill_run").await, 3, "another run was begun");
}
