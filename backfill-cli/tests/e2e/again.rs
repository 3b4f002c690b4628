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

/// The digest of what is in quarantine, where that is one record.
async fn digest_of_the_one(house: &House) -> String {
    let listed = house.at(&["quarantine", "list", "--output", "json"]).await.expect(0);
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed.stdout).unwrap();
    let open: Vec<_> = listed.iter().filter(|one| one["status"] == "open").collect();
    assert_eq!(open.len(), 1, "{listed:?}");
    open[0]["digest"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_quarantine_keeps_every_end_from_0_until_somebody_accepts_it() {
    let shape = Shape::default().with_counts(40, 5, 5).with_hostile("Invoice", Hostile::NulEscape);
    let house = House::new(&shape).await;
    let first = house.backfill(&["Invoice"], &[]).await.expect(3);
    assert!(first.error().contains("1 record is in quarantine"), "{}", first.error());
    assert!(first.error().contains("quarantine accept ID --reason"), "{}", first.error());
    // Nothing is left to read, and it is there all the same.
    let again = house.backfill(&["Invoice", "Customer"], &["--output", "json"]).await.expect(3);
    let end: serde_json::Value = serde_json::from_str(again.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&end["open_quarantine"], &end["status"]), (&1.into(), &"incomplete".into()), "{end}");
    let verified = house.at(&["verify", "Invoice"]).await.expect(3);
    assert!(verified.error().contains("1 record is in quarantine"), "{}", verified.error());
    let retried = house.at(&["retry", "--window", "2024-06-01", "Invoice"]).await;
    let digest = digest_of_the_one(&house).await;
    let day = house.query("SELECT to_char(window_start_utc, 'YYYY-MM-DD') FROM raw.quarantine").await;
    let day: &str = day[0].get(0);
    assert_eq!(retried.code, if day == "2024-06-01" { 3 } else { 0 }, "{}", retried.stderr);
    house.at(&["retry", "--window", day, "Invoice"]).await.expect(3);
    let status = house.at(&["status", "--output", "json"]).await.expect(0);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    let open: Vec<_> =
        status["pipelines"].as_array().unwrap().iter().map(|one| &one["open_quarantine"]).collect();
    assert_eq!(open, [0, 1], "customers, invoices");
    for format in ["text", "md", "html"] {
        let report = house.at(&["report", "--format", format]).await.expect(0).stdout;
        assert!(report.contains("in quarantine, not resolved"), "{format}: {report}");
    }
    // Another pipeline has nothing of it, and another time neither.
    house.backfill(&["Customer"], &[]).await.expect(0);
    house.at(&["run", "Invoice", "--from", "2023-01-01", "--to", "2023-02-01"]).await.expect(0);
    let trigger = [&["trigger", "add", "Invoice", "--name", "a", "--now"], &crate::house::YEAR[..]].concat();
    house.at(&trigger).await.expect(0);
    let worker = house.at(&["worker", "--once"]).await.expect(3);
    assert!(worker.error().contains("left records in quarantine"), "{}", worker.error());

    let accept = ["quarantine", "accept", &digest[..12], "--reason", "a test record", "--output", "json"];
    house.at(&[&accept[..2], &["abcdef0"], &accept[3..5]].concat()).await.expect(2);
    house.at(&[&accept[..2], &[&digest[..3]], &accept[3..5]].concat()).await.expect(2);
    house.at(&[&accept[..3], &["--reason", " "]].concat()).await.expect(2);
    house.at(&accept[..3]).await.expect(2);
    let accepted = house.at(&accept).await.expect(0);
    let accepted: serde_json::Value = serde_json::from_str(&accepted.stdout).unwrap();
    assert_eq!(
        (&accepted["status"], &accepted["accepted_reason"]),
        (&"accepted".into(), &"a test record".into())
    );
    assert!(accepted["accepted_at_utc"].is_string() && accepted["accepted_by"].is_string(), "{accepted}");
    let twice = house.at(&[&accept[..4], &["something else"]].concat()).await.expect(0);
    assert!(twice.stdout.contains("already; nothing was changed"), "{}", twice.stdout);
    let listed = house.at(&["quarantine", "list"]).await.expect(0);
    assert!(
        listed.stdout.contains("a test record") && listed.stdout.contains("accepted 2"),
        "{}",
        listed.stdout
    );
    let shown = house.at(&["quarantine", "show", "Invoice", &digest[..12]]).await.expect(0);
    assert!(shown.stderr.contains("a test record"), "{}", shown.stderr);
    house.backfill(&["Invoice"], &["--force"]).await.expect(0);
    house.at(&["verify", "Invoice"]).await.expect(0);

    // Other content is another record, and nobody has decided about that.
    house.sandbox.with_company(|company| {
        let hostile =
            company.records("Invoice").find(|one| one.payload.windows(6).any(|part| part == b"\\u0000"));
        let other = String::from_utf8(hostile.unwrap().payload.to_vec())
            .unwrap()
            .replace("\\u0000", "\\u0000\\u0000");
        company.insert("Invoice", Record::from_payload(other.into_bytes()).unwrap());
    });
    let other = house.backfill(&["Invoice"], &["--force"]).await.expect(3);
    assert!(other.error().contains("1 record is in quarantine"), "{}", other.error());
    assert_ne!(digest_of_the_one(&house).await, digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_missing_keep_a_run_and_a_trigger_from_0() {
    let house = House::new(&Shape { empty_days_permille: 0, outlier: 1, ..Shape::default() }).await;
    house.backfill(&["Invoice"], &[]).await.expect(0);
    // Nobody has looked over what was read, as after a run that was killed: the next one does.
    let unseen = "DELETE FROM raw.backfill_validation";
    let harm = format!("DELETE FROM raw.qb_invoices WHERE id IN ('3', '4'); {unseen}");
    house.client().await.batch_execute(&harm).await.unwrap();
    let run = house.backfill(&["Invoice"], &["--output", "json"]).await.expect(3);
    assert!(run.error().contains("2 rows that the log has are missing"), "{}", run.error());
    let end: serde_json::Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&end["rows_missing"], &end["exit_code"]), (&2.into(), &3.into()), "{end}");
    house.at(&["verify", "Invoice"]).await.expect(3);
    let trigger = [&["trigger", "add", "Invoice", "--name", "a", "--now"], &crate::house::YEAR[..]].concat();
    house.at(&trigger).await.expect(0);
    house.client().await.batch_execute(unseen).await.unwrap();
    house.at(&["worker", "--once"]).await.expect(3);
    let listed = house.at(&["trigger", "list"]).await.expect(0);
    assert!(listed.stdout.contains("failed") && listed.stdout.contains("missing"), "{}", listed.stdout);
    house.at(&["verify", "Invoice", "--repair"]).await.expect(0);
    house.backfill(&["Invoice"], &[]).await.expect(0);
}

