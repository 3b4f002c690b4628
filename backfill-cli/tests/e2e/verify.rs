//! What is stored, beside what QuickBooks has.

use fixtures::{CallKind, Hostile, Shape};
use serde_json::Value;

use crate::house::{Ended, House, THREE, YEAR};

/// The events of one kind.
fn events(ended: &Ended, name: &str) -> Vec<Value> {
    let events = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["ev"] == name).collect()
}

/// Everything that a verification must leave alone.
async fn all(house: &House) -> String {
    let all = "SELECT md5(string_agg(t, '|' ORDER BY t)) FROM (
        SELECT 'invoice' || i::text || i.xmin::text FROM raw.qb_invoices AS i
        UNION ALL SELECT backfill_log::text FROM raw.backfill_log
        UNION ALL SELECT backfill_page::text FROM raw.backfill_page
        UNION ALL SELECT backfill_run::text FROM raw.backfill_run
        UNION ALL SELECT backfill_lease.entity_name || epoch FROM raw.backfill_lease
        UNION ALL SELECT quarantine::text FROM raw.quarantine) AS all_ (t)";
    house.query(all).await[0].get(0)
}

/// The kind and the id of each finding, in order.
fn named(found: &Ended) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let mut named: Vec<_> =
        events(found, "finding").iter().map(|one| (word(&one["kind"]), word(&one["id"]))).collect();
    named.sort_unstable();
    named
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_changed_or_gone_is_named_and_repaired() {
    let shape = Shape::default().with_counts(300, 20, 20).with_hostile("Invoice", Hostile::NulEscape);
    let house = House::new(&shape).await;
    house.backfill(&THREE, &[]).await.expect(3);
    house.at(&["verify", "Invoice"]).await.expect(3);
    house.accept_what_is_open().await;
    let before = all(&house).await;
    let agreed = house.at(&["verify", "Invoice", "Customer", "Item"]).await.expect(0);
    assert!(agreed.stdout.contains("nothing was changed"), "{}", agreed.stdout);
    assert_eq!(all(&house).await, before);

    let ids: Vec<String> =
        house.sandbox.with_company(|company| company.ids("Invoice").into_iter().take(6).collect());
    let client = house.client().await;
    let by_hand = format!(
        "DELETE FROM raw.qb_invoices WHERE id = '{}';
         UPDATE raw.qb_invoices SET payload = payload || '{{\"DocNumber\": \"forged\"}}' WHERE id = '{}'",
        ids[0], ids[1]
    );
    client.batch_execute(&by_hand).await.unwrap();
    let record = house.sandbox.with_company(|company| {
        let record = company.record("Invoice", &ids[3]).unwrap().clone();
        assert!(company.edit("Invoice", &ids[2]) && company.delete("Invoice", &ids[3]));
        record
    });
    let before = all(&house).await;
    let found = house.at(&["verify", "Invoice", "--output", "json"]).await.expect(3);
    assert_eq!(all(&house).await, before);
    let mut expected = [("changed", 1), ("changed", 2), ("gone", 3), ("missing", 0)]
        .map(|(kind, at)| (kind.to_owned(), ids[at].clone()));
    expected.sort_unstable();
    assert_eq!(named(&found), expected);
    let end = &events(&found, "verify_finished")[0];
    assert_eq!(end["exit_code"], 3);
    let invoices = &end["pipelines"][0];
    assert_eq!(
        (&invoices["missing"], &invoices["changed"], &invoices["gone"], &invoices["quarantined"]),
        (&1.into(), &2.into(), &1.into(), &1.into())
    );

    let text = house.at(&["verify", "Invoice"]).await.expect(3);
    for id in &ids[..4] {
        assert!(text.stdout.contains(id), "{id}: {}", text.stdout);
    }
    assert!(text.stdout.contains("deleted 20"), "{}", text.stdout);
    assert!(
        text.error()
            .contains("missing records: 1, changed: 2, not looked up: 0; windows that could not be read: 0"),
        "{}",
        text.error()
    );

    let repaired = house.at(&["verify", "Invoice", "--repair"]).await.expect(0);
    assert!(repaired.stdout.contains("rows marked as gone: 1"), "{}", repaired.stdout);
    let marked = format!(
        "SELECT count(*) FROM raw.qb_invoices WHERE gone_found_at_utc IS NOT NULL AND source_deleted_at_utc IS NOT NULL
             AND payload->>'Id' = '{}'",
        ids[3]
    );
    assert_eq!(house.number(&marked).await, 1, "what is gone stays, with its document and its mark");
    let end = house.at(&["verify", "Invoice"]).await.expect(0);
    assert!(!end.stdout.contains(&ids[3]), "what is marked is not told again: {}", end.stdout);
    let forged = "SELECT count(*) FROM raw.qb_invoices WHERE payload->>'DocNumber' = 'forged'";
    assert_eq!(house.number(forged).await, 0);
    let rows = "SELECT count(*) FROM raw.qb_invoices";
    let company = house.sandbox.with_company(|company| company.count("Invoice")) as i64;
    // One is in quarantine instead, and one is kept that is gone.
    assert_eq!(house.number(rows).await, company);
    let live = "SELECT count(*) FROM raw.v_qb_invoices_live";
    assert_eq!(house.number(live).await, company - 1);

    // The record comes back, and the next reading takes the mark back.
    house.sandbox.with_company(|company| company.insert("Invoice", record));
    house.at(&["verify", "Invoice"]).await.expect(3);
    house.at(&["verify", "Invoice", "--repair"]).await.expect(0);
    assert_eq!(house.number(live).await, company);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_can_be_marked_without_reading_anything_again() {
    let house = House::new(&Shape::default().with_counts(100, 0, 0)).await;
    house.backfill(&["Invoice"], &[]).await.expect(0);
    let ids: Vec<String> =
        house.sandbox.with_company(|company| company.ids("Invoice").into_iter().take(3).collect());
    house.sandbox.with_company(|company| {
        assert!(company.edit("Invoice", &ids[0]) && company.delete("Invoice", &ids[1]));
    });
    let ended = house.at(&["verify", "Invoice", "--mark-gone", "--output", "json"]).await.expect(3);
    let end = &events(&ended, "verify_finished")[0]["pipelines"][0];
    assert_eq!((&end["changed"], &end["gone"], &end["marked"]), (&1.into(), &1.into(), &1.into()));
    assert!(ended.error().contains("rows marked as gone: 1"), "{}", ended.error());
    let again = house.at(&["verify", "Invoice", "--output", "json"]).await.expect(3);
    let end = &events(&again, "verify_finished")[0]["pipelines"][0];
    assert_eq!((&end["changed"], &end["gone"], &end["marked"]), (&1.into(), &0.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_log_a_range_is_needed_and_without_a_schema_nothing_is_made() {
    let house = House::new(&Shape::default().with_counts(20, 5, 5)).await;
    let ended = house.at(&["verify", "Invoice"]).await.expect(7);
    assert!(ended.error().contains("db init"), "{}", ended.error());
    assert_eq!(house.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'raw'").await, 0);

    house.at(&["db", "init"]).await.expect(0);
    let ended = house.at(&["verify", "Invoice"]).await.expect(2);
    assert!(ended.error().contains("--from and --to"), "{}", ended.error());
    let calls = house.sandbox.journal().count(CallKind::Query);
    assert_eq!(calls, 0);
    let empty = house.at(&[&["verify", "Invoice"], &YEAR[..]].concat()).await.expect(3);
    assert!(empty.error().starts_with("error: missing records: 20,"), "{}", empty.error());
    house.at(&["verify", "Invoice", "--from", "2024-01-01"]).await.expect(2);
    house.at(&["verify", "invoces"]).await.expect(2);

    house.at(&[&["verify", "Invoice", "--repair"], &YEAR[..]].concat()).await.expect(0);
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 20);
    house.at(&["verify", "all"]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_proves_that_nothing_left_the_past_and_finds_what_did() {
    let house = House::new(&Shape::default().with_counts(3000, 20, 0)).await;
    house.backfill(&["Invoice", "Customer"], &[]).await.expect(0);
    let before = house.sandbox.journal().metered();
    let ended =
        house.at(&["verify", "Invoice", "Customer", "--by-count", "--output", "json"]).await.expect(0);
    assert_eq!(house.sandbox.journal().metered() - before, 2, "one call for each pipeline");
    let end = &events(&ended, "verify_finished")[0]["pipelines"][0];
    assert_eq!((&end["method"], &end["counted"], &end["same"]), (&"count".into(), &3000.into(), &0.into()));

    let id = house.sandbox.with_company(|company| {
        let id = company.ids("Invoice").into_iter().nth(1234).unwrap();
        assert!(company.delete("Invoice", &id));
        id
    });
    let ended = house.at(&["verify", "Invoice", "--by-count", "--mark-gone"]).await.expect(0);
    assert!(
        ended.stdout.contains(&id) && ended.stdout.contains("rows marked as gone: 1"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("Equal numbers prove that no record left"), "{}", ended.stdout);
    assert_eq!(house.number("SELECT count(*) FROM raw.v_qb_invoices_live").await, 2999);
    let before = house.sandbox.journal().metered();
    house.at(&["verify", "Invoice", "--by-count"]).await.expect(0);
    assert_eq!(house.sandbox.journal().metered() - before, 1);

    // What a verification has shown is kept, the newest of each kind.
    house.at(&["verify", "Customer"]).await.expect(0);
    let status = house.at(&["status"]).await.expect(0).stdout;
    assert!(status.contains("qb_invoices_backfill: confirmed by count on "), "{status}");
    assert!(status.contains("qb_customers_backfill: confirmed record by record on "), "{status}");
    let status = house.at(&["status", "Customer", "--output", "json"]).await.expect(0).stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    let verified = status["pipelines"][0]["verified"].as_array().unwrap();
    let methods: Vec<_> = verified.iter().map(|one| (&one["method"], &one["result"])).collect();
    assert_eq!(methods, [(&"compared".into(), &"confirmed".into()), (&"count".into(), &"confirmed".into())]);
    let kept = "SELECT count(*) FROM raw.backfill_verification WHERE result = 'confirmed'";
    assert_eq!(house.number(kept).await, 5);
}
