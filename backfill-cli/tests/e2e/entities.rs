//! Every entity of the catalogue through the real binary, and what a company may not have.

use fixtures::{Refused, Shape, Unavailable};
use serde_json::Value;

use crate::house::{House, YEAR};

/// Months instead of days: what is tested here is not the number of windows.
const MONTHS: [&str; 2] = ["--chunk", "month"];

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect(text)
}

/// Intuit's name and our table of every entity.
async fn tables(house: &House) -> Vec<(String, String)> {
    let entities = json(&house.run(&["entities", "--output", "json"]).await.expect(0).stdout);
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    entities.as_array().unwrap().iter().map(|one| (text(one, "entity"), text(one, "table"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn run_all_fills_a_table_for_every_entity_and_says_what_the_company_lacks() {
    let shape = Shape::default().every_entity(25);
    let shape =
        shape.without("Budget", Unavailable::Unknown).without("JournalCode", Unavailable::NotSupported);
    let house = House::new(&shape).await;
    let run = house.backfill(&["all"], &[&MONTHS[..], &["--details"]].concat()).await.expect(0);
    for (entity, table) in tables(&house).await {
        let missing = matches!(entity.as_str(), "Budget" | "JournalCode");
        let expected =
            if missing { 0 } else { house.sandbox.with_company(|company| company.count(&entity)) as i64 };
        assert_eq!(house.number(&format!("SELECT count(*) FROM raw.{table}")).await, expected, "{entity}");
    }
    let said = "qb_budgets_backfill: not available in this company (code 4001); 12 windows left unread";
    assert!(run.stdout.contains(said) && run.stderr.contains(said), "{}\n{}", run.stdout, run.stderr);
    assert!(!run.stdout.contains("run the same command again"), "{}", run.stdout);
    let links = "SELECT count(*) FROM raw.qb_attachables WHERE payload::text LIKE '%TempDownloadUri%'";
    assert_eq!(house.number(links).await, 0);
    let snapshots =
        "SELECT count(*) FROM raw.backfill_log WHERE entity_name IN ('company_info', 'preferences')";
    assert_eq!(house.number(snapshots).await, 2);

    let status = json(&house.at(&["status", "Budget", "--output", "json"]).await.expect(0).stdout);
    assert_eq!(
        (&status["pipelines"][0]["unavailable"], &status["pipelines"][0]["failed"]),
        (&12.into(), &0.into())
    );
    let runs = json(&house.at(&["runs", "--output", "json"]).await.expect(0).stdout);
    assert_eq!(
        (&runs[0]["status"], &runs[0]["totals"]["windows_unavailable"]),
        (&"completed".into(), &24.into())
    );
    let report = json(&house.at(&["report", "--format", "json"]).await.expect(0).stdout);
    let windows = |name: &str| {
        let mut pipelines = report["pipelines"].as_array().unwrap().iter();
        pipelines.find(|one| one["entity_name"] == name).unwrap()["windows"].as_array().unwrap().len()
    };
    assert_eq!((windows("company_info"), windows("bills")), (1, 12));
    let report = house.at(&["report", "--format", "md"]).await.expect(0).stdout;
    assert!(report.contains("| unavailable |") && report.contains("(code 5030)"), "{report}");

    let forced =
        house.backfill(&["all"], &[&MONTHS[..], &["--force", "--output", "json"]].concat()).await.expect(0);
    let events: Vec<_> = forced.stdout.lines().map(json).collect();
    let last = events.last().unwrap();
    assert_eq!((&last["totals"]["inserted"], &last["totals"]["updated"]), (&0.into(), &0.into()));
    assert_eq!(last["totals"]["windows_unavailable"], 24);
    let findings = events.iter().filter(|event| event["ev"] == "finding" && event["kind"] == "unavailable");
    assert_eq!(findings.count(), 2);
    house.at(&["db", "check"]).await.expect(0);
    let words = ["plan", "CompanyInfo", "--from", "2023-01-01", "--to", "2024-01-01"];
    let plan = house.at(&words).await.expect(0).stdout;
    assert!(plan.contains("as it is now, in one window"), "{plan}");
}

/// What the company refuses, and the sentence about it.
const REFUSED: [(&str, &str, Refused, &str); 5] = [
    ("Invoice", "invoices", Refused::Include, "QuickBooks refuses to send all custom fields"),
    ("Item", "items", Refused::Columns, "QuickBooks refuses columns beside *"),
    ("Term", "terms", Refused::Order, "QuickBooks refuses to sort them"),
    ("Account", "accounts", Refused::Active, "QuickBooks refuses to be asked for inactive ones"),
    ("Vendor", "vendors", Refused::Time, "QuickBooks refuses to be asked by time"),
];

#[tokio::test(flavor = "multi_thread")]
async fn run_all_on_a_company_that_refuses_parts_of_requests_is_complete_and_says_each_cause_once() {
    let shape = Shape { inactive_permille: 0, ..Shape::default().every_entity(25).with_custom_fields() };
    let house = House::new(&shape).await;
    house.sandbox.with_company(|company| {
        for (entity, _, part, _) in REFUSED {
            company.refuse(entity, part);
        }
        company.refuse("Budget", Refused::Entity);
    });
    let refused = || house.sandbox.journal().calls().iter().filter(|call| call.status == 400).count();
    let run = house.backfill(&["all"], &[]).await.expect(0);
    for (entity, name, _, sentence) in REFUSED {
        let said = |text: &str| text.lines().filter(|line| line.contains(sentence)).count();
        let line = format!("qb_{name}_backfill: {sentence}");
        assert!(run.stderr.contains(&line), "{line}\n{}", run.stderr);
        assert_eq!(said(&run.stderr), 1, "{}", run.stderr);
        assert!(said(&run.stdout) <= 2, "{}", run.stdout);
        let stored = house.number(&format!("SELECT count(*) FROM raw.qb_{name}")).await;
        assert_eq!(stored, house.sandbox.with_company(|company| company.count(entity)) as i64, "{entity}");
        let found = format!(
            "SELECT count(*) FROM raw.backfill_finding WHERE entity_name = '{name}' AND detail LIKE '{sentence}%'"
        );
        assert_eq!(house.number(&found).await, 1, "{entity}");
    }
    let unavailable = run.stderr.lines().filter(|line| line.starts_with("qb_budgets_backfill"));
    assert_eq!(unavailable.count(), 1, "{}", run.stderr);
    let part = |name| format!("SELECT count(*) FROM raw.source_refusal WHERE entity_name = '{name}'");
    for (_, name, ..) in REFUSED {
        assert_eq!(house.number(&part(name)).await, 1, "{name}");
    }
    assert_eq!(house.number(&part("budgets")).await, 0);

    // The next runs do not ask for it again; for an entity that the company lacks they do.
    let before = refused();
    let calls = house.sandbox.journal().metered();
    house.backfill(&["all"], &["--force"]).await.expect(0);
    let forced = house.sandbox.journal().metered() - calls;
    assert!(refused() - before <= 4, "{} refused calls", refused() - before);
    let plan = [&["plan", "all", "--force", "--output", "json"][..], &YEAR].concat();
    let plan = json(&house.at(&plan).await.expect(0).stdout);
    let planned = plan["estimated_calls"].as_u64().unwrap();
    // The entity that the company lacks is planned with a page and a count, and refused.
    let forced = forced as u64;
    assert!(planned - 2 <= forced && forced <= planned + 12, "{planned} planned, {forced} made");
    house.at(&["db", "check"]).await.expect(0);

    let status = json(&house.at(&["status", "--output", "json"]).await.expect(0).stdout);
    let of = |name: &str| {
        let mut pipelines = status["pipelines"].as_array().unwrap().iter();
        pipelines.find(|one| one["entity_name"] == name).unwrap().clone()
    };
    assert_eq!((&of("invoices")["rows"], &of("invoices")["rows_with_all_fields"]), (&25.into(), &0.into()));
    assert_eq!(of("customers")["rows_with_all_fields"], 25);
    assert_eq!(of("payments")["rows_with_all_fields"], Value::Null);
    assert_eq!(of("vendors")["left_out"], serde_json::json!(["time"]));
    let status = house.at(&["status"]).await.expect(0).stdout;
    assert!(
        status.contains("qb_invoices_backfill: QuickBooks refuses to send all custom fields"),
        "{status}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_stored_without_custom_fields_are_told_and_completed_by_force() {
    let house = House::new(&Shape::default().with_counts(40, 10, 5).with_custom_fields()).await;
    house.backfill(&["Invoice"], &["--custom-fields", "some"]).await.expect(0);
    let weights =
        "SELECT count(*) FROM raw.qb_invoices WHERE payload->'CustomField' @> '[{\"Type\":\"NumberType\"}]'";
    assert_eq!(house.number(weights).await, 0);
    let told = "all of them are known to be stored for 0 of 40 rows; run --force reads the others again";
    let status = house.at(&["status", "Invoice"]).await.expect(0).stdout;
    assert!(status.contains(told), "{status}");
    let run = house.backfill(&["Invoice"], &["--force", "--details"]).await.expect(0);
    assert!(
        run.stdout.contains("custom fields: all of them are known to be stored for 40 of 40 records"),
        "{}",
        run.stdout
    );
    assert_eq!(house.number(weights).await, 40);
    let includes =
        "SELECT count(*) FROM raw.qb_invoices WHERE request_payload->>'include' = 'enhancedAllCustomFields'";
    assert_eq!(house.number(includes).await, 40);
    let status = json(&house.at(&["status", "Invoice", "--output", "json"]).await.expect(0).stdout);
    assert_eq!(status["pipelines"][0]["rows_with_all_fields"], 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_read_by_the_axis_asked_for_without_those_that_lack_it() {
    let house = House::new(&Shape::default().with_counts(30, 10, 5).with_count("TaxPayment", 5)).await;
    let run =
        house.backfill(&["transactions"], &[&MONTHS[..], &["--by", "txn-date"]].concat()).await.expect(0);
    let note =
        "note: left out, because they cannot be read by txn-date: recurring_transactions, tax_payments";
    assert!(run.stderr.contains(note), "{}", run.stderr);
    let pipelines = "SELECT count(DISTINCT entity_name) FROM raw.backfill_log WHERE time_axis = ";
    assert_eq!(house.number(&format!("{pipelines}'txn-date'")).await, 18);
    assert!(house.number("SELECT count(*) FROM raw.qb_invoices").await > 0);

    house.backfill(&["lists"], &MONTHS).await.expect(0);
    assert_eq!(house.number(&format!("{pipelines}'updated'")).await, 16);
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_customers").await, 10);
    let unavailable = "SELECT count(DISTINCT entity_name) FROM raw.backfill_log WHERE status = 'unavailable'";
    assert_eq!(house.number(unavailable).await, 17 + 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_users_own_changes_the_size_of_an_entitys_pages() {
    let house = House::new(&Shape::empty().with_count("TimeActivity", 60)).await;
    let own = "[[entity]]\nname = 'TimeActivity'\npage_size = 10\n";
    std::fs::write(house.home().join("own.toml"), own).unwrap();
    std::fs::write(house.home().join("qbo-backfill.toml"), "[profile.default]\ncatalog = 'own.toml'\n")
        .unwrap();
    house.backfill(&["TimeActivity"], &MONTHS).await.expect(0);
    let pages = "SELECT count(*) FROM raw.qb_time_activities WHERE page_size = 10";
    assert_eq!(house.number(pages).await, 60);

    std::fs::write(house.home().join("own.toml"), "[[entity]]\nname = 'TimeActivity'\npage_size = 0\n")
        .unwrap();
    let refused = house.backfill(&["TimeActivity"], &MONTHS).await.expect(2);
    assert!(
        refused
            .error()
            .contains("entity TimeActivity: line 3, key page_size: a page holds 1 to 1000 records"),
        "{}",
        refused.error()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_is_a_table_that_can_be_read() {
    let house = House::without_consent(&Shape::empty(), fixtures::SandboxOptions::default()).await;
    let listed = house.run(&["entities"]).await.expect(0).stdout;
    let rows: Vec<&str> = listed.lines().skip(2).take(40).collect();
    let column = rows[0].find("qb_").unwrap();
    assert!(rows.iter().all(|row| row[column..].starts_with("qb_")), "{listed}");
    assert!(listed.lines().all(|line| line.chars().count() <= 165), "{listed}");
    assert!(listed.contains("transactions and lists"), "{listed}");
}