/// What the run itself has found is not forgotten by one that has nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_found_missing_keep_later_runs_from_0_until_they_are_back() {
    let house = House::new(&Shape { empty_days_permille: 0, outlier: 1, ..Shape::default() }).await;
    house.at(&["db", "init"]).await.expect(0);
    // When the page is committed, and behind its own check.
    let harm = "
        CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN DELETE FROM raw.qb_invoices WHERE id = NEW.id AND id IN ('3', '4'); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER lose AFTER INSERT ON raw.qb_invoices DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION lose()";
    house.client().await.batch_execute(harm).await.unwrap();
    house.backfill(&["Invoice"], &[]).await.expect(3);
    house.client().await.batch_execute("DROP TRIGGER lose ON raw.qb_invoices").await.unwrap();
    for _ in 0..2 {
        let run = house.backfill(&["Invoice"], &[]).await.expect(3);
        assert!(run.error().contains("2 rows that the log has are missing"), "{}", run.error());
    }
    house.at(&["verify", "Invoice", "--repair"]).await.expect(0);
    house.backfill(&["Invoice"], &[]).await.expect(0);
    // A look that found nothing wrong, well after they were read, is enough for all that come later.
    let looks = "SELECT count(*) FROM raw.backfill_validation";
    let later = "UPDATE raw.backfill_log SET finished_at_utc = finished_at_utc - interval '1 hour'";
    house.client().await.batch_execute(later).await.unwrap();
    let before = house.number(looks).await;
    house.backfill(&["Invoice"], &[]).await.expect(0);
    assert_eq!(house.number(looks).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_windows_and_the_one_that_holds_an_instant_are_read_again() {
    let house = House::new(&Shape::default().with_counts(300, 5, 5)).await;
    let wrong = Fault::json(400, "4000");
    // For as long as it lasts: one that comes once is taken for that of a record, and passes.
    let always = Rule::on(CallKind::Query, wrong).containing("FROM Invoice").after(2).always();
    house.sandbox.faults().push(always);
    house.backfill(&["Invoice"], &["--page-size", "100", "--concurrency", "1"]).await.expect(3);
    house.sandbox.faults().clear();
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
    assert!(nowhere.error().contains("no window of the log contains"));
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
