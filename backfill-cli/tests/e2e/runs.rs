use std::io::{BufRead as _, BufReader};
use std::process::Command;

use fixtures::{CallKind, EntityKind, Fault, Hostile, Record, Rule, Shape};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::house::{House, THREE, YEAR, ended, wait};

fn events(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_ends_with_every_record_and_the_users_own_queries_run() {
    let house = House::new(&Shape::default().with_counts(2300, 200, 60).with_bulk_import(70)).await;
    let run = house.backfill(&["Invoice", "Customer", "Item"], &[]).await.expect(0);
    assert!(run.stdout.contains("look at the data: psql"), "{}", run.stdout);

    for (entity, table) in [("Invoice", "qb_invoices"), ("Customer", "qb_customers"), ("Item", "qb_items")] {
        let expected = house.sandbox.with_company(|company| company.count(entity));
        assert_eq!(house.number(&format!("SELECT count(*) FROM raw.{table}")).await, expected as i64);
        let duplicates = format!("SELECT id, COUNT(*) FROM raw.{table} GROUP BY id HAVING COUNT(*) > 1");
        assert!(house.query(&duplicates).await.is_empty());
        let by_day =
            format!("SELECT extract_window_start_utc::date, COUNT(*) FROM raw.{table} GROUP BY 1 ORDER BY 1");
        assert!(!house.query(&by_day).await.is_empty());
    }
    let log = house
        .query(
            "SELECT entity_name, window_start_utc, window_end_utc, records_inserted, records_updated, status, \
             duration_seconds FROM raw.backfill_log ORDER BY window_start_utc",
        )
        .await;
    assert_eq!(log.len(), 3 * 366);
    let sums = house
        .query(
            "SELECT entity_name, SUM(records_read)::bigint, SUM(records_inserted)::bigint, \
             SUM(records_updated)::bigint, SUM(duration_seconds) FROM raw.backfill_log \
             WHERE status = 'completed' GROUP BY entity_name ORDER BY entity_name",
        )
        .await;
    assert_eq!(sums.len(), 3);
    assert_eq!(sums[1].get::<_, &str>(0), "invoices");
    assert_eq!((sums[1].get::<_, i64>(1), sums[1].get::<_, i64>(2)), (2300, 2300));
    let last = house
        .query("SELECT * FROM raw.backfill_log WHERE entity_name = 'invoices' ORDER BY started_at_utc DESC LIMIT 5")
        .await;
    assert_eq!(last.len(), 5);
    assert_eq!(house.sandbox.violations(), 0);
    let requests = "SELECT count(*) FROM raw.qb_invoices WHERE request_payload->>'query' NOT LIKE 'SELECT %'";
    assert_eq!(house.number(requests).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_keep_every_digit_on_their_way_into_jsonb() {
    let house = House::new(&Shape::default().with_counts(300, 10, 5)).await;
    house.backfill(&["Invoice"], &[]).await.expect(0);
    let stored = house.query("SELECT id, payload::text FROM raw.qb_invoices").await;
    let client = house.client().await;
    for row in stored {
        let (id, text): (&str, &str) = (row.get(0), row.get(1));
        let sent =
            house.sandbox.with_company(|company| company.record("Invoice", id).unwrap().payload.clone());
        let sent = String::from_utf8(sent.to_vec()).unwrap();
        let same = client.query_one("SELECT $1::text::jsonb::text = $2", &[&sent, &text]).await.unwrap();
        assert!(same.get::<_, bool>(0), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_calls_nobody_and_a_forced_one_writes_nothing() {
    let house = House::new(&Shape::default().with_counts(1200, 60, 20)).await;
    house.backfill(&THREE, &[]).await.expect(0);
    let calls = house.sandbox.journal().metered();
    let versions = "SELECT md5(string_agg(id || xmin::text, ',' ORDER BY id)) FROM raw.qb_invoices";
    let before: String = house.query(versions).await[0].get(0);

    house.backfill(&THREE, &[]).await.expect(0);
    assert_eq!(house.sandbox.journal().metered(), calls);

    let forced = house.backfill(&THREE, &["--force", "--output", "json"]).await.expect(0);
    let events = events(&forced.stdout);
    let last = events.last().unwrap();
    assert_eq!(last["ev"], "run_finished");
    assert_eq!((&last["totals"]["inserted"], &last["totals"]["updated"]), (&0.into(), &0.into()));
    assert_eq!(last["totals"]["unchanged"], 1280);
    assert_eq!(house.query(versions).await[0].get::<_, String>(0), before, "rows were rewritten");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_follow_the_contract_and_add_up() {
    let house = House::new(&Shape::default().with_counts(1500, 80, 20)).await;
    let run = house.backfill(&["Invoice", "Customer"], &["--output", "json"]).await.expect(0);
    let events = events(&run.stdout);
    assert!(events.iter().all(|event| event["v"] == 1 && event["t"].as_str().unwrap().ends_with('Z')));
    let named = |name: &str| events.iter().filter(|event| event["ev"] == name).collect::<Vec<_>>();
    let started = named("run_started")[0];
    assert_eq!(started["windows"], 2 * 366);
    assert_eq!(started["pipelines"], serde_json::json!(["qb_invoices_backfill", "qb_customers_backfill"]));
    let sum =
        |name: &str, key: &str| named(name).iter().map(|event| event[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sum("page", "rows"), 1580);
    assert_eq!(sum("window", "read"), 1580);
    assert_eq!(named("window").len(), 2 * 366);
    let finished = named("run_finished")[0];
    assert_eq!((&finished["status"], &finished["exit_code"]), (&"completed".into(), &0.into()));
    assert_eq!(finished["calls"].as_u64().unwrap() as usize, house.sandbox.journal().metered());
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_status_runs_and_report_agree_with_the_log() {
    let house = House::new(&Shape::default().with_counts(400, 30, 10)).await;
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let plan = house.at(&[&["plan", "--output", "json"], &THREE[..], &YEAR[..]].concat()).await.expect(0);
    assert_eq!(json(&plan.stdout)["windows_to_read"], 3 * 366);
    assert_eq!(house.sandbox.journal().calls().len(), 0, "plan called QuickBooks");

    house.backfill(&THREE, &[]).await.expect(0);
    let status = json(&house.at(&["status", "--output", "json"]).await.expect(0).stdout);
    assert_eq!(status["pipelines"].as_array().unwrap().len(), 3);
    assert!(status["pipelines"].as_array().unwrap().iter().all(|one| one["completed"] == 366));
    let runs = json(&house.at(&["runs", "--output", "json"]).await.expect(0).stdout);
    let id = runs[0]["run_id"].as_str().unwrap().to_owned();
    let shown = json(&house.at(&["runs", "show", &id, "--output", "json"]).await.expect(0).stdout);
    assert_eq!(shown["totals"]["inserted"], 440);

    let report = json(&house.at(&["report", "--format", "json"]).await.expect(0).stdout);
    let windows =
        report["pipelines"].as_array().unwrap().iter().flat_map(|one| one["windows"].as_array().unwrap());
    assert_eq!(windows.map(|line| line["records_read"].as_u64().unwrap()).sum::<u64>(), 440);
    let markdown = house.at(&["report", &id, "--format", "md"]).await.expect(0).stdout;
    assert!(markdown.contains("## qb_invoices_backfill") && markdown.contains("| 400 |"), "{markdown}");
    let file = house.home().join("report.md");
    house.at(&["report", "--format", "md", "--out", file.to_str().unwrap()]).await.expect(0);
    assert_eq!(std::fs::read_to_string(file).unwrap(), markdown);
    let planned = house.at(&[&["plan", "--output", "json"], &THREE[..], &YEAR[..]].concat()).await.expect(0);
    assert_eq!(json(&planned.stdout)["estimated_calls"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_stored_is_kept_with_its_bytes_and_its_window_says_so() {
    let shape = [
        Hostile::WithoutId,
        Hostile::NulEscape,
        Hostile::LoneSurrogate,
        Hostile::InvalidUtf8,
        Hostile::HugeNumber,
    ]
    .into_iter()
    .fold(Shape::default().with_counts(200, 10, 5), |shape, hostile| shape.with_hostile("Invoice", hostile));
    let house = House::new(&shape).await;
    let run = house.backfill(&["Invoice"], &[]).await.expect(3);
    assert!(run.error().contains("5 records are in quarantine"), "{}", run.error());
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 200);
    let kept = house.query("SELECT raw, reason FROM raw.quarantine ORDER BY reason").await;
    assert_eq!(kept.len(), 5);
    house.sandbox.with_company(|company| {
        for row in &kept {
            let raw: Vec<u8> = row.get(0);
            assert!(
                company.records("Invoice").any(|record| record.payload == raw),
                "the bytes are not as sent"
            );
        }
    });
    let marked = "SELECT sum(records_quarantined)::bigint FROM raw.backfill_log";
    assert_eq!(house.number(marked).await, 5);
    // Reading the same records again keeps one copy of each.
    house.backfill(&["Invoice"], &["--force"]).await.expect(3);
    assert_eq!(house.number("SELECT count(*) FROM raw.quarantine").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_private_database_is_used_where_none_is_named_and_keeps_its_data() {
    let house = House::new(&Shape::default().with_counts(150, 10, 5)).await;
    let url = house.sandbox.url();
    let words = [&["run", "Invoice", "--api-url", &url, "--oauth-url", &url], &YEAR[..]].concat();
    house.run(&words).await.expect(0);
    let calls = house.sandbox.journal().metered();
    house.run(&words).await.expect(0);
    assert_eq!(house.sandbox.journal().metered(), calls, "the data of the first run is gone");
    let count =
        house.run(&["db", "psql", "-At", "-c", "SELECT count(*) FROM raw.qb_invoices"]).await.expect(0);
    assert_eq!(count.stdout.trim(), "150");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_the_whole_job_and_proves_it() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_qbo-backfill"));
    command.env_clear().env("HOME", home.path()).env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.args(["demo", "--invoices", "600"]).stdin(std::process::Stdio::null());
    let demo = ended(command).await.expect(0);
    for part in
        ["600 records,    600 rows  ✓", "inserted 0, updated 0, unchanged 665  ✓", "demo --keep keeps it"]
    {
        assert!(demo.stdout.contains(part), "{part:?} is missing:\n{}", demo.stdout);
    }
    let last = demo.stdout.lines().last().unwrap().trim();
    assert!(std::fs::read_to_string(last).unwrap().contains("qb_items_backfill"), "{last}");
    std::fs::remove_file(last).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_named_by_the_beginning_of_its_id_or_as_the_latest() {
    let house = House::new(&Shape::default().with_counts(20, 5, 5)).await;
    let nothing = house.at(&["db", "init"]).await.expect(0);
    assert!(nothing.stdout.is_empty(), "{}", nothing.stdout);
    assert!(house.at(&["report", "latest"]).await.expect(2).error().contains("nothing has been run yet"));
    house.backfill(&["Item"], &[]).await.expect(0);
    let shown = async |words: &[&str]| {
        let shown = house.at(&[words, &["--output", "json"]].concat()).await.expect(0);
        serde_json::from_str::<Value>(&shown.stdout).unwrap()
    };
    let first = shown(&["runs"]).await[0]["run_id"].as_str().unwrap().to_owned();
    // The only run begins with every beginning of its id.
    assert_eq!(shown(&["runs", "show", &first[..3]]).await["run_id"], first);
    assert_eq!(shown(&["report", "2"]).await["run_id"], first);
    house.backfill(&["Customer"], &[]).await.expect(0);
    let last = shown(&["runs"]).await[0]["run_id"].as_str().unwrap().to_owned();
    assert_ne!(first, last);
    assert_eq!(shown(&["report", &first]).await["run_id"], first);
    assert_eq!(shown(&["report", &last[..last.len() - 2]]).await["run_id"], last);
    assert_eq!(shown(&["runs", "show", "latest"]).await["run_id"], last);

    for command in [&["report"][..], &["runs", "show"], &["cancel"]] {
        let ambiguous = house.at(&[command, &["2"]].concat()).await.expect(2);
        assert!(
            ambiguous.error().contains("ambiguous") && ambiguous.error().contains(&first),
            "{}",
            ambiguous.stderr
        );
        let unknown = house.at(&[command, &["none-such"]].concat()).await.expect(2);
        assert!(unknown.error().contains("there is no run none-such"), "{}", unknown.stderr);
    }
    let over = house.at(&["cancel", "latest"]).await.expect(2);
    assert!(over.error().contains(&format!("run {last} is not running")), "{}", over.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_with_a_paragraph_and_shows_its_tables_where_they_are_wanted() {
    let house = House::new(&Shape::default().with_counts(20, 5, 5)).await;
    let run = house.backfill(&["Item"], &[]).await.expect(0);
    for part in
        ["It read 5 records: 5 inserted", "All of the range is completed (366 windows)", "Nothing is missing"]
    {
        assert!(run.stdout.contains(part), "{part:?} is missing:\n{}", run.stdout);
    }
    assert!(!run.stdout.contains("This run\n"), "{}", run.stdout);
    let line = run.stdout.lines().find_map(|line| line.strip_prefix("windows and findings: qbo-backfill "));
    let words: Vec<_> = line.unwrap().split(' ').collect();
    assert!(house.at(&words).await.expect(0).stdout.contains("The range as it stands now"));
    let whole = house.backfill(&["Item"], &["--force", "--details"]).await.expect(0);
    assert!(whole.stdout.contains("This run\n") && whole.stdout.contains("Findings\n"), "{}", whole.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_takes_its_format_from_the_name_of_its_file() {
    let house = House::new(&Shape::default().with_counts(20, 5, 5)).await;
    house.backfill(&["Item"], &[]).await.expect(0);
    for (name, beginning) in
        [("a.html", "<!doctype html>"), ("a.json", "{"), ("a.md", "# "), ("a.txt", "Run 2")]
    {
        house.at(&["report", "--out", name]).await.expect(0);
        let text = std::fs::read_to_string(house.home().join(name)).unwrap();
        assert!(text.starts_with(beginning), "{name}: {text}");
    }
    house.at(&["report", "--out", "b.html", "--format", "md"]).await.expect(0);
    assert!(std::fs::read_to_string(house.home().join("b.html")).unwrap().starts_with("# "));
    let refused = house.at(&["report", "--out", "a.pdf"]).await.expect(2);
    assert!(refused.error().contains(".pdf") && refused.error().contains(".html"), "{}", refused.stderr);
    assert!(!house.home().join("a.pdf").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_on_stdin_or_in_a_folder_start_a_vault_and_the_rotated_token_outlives_them() {
    let house = House::new(&Shape::default().with_counts(40, 5, 5)).await;
    let credentials = house.sandbox.credentials();
    std::fs::remove_dir_all(house.data()).unwrap();
    let folder = house.home().join("given");
    std::fs::create_dir(&folder).unwrap();
    for (name, value) in [
        ("QBO_CLIENT_ID", &credentials.client_id),
        ("QBO_CLIENT_SECRET", &credentials.client_secret),
        ("QBO_REALM_ID", &credentials.realm_id),
        ("QBO_REFRESH_TOKEN", &credentials.refresh_token),
    ] {
        std::fs::write(folder.join(name), format!("{value}\n")).unwrap();
    }
    std::fs::write(folder.join("PG_PASSWORD"), house.database.password()).unwrap();
    let given = folder.to_str().unwrap();
    house.backfill(&["Item"], &["--secrets", given]).await.expect(0);
    // The emulator rotates at every refresh: the folder's token is dead by now, its descendant in the vault lives.
    house.sandbox.expire_access_tokens();
    house.backfill(&["Customer"], &["--secrets", given]).await.expect(0);
    assert!(house.sandbox.token_calls() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_down_is_exit_6_and_the_same_command_finishes_the_job() {
    let house = House::new(&Shape::default().with_counts(900, 5, 5)).await;
    let fault = Fault::Html { status: 503 };
    // Several places would share the failures out, and none would meet enough of them.
    let one_place = ["--page-size", "200", "--concurrency", "1"];
    house.sandbox.faults().push(Rule::on(CallKind::Query, fault).after(3).times(6 + 3));
    let run = house.backfill(&["Invoice"], &one_place).await.expect(6);
    assert!(run.error().contains("committed data stays"), "{}", run.error());
    house.backfill(&["Invoice"], &one_place).await.expect(0);
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 900);
    let read = "SELECT sum(records_read)::bigint FROM raw.backfill_log";
    assert_eq!(house.number(read).await, 900, "something was counted twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entity_of_the_users_own_is_a_row_of_toml() {
    let house = House::new(&Shape::default().with_counts(5, 5, 5)).await;
    house.sandbox.with_company(|company| {
        company.add_entity("Bill", EntityKind::Transaction);
        for id in 1..=40 {
            let payload = format!(
                r#"{{"Id":"{id}","SyncToken":"0","MetaData":{{"CreateTime":"2024-05-{:02}T10:00:00-07:00","LastUpdatedTime":"2024-05-{:02}T10:00:00-07:00"}},"TotalAmt":{id}.00}}"#,
                1 + id % 28,
                1 + id % 28
            );
            company.insert("Bill", Record::from_payload(payload.into_bytes()).unwrap());
        }
    });
    let own = "[[entity]]\nname = 'Bill'\nplural = 'bills'\nkind = 'transaction'\naxes = ['updated']\n";
    std::fs::write(house.home().join("own.toml"), own).unwrap();
    std::fs::write(house.home().join("qbo-backfill.toml"), "[profile.default]\ncatalog = 'own.toml'\n")
        .unwrap();
    house.backfill(&["qb_bills_backfill"], &[]).await.expect(0);
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_bills").await, 40);
    assert!(house.run(&["entities"]).await.expect(0).stdout.contains("qb_bills_backfill"));
    house.at(&["db", "check"]).await.expect(0);
}

/// With the source down the breaker lets one call out each half minute, and the run goes on by itself once it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_down_is_asked_twice_a_minute_and_the_run_recovers_by_itself() {
    let house = House::new(&Shape::default().with_counts(300, 20, 20)).await;
    house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::json(503, "0")).always());
    let mut run = house.start(&["--output", "json"]);
    let mut events = BufReader::new(run.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let mut opened = || {
        let event =
            events.by_ref().find(|event| event["ev"] == "breaker" && event["state"] == "open").unwrap();
        let at = OffsetDateTime::parse(event["t"].as_str().unwrap(), &Rfc3339).unwrap();
        (at, house.sandbox.journal().count(CallKind::Query))
    };
    opened();
    let (first, calls) = opened();
    let (second, calls_then) = opened();
    assert_eq!(calls_then - calls, 1);
    assert!(second - first > time::Duration::seconds(29), "{}", second - first);

    house.sandbox.faults().clear();
    let end = events.find(|event| event["ev"] == "run_finished").unwrap();
    assert_eq!(end["status"], "completed", "{end}");
    wait(run).await.expect(0);
    let invoices = house.number("SELECT count(*) FROM raw.qb_invoices").await;
    assert_eq!(invoices, 300);
}
