//! What QuickBooks accepts, found out with small questions, and a file without any data of the company.

use std::collections::BTreeSet;

use fixtures::{CallKind, Fault, Record, Refused, Rule, Shape, Unavailable};
use qbo_auth::{Clock as _, SystemClock};
use serde_json::Value;

use crate::house::{Ended, House};

fn answers(house: &House) -> Value {
    let text = std::fs::read_to_string(house.home().join("qbo-probe.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The answer to one question.
fn answer<'a>(document: &'a Value, entity: &str, question: &str) -> &'a Value {
    let mut answers = document["answers"].as_array().unwrap().iter();
    answers.find(|one| one["entity"] == entity && one["question"] == question).unwrap_or(&Value::Null)
}

/// The verdict of an assumption about an entity.
fn verdict<'a>(document: &'a Value, entity: &str, claim: &str) -> &'a Value {
    let mut assumptions = document["assumptions"].as_array().unwrap().iter();
    let found =
        assumptions.find(|one| one["entity"] == entity && one["claim"].as_str().unwrap().contains(claim));
    found.map_or(&Value::Null, |one| &one["verdict"])
}

/// Every text in a value that is longer than a code or a small number.
fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.len() > 5 => _ = found.insert(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(members) => members.values().for_each(|value| texts(value, found)),
        Value::Number(number) if number.to_string().len() > 5 => _ = found.insert(number.to_string()),
        _ => {}
    }
}

/// What the records of the company hold, and what a probe may not tell: all texts and long numbers in them.
fn markers(house: &House) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    house.sandbox.with_company(|company| {
        for entity in company.entities() {
            for record in company.records(&entity) {
                let record: Value = serde_json::from_slice(&record.full_payload()).unwrap_or_default();
                texts(&record, &mut found);
            }
        }
        // Types such as `Inventory`, which are Intuit's words, are part of the names of entities.
        let names = company.entities();
        found.retain(|marker| !names.iter().any(|name| name.contains(marker.as_str())));
    });
    assert!(found.len() > 500, "only {} markers", found.len());
    found
}

fn check_no_data(house: &House, ended: &Ended) {
    let file = std::fs::read_to_string(house.home().join("qbo-probe.json")).unwrap();
    for said in [&file, &ended.stdout, &ended.stderr] {
        let told: Vec<_> =
            markers(house).into_iter().filter(|marker| said.contains(marker.as_str())).collect();
        assert!(told.is_empty(), "{told:?}");
        for secret in ["canary", "Canary", house.sandbox.realm_id()] {
            assert!(!said.contains(secret), "{secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_tells_shapes_and_nothing_of_the_company() {
    let house = House::new(&Shape::default().every_entity(12)).await;
    house.sandbox.with_company(|company| {
        company.give_custom_fields("Invoice");
        company.give_custom_fields("Customer");
        // The probe asks for what was deleted lately, by this machine's clock.
        company.advance(SystemClock::new().now_utc() - company.now());
        let id = company.records("Invoice").next().unwrap().id.clone();
        assert!(company.delete("Invoice", &id));
        // A key that no documentation has, with an id and a name that must not be told either.
        let odd = r#"{"Id":"canary-id","SyncToken":"0","CanaryKey":"canary","Name":"canary-name","Active":true,
            "MetaData":{"CreateTime":"2001-01-01T00:00:00Z","LastUpdatedTime":"2001-01-01T00:00:00Z"}}"#;
        company.insert("Class", Record::from_payload(odd).unwrap());
    });
    let ended = house.at(&["probe", "--log-level", "trace"]).await.expect(0);
    check_no_data(&house, &ended);
    let document = answers(&house);
    let invoices = answer(&document, "Invoice", "as_run");
    assert_eq!((&invoices["outcome"], &invoices["records"]), (&"accepted".into(), &10.into()));
    let keys = invoices["keys"].as_array().unwrap();
    assert!(keys.contains(&"TotalAmt".into()) && keys.contains(&"CustomField".into()), "{keys:?}");
    let classes = answer(&document, "Class", "as_run");
    assert_eq!((&classes["other_keys"], &classes["other_ids"]), (&1.into(), &1.into()));
    assert_eq!(verdict(&document, "Invoice", "all custom fields"), "holds");
    assert_eq!(verdict(&document, "Invoice", "sorted by id"), "holds");
    assert_eq!(verdict(&document, "Invoice", "a run's requests"), "holds");
    assert_eq!(verdict(&document, "Invoice", "change data capture"), "holds");
    assert_eq!(verdict(&document, "Customer", "change data capture"), "unknown", "none was deleted");
    assert_eq!(verdict(&document, "Invoice", "at most 1000"), "holds");
    // The emulated company refuses a query for more records than a page holds.
    assert_eq!(answer(&document, "Invoice", "over_limit")["outcome"], "refused");
    assert_eq!(document["is_whole"], true);
    let calls = document["calls"].as_u64().unwrap();
    let journal = house.sandbox.journal();
    let made = [CallKind::Query, CallKind::Cdc].map(|kind| journal.count(kind) as u64).iter().sum::<u64>();
    assert_eq!(calls, made);
    assert!(calls < 65, "{calls} calls");
    assert!(ended.stderr.contains("at most 150 API calls"), "{}", ended.stderr);
    assert!(house.number("SELECT sum(calls)::bigint FROM raw.call_month").await > 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_found_part_by_part_and_applied() {
    let shape = Shape::default().every_entity(12).without("Budget", Unavailable::Unknown);
    let house = House::new(&shape).await;
    house.sandbox.with_company(|company| {
        company.refuse("Vendor", Refused::Include);
        company.refuse("Term", Refused::Active);
        company.refuse("Deposit", Refused::Order);
        company.refuse("Class", Refused::Time);
    });
    let ended = house.at(&["probe", "--apply"]).await.expect(0);
    check_no_data(&house, &ended);
    let document = answers(&house);
    assert_eq!(answer(&document, "Budget", "as_run")["outcome"], "unavailable");
    for (entity, refused) in [
        ("Vendor", "with_custom_fields"),
        ("Term", "with_active"),
        ("Deposit", "with_order"),
        ("Class", "with_time"),
    ] {
        assert_eq!(answer(&document, entity, refused)["outcome"], "refused", "{entity}");
        assert_eq!(answer(&document, entity, "bare")["outcome"], "accepted", "{entity}");
        assert_eq!(verdict(&document, entity, "a run's requests"), "fails", "{entity}");
    }
    assert!(ended.stdout.contains("Term: a run's requests are accepted – not so"), "{}", ended.stdout);

    let written = std::fs::read_to_string(house.home().join("qbo-catalog.toml")).unwrap();
    for entry in [
        "name = \"Vendor\"\ncustom_fields = false\n",
        "name = \"Term\"\nactive = false\n",
        "name = \"Class\"\nsnapshot = true\n",
    ] {
        assert!(written.contains(entry), "{entry}: {written}");
    }
    // Runs read the range without the order by themselves.
    assert_eq!(written.matches("[[entity]]").count(), 3);
    assert!(
        ended.stdout.contains("refused alone: order; runs find this out by themselves"),
        "{}",
        ended.stdout
    );
    assert!(ended.stderr.contains("catalog = \"qbo-catalog.toml\""), "{}", ended.stderr);

    // Before the file is in use, a second probe finds the same, and does not add it again.
    let ended = house.at(&["probe", "--apply"]).await.expect(0);
    assert!(ended.stderr.contains("has entries for all that is refused"), "{}", ended.stderr);
    assert!(ended.stderr.contains("catalog = \"qbo-catalog.toml\""), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(house.home().join("qbo-catalog.toml")).unwrap(), written);

    // With the profile's catalogue, everything is accepted, and a second probe adds nothing.
    let settings = "[profile.default]\ncatalog = \"qbo-catalog.toml\"\n";
    std::fs::write(house.home().join("qbo-backfill.toml"), settings).unwrap();
    let ended = house.at(&["probe", "--apply"]).await.expect(0);
    assert!(ended.stderr.contains("the catalogue stays as it is"), "{}", ended.stderr);
    assert_eq!(verdict(&answers(&house), "Vendor", "a run's requests"), "holds");
    assert_eq!(std::fs::read_to_string(house.home().join("qbo-catalog.toml")).unwrap(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_makes_no_more_calls_than_it_may() {
    let house = House::new(&Shape::default().every_entity(3)).await;
    // Repeats count as well.
    house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Html { status: 503 }).times(2));
    let ended = house.at(&["probe", "--max-calls", "9", "--output", "json"]).await.expect(3);
    let journal = house.sandbox.journal();
    assert_eq!(journal.calls().iter().filter(|call| call.kind.is_metered()).count(), 9);
    assert!(ended.error().contains("not asked"), "{}", ended.error());
    let document = answers(&house);
    assert_eq!((&document["is_whole"], &document["calls"]), (&false.into(), &9.into()));
    let told: Value = serde_json::from_str(ended.stdout.lines().collect::<Vec<_>>().join("\n").as_str())
        .unwrap_or_default();
    assert_eq!(told["calls"], 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_survive_an_error_that_ends_the_probe() {
    let house = House::new(&Shape::default().every_entity(3)).await;
    let refused = Fault::Gateway { status: 403, code: "3100".into() };
    house.sandbox.faults().push(Rule::on(CallKind::Query, refused).after(7).always());
    let ended = house.at(&["probe"]).await.expect(5);
    assert!(ended.error().contains("the answers before it are in qbo-probe.json"), "{}", ended.error());
    let document = answers(&house);
    assert_eq!((&document["is_whole"], document["answers"].as_array().unwrap().len()), (&false.into(), 7));
    // Without any answer, no file is written over the earlier one.
    house.at(&["probe"]).await.expect(5);
    assert_eq!(answers(&house), document);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_file_keeps_its_permissions() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::new(&Shape::default().every_entity(3)).await;
    house.sandbox.with_company(|company| company.refuse("Vendor", Refused::Include));
    let file = house.home().join("qbo-catalog.toml");
    std::fs::write(&file, "# Ours.\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    house.at(&["probe", "--apply"]).await.expect(0);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# Ours.\n") && text.contains("custom_fields = false"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_written_costs_no_call() {
    let house = House::new(&Shape::default().with_counts(1, 1, 1)).await;
    let ended = house.at(&["probe", "--out", "missing/answers.json"]).await.expect(2);
    assert!(ended.error().contains("--out"), "{}", ended.error());
    let ended = house.at(&["probe", "--out", "."]).await.expect(2);
    assert!(ended.error().contains("--out"), "{}", ended.error());
    assert_eq!(house.sandbox.journal().calls().len(), 0);
}
