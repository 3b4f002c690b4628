//! The report: its numbers are those of the log in every format, and its page is one that a browser shows without a word.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fixtures::{Browser, Hostile, Shape, Unavailable};
use serde_json::Value;

use crate::house::{House, LOADER_PASSWORD, THREE, YEAR};

/// A year with a planted gap, a planted outlier and a record that cannot be stored, read twice.
async fn read_twice() -> House {
    let shape = Shape::default().with_counts(5000, 300, 90).with_bulk_import(60);
    let house = House::new(&shape.with_hostile("Invoice", Hostile::NulEscape)).await;
    house.backfill(&THREE, &[]).await.expect(3);
    house.backfill(&THREE, &["--force"]).await.expect(3);
    house
}

async fn report(house: &House, run: &str, format: &str) -> String {
    let run = if run.is_empty() { vec![] } else { vec![run] };
    house.at(&[&["report"], &run[..], &["--format", format]].concat()).await.expect(0).stdout
}

/// Rows of a question: the first column is a name, the others are numbers.
async fn numbers(house: &House, sql: &str) -> BTreeMap<String, Vec<i64>> {
    let rows = house.query(sql).await;
    rows.iter().map(|row| (row.get(0), (1..row.len()).map(|column| row.get(column)).collect())).collect()
}

/// What the totals of the report are, in the order of its columns, recounted from the log.
async fn totals(house: &House, run: &str) -> BTreeMap<String, Vec<i64>> {
    let sum = "sum(windows_opened)::bigint, sum(windows_completed)::bigint, sum(windows_provisional)::bigint,
        sum(windows_failed)::bigint, sum(windows_unavailable)::bigint,
        sum(records_inserted + records_updated + records_unchanged + records_quarantined)::bigint,
        sum(records_inserted)::bigint, sum(records_updated)::bigint, sum(records_unchanged)::bigint,
        sum(records_quarantined)::bigint, sum(pages_read)::bigint";
    let sql = format!(
        "SELECT coalesce(entity_name, 'all'), {sum} FROM raw.backfill_run_pipeline WHERE run_id = '{run}'
         GROUP BY ROLLUP (entity_name)"
    );
    numbers(house, &sql).await
}

/// The same of the windows, whichever run read them.
async fn standing(house: &House) -> BTreeMap<String, Vec<i64>> {
    let state = |state: &str| format!("count(*) FILTER (WHERE status {state})");
    let states =
        ["= 'completed'", "= 'provisional'", "= 'failed'", "= 'unavailable'", "IN ('pending', 'running')"];
    let states = states.map(state).join(", ");
    let sql = format!(
        "SELECT 'qb_' || entity_name, CASE entity_name WHEN 'invoices' THEN (SELECT count(*) FROM raw.qb_invoices)
             WHEN 'customers' THEN (SELECT count(*) FROM raw.qb_customers) ELSE (SELECT count(*) FROM raw.qb_items) END,
             count(*), {states}, sum(records_read)::bigint
         FROM raw.backfill_log WHERE time_axis = 'updated' GROUP BY entity_name"
    );
    numbers(house, &sql).await
}

/// The cells of a row of text that are numbers, behind the cell that names it.
fn cells(row: &str, between: &str) -> Vec<i64> {
    let cells = row.split(between).map(str::trim).filter(|cell| !cell.is_empty()).skip(1);
    cells.filter_map(|cell| cell.replace('\u{202f}', "").parse().ok()).collect()
}

/// The rows of one of the page's tables, each as its cells.
fn table<'a>(page: &'a str, class: &str) -> Vec<Vec<&'a str>> {
    let (_, rest) = page.split_once(&format!("<table class=\"{class}\">")).unwrap();
    let (table, _) = rest.split_once("</table>").unwrap();
    let (_, body) = table.split_once("<tbody>").unwrap();
    let row = |row: &'a str| {
        let cells = row.split("</td>").flat_map(|cell| cell.split("</th>"));
        cells.filter_map(|cell| cell.rsplit_once('>').map(|(_, text)| text)).collect()
    };
    body.split("</tr>").filter(|part| part.contains("<td")).map(row).collect()
}

/// The names of the columns of the totals, as JSON has them.
const KEYS: [&str; 11] = [
    "windows_opened",
    "windows_completed",
    "windows_provisional",
    "windows_failed",
    "windows_unavailable",
    "read",
    "inserted",
    "updated",
    "unchanged",
    "quarantined",
    "pages",
];

/// What SQL says about a run.
struct Recount {
    run: String,
    totals: BTreeMap<String, Vec<i64>>,
    standing: BTreeMap<String, Vec<i64>>,
    findings: i64,
    looked_over: i64,
    calls: i64,
}

impl Recount {
    async fn of(house: &House, run: String) -> Self {
        let findings = format!(
            "SELECT count(*) FROM raw.backfill_finding JOIN (SELECT entity_name, max(validated_at_utc) AS validated_at_utc
                 FROM raw.backfill_validation WHERE run_id = '{run}' GROUP BY entity_name) AS newest
             USING (entity_name, validated_at_utc) WHERE run_id = '{run}'"
        );
        let looked_over =
            format!("SELECT sum(rows_examined)::bigint FROM raw.backfill_validation WHERE run_id = '{run}'");
        Self {
            totals: totals(house, &run).await,
            standing: standing(house).await,
            findings: house.number(&findings).await,
            looked_over: house.number(&looked_over).await,
            calls: house.number(&format!("SELECT calls FROM raw.backfill_run WHERE run_id = '{run}'")).await,
            run,
        }
    }

    fn agrees_with_json(&self, report: &Value) {
        let of = |value: &Value| KEYS.map(|key| value[key].as_i64().unwrap()).to_vec();
        assert_eq!(of(&report["totals"]), self.totals["all"]);
        let calls = (report["calls"].as_i64(), report["monthly_allowance"].as_i64());
        assert_eq!(calls, (Some(self.calls), Some(500_000)));
        assert_eq!(report["findings"].as_array().unwrap().len() as i64, self.findings);
        for pipeline in report["pipelines"].as_array().unwrap() {
            assert_eq!(of(pipeline), self.totals[pipeline["entity_name"].as_str().unwrap()]);
            let standing = &self.standing[pipeline["table"].as_str().unwrap()];
            assert_eq!(pipeline["rows_in_table"], standing[0]);
            assert_eq!(pipeline["windows_by_status"]["completed"], standing[2]);
            let windows = pipeline["windows"].as_array().unwrap();
            assert_eq!(windows.len() as i64, standing[1]);
            let records: i64 = windows.iter().map(|line| line["records_read"].as_i64().unwrap()).sum();
            assert_eq!(records, standing[7]);
        }
        // Each of the two runs stands beside the other, and one of them found everything unchanged.
        assert_eq!(
            report["other_run"]["totals"]["unchanged"].as_i64().unwrap() + self.totals["all"][8],
            5390
        );
    }

    fn agrees_with_text(&self, text: &str, markdown: &str) {
        for (name, expected) in &self.totals {
            let pipeline = if name == "all" { name.clone() } else { format!("qb_{name}_backfill") };
            assert_eq!(cells(line(text, &format!("{pipeline} ")), " "), *expected);
            assert_eq!(cells(line(markdown, &format!("| {pipeline} |")), "|"), *expected);
        }
        for (name, expected) in &self.standing {
            assert_eq!(cells(line(text, &format!("{name} ")), " ")[..8], expected[..]);
        }
        for shown in [text, markdown] {
            assert!(shown.contains(&format!("{} rows validated: ", self.looked_over)));
            assert!(shown.contains(&format!("{} API calls (", self.calls)));
        }
    }

    fn agrees_with_page(&self, page: &str) {
        for (class, all, numbers) in [("totals", &self.totals, 11), ("standing", &self.standing, 8)] {
            let rows = table(page, class);
            assert_eq!(rows.len(), all.len());
            for row in rows {
                assert_eq!(cells(&row.join("|"), "|")[..numbers], all[row[0]][..], "{row:?}");
            }
        }
        assert!(page.contains(&format!("{} rows validated: ", self.looked_over)));
        assert!(page.contains(&format!("<dt>API calls</dt><dd>{}<", self.calls)));
        assert_eq!(page.matches("<li><b class=").count() as i64, self.findings);
        let again = table(page, "again");
        assert!(again.len() == 2 && again.iter().any(|row| row[0] == self.run), "{again:?}");
    }
}

fn line<'a>(text: &'a str, begins: &str) -> &'a str {
    text.lines().find(|line| line.trim_start().starts_with(begins)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_number_of_every_format_is_sql_over_the_log() {
    let house = read_twice().await;
    let runs = house.query("SELECT run_id FROM raw.backfill_run ORDER BY started_at_utc").await;
    assert_eq!(runs.len(), 2);
    for run in runs {
        let run: String = run.get(0);
        let recount = Recount::of(&house, run.clone()).await;
        assert_eq!((recount.totals.len(), recount.standing.len()), (4, 3));
        recount.agrees_with_json(&serde_json::from_str(&report(&house, &run, "json").await).unwrap());
        recount.agrees_with_text(&report(&house, &run, "text").await, &report(&house, &run, "md").await);
        recount.agrees_with_page(&report(&house, &run, "html").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_planted_gap_and_outlier_are_told_after_the_run_and_kept() {
    let house = House::new(&Shape::default().with_counts(5000, 40, 10)).await;
    let run = house.backfill(&["Invoice"], &["--output", "json"]).await.expect(0);
    let events: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = events.iter().filter(|event| event["ev"] == "finding").collect();
    let days = |kind: &str| -> Vec<&str> {
        let own = found.iter().filter(|event| event["kind"] == kind);
        own.map(|event| event["day"].as_str().unwrap()).collect()
    };
    let busiest = "
        SELECT to_char((payload #>> '{MetaData,CreateTime}')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day
        FROM raw.qb_invoices GROUP BY day ORDER BY count(*) DESC LIMIT 1";
    let busiest: String = house.query(busiest).await[0].get(0);
    assert!(days("outlier").contains(&busiest.as_str()), "{found:?}");
    let empty = "
        SELECT to_char(day, 'YYYY-MM-DD') FROM generate_series('2024-01-01'::timestamp, '2024-12-31', '1 day') AS day
        WHERE extract(isodow FROM day) < 6 AND NOT EXISTS (
            SELECT FROM raw.qb_invoices
            WHERE ((payload #>> '{MetaData,CreateTime}')::timestamptz AT TIME ZONE 'UTC')::date = day::date)";
    let empty = house.query(empty).await;
    assert!(!empty.is_empty());
    for day in empty {
        let day: &str = day.get(0);
        let is_told = found.iter().any(|event| {
            let (start, end) = (event["start"].as_str().unwrap(), event["end"].as_str().unwrap());
            event["kind"] == "empty_days" && start[..10] <= *day && *day < end[..10]
        });
        assert!(is_told, "{day}: {found:?}");
    }
    assert!(
        found.iter().all(|event| event["pipeline"] == "qb_invoices_backfill" && event["detail"].is_string())
    );
    assert_eq!(house.number("SELECT count(*) FROM raw.v_backfill_findings").await, found.len() as i64);
    // Nothing of a document but numbers and days.
    let texts = "
        SELECT count(*) FROM raw.v_backfill_findings, raw.qb_invoices
        WHERE detail LIKE '%' || (payload ->> 'DocNumber') || '%' AND length(payload ->> 'DocNumber') > 5";
    assert_eq!(house.number(texts).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_by_hand_is_found_and_thresholds_are_settings() {
    let house = House::new(&Shape { empty_days_permille: 0, outlier: 1, ..Shape::default() }).await;
    let run = house.backfill(&THREE, &["--output", "json"]).await.expect(0);
    assert!(!run.stdout.contains("\"ev\":\"finding\""), "{}", run.stdout);
    let damage = "
        ALTER TABLE raw.qb_invoices DROP CONSTRAINT qb_invoices_pkey;
        DELETE FROM raw.qb_invoices WHERE id IN ('3', '4');
        UPDATE raw.qb_invoices SET id = '5' WHERE id = '6';
        UPDATE raw.qb_invoices SET id = '' WHERE id = '7';
        UPDATE raw.qb_invoices SET payload = '{}' WHERE id = '8';
        UPDATE raw.qb_invoices SET source_updated_at_utc = source_updated_at_utc + interval '8 hours' WHERE id = '9';
        UPDATE raw.qb_invoices SET extract_window_start_utc = '2024-01-01Z', extract_window_end_utc = '2024-01-02Z'
        WHERE id = '10';
        DELETE FROM raw.backfill_validation";
    // The one of them that is a finding no role may ever delete is taken away by its owner.
    house.client().await.batch_execute(damage).await.unwrap();
    let report: Value =
        serde_json::from_str(&house.at(&["report", "--format", "json"]).await.expect(0).stdout).unwrap();
    let found: BTreeMap<&str, i64> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["severity"] == "error")
        .map(|finding| (finding["kind"].as_str().unwrap(), finding["amount"].as_i64().unwrap()))
        .collect();
    for (kind, amount) in [
        ("key_missing", 1),
        ("key_repeated", 1),
        ("payload_empty", 1),
        ("time_differs", 1),
        ("rows_missing", 1),
    ] {
        assert_eq!(found.get(kind), Some(&amount), "{kind}: {found:?}");
    }
    assert!(found.contains_key("outside_window"), "{found:?}");
    // It is kept, and shown again without another look.
    let kept = house.number("SELECT count(*) FROM raw.v_backfill_findings WHERE severity = 'error'").await;
    assert!(kept >= 6, "{kept}");

    let settings = |lines: &str| {
        let file = house.home().join("qbo-backfill.toml");
        std::fs::write(file, format!("[profile.default.validation]\n{lines}\n")).unwrap();
    };
    house.client().await.batch_execute("DELETE FROM raw.backfill_validation").await.unwrap();
    settings("severity = { key_missing = \"off\", key_repeated = \"info\" }");
    let report: Value =
        serde_json::from_str(&house.at(&["report", "--format", "json"]).await.expect(0).stdout).unwrap();
    let severity = |kind: &str| {
        let found = report["findings"].as_array().unwrap().iter().find(|finding| finding["kind"] == kind);
        found.map(|finding| finding["severity"].as_str().unwrap().to_owned())
    };
    assert_eq!((severity("key_missing"), severity("key_repeated")), (None, Some("info".into())));
    for wrong in
        ["gap_chances = 1", "gap_chance = 7.0", "outlier_factor = 0.5", "severity = { gap = \"info\" }"]
    {
        settings(wrong);
        house.at(&["report"]).await.expect(2);
    }
}

/// What the last look over the invoices found.
async fn told(house: &House) -> Vec<String> {
    let sql = "
        SELECT concat_ws('|', severity, kind, span_start_utc, span_end_utc, amount, detail)
        FROM raw.v_backfill_findings WHERE entity_name = 'invoices' ORDER BY 1";
    house.query(sql).await.iter().map(|row| row.get(0)).collect()
}

/// What a look over everything finds: nobody has looked yet, and a report is asked for.
async fn told_by_a_report(house: &House) -> Vec<String> {
    house.client().await.batch_execute("DELETE FROM raw.backfill_validation").await.unwrap();
    report(house, "", "json").await;
    told(house).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_finds_is_what_a_look_over_everything_finds() {
    let house = House::new(&Shape::default().with_counts(5000, 40, 10).with_bulk_import(60)).await;
    for chunk in ["day", "month"] {
        house.backfill(&["Invoice"], &["--chunk", chunk]).await.expect(0);
        let found = told(&house).await;
        assert!(found.len() > 3, "{found:?}");
        assert_eq!(found, told_by_a_report(&house).await, "{chunk}");
    }
    // By hand, so that the log knows nothing of it; every row is read again, and most of it stays.
    let harm = "
        DELETE FROM raw.qb_invoices WHERE id IN ('3', '4');
        UPDATE raw.qb_invoices SET payload = '{}' WHERE id = '8';
        UPDATE raw.qb_invoices SET source_updated_at_utc = source_updated_at_utc + interval '8 hours' WHERE id = '9';
        UPDATE raw.qb_invoices SET extract_window_start_utc = '2024-01-01Z', extract_window_end_utc = '2024-01-02Z'
        WHERE id = '10'";
    house.client().await.batch_execute(harm).await.unwrap();
    house.backfill(&["Invoice"], &["--force"]).await;
    let found = told(&house).await;
    // The time of a row whose document came again is put right by the run itself.
    assert!(!found.iter().any(|one| one.starts_with("error|time_differs")), "{found:?}");
    for kind in ["payload_empty", "outside_window"] {
        assert!(found.iter().any(|one| one.starts_with(&format!("error|{kind}"))), "{kind}: {found:?}");
    }
    assert_eq!(found, told_by_a_report(&house).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_looks_over_what_was_not_looked_over_and_nothing_else() {
    let house = House::new(&Shape::default().with_counts(5000, 40, 10)).await;
    house.backfill(&["Invoice"], &[]).await.expect(0);
    let first = told(&house).await;
    let looked_over = "SELECT coalesce(sum(rows_examined), 0)::bigint FROM raw.backfill_validation";
    assert_eq!(house.number(looked_over).await, 5000);
    // Everything is read: nothing is looked over, and what was found stays.
    let again = house.backfill(&["Invoice"], &[]).await.expect(0).stdout;
    assert!(again.contains("This run read nothing, so no rows were validated"), "{again}");
    assert_eq!((house.number(looked_over).await, told(&house).await), (5000, first.clone()));
    // Nobody has looked after the first run, as if it had been killed.
    house.client().await.batch_execute("DELETE FROM raw.backfill_validation").await.unwrap();
    house.backfill(&["Invoice"], &[]).await.expect(0);
    assert_eq!((house.number(looked_over).await, told(&house).await), (5000, first));
    // A day of its own.
    house.at(&["run", "Invoice", "--from", "2024-03-05", "--to", "2024-03-06", "--force"]).await.expect(0);
    let day = "SELECT records_read FROM raw.backfill_log WHERE window_start_utc = '2024-03-05Z'";
    assert_eq!(house.number(looked_over).await, 5000 + house.number(day).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn days_whose_records_were_changed_after_the_range_are_not_told_to_be_empty() {
    let house = House::new(&Shape::default().with_counts(5000, 40, 10)).await;
    house.backfill(&["Invoice"], &[]).await.expect(0);
    let last = "
        SELECT id FROM raw.qb_invoices
        WHERE (payload #>> '{MetaData,CreateTime}')::timestamptz >= '2024-12-20Z'";
    let last: Vec<String> = house.query(last).await.iter().map(|row| row.get(0)).collect();
    assert!(last.len() > 100, "{}", last.len());
    house.sandbox.with_company(|company| {
        for id in &last {
            assert!(company.edit("Invoice", id));
        }
    });
    // A table that has never seen them, and one that has them where they are now.
    for later in [false, true] {
        house.client().await.batch_execute("TRUNCATE raw.qb_invoices").await.unwrap();
        if later {
            // The emulated clock stands still, so waiting for it would not help.
            let range = ["--from", "2025-01-01", "--to", "2025-01-04", "--no-settle"];
            house.at(&[&["run", "Invoice", "--force"], &range[..]].concat()).await.expect(0);
        }
        house.backfill(&["Invoice"], &["--force"]).await.expect(0);
        let empty = "
            SELECT count(*) FROM raw.v_backfill_findings WHERE kind = 'empty_days' AND span_end_utc > '2024-12-21Z'";
        assert_eq!(house.number(empty).await, 0, "{:?}", told(&house).await);
        let others = "SELECT count(*) FROM raw.v_backfill_findings WHERE kind = 'empty_days'";
        assert!(house.number(others).await > 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sound_is_sound_for_every_entity_axis_and_size_of_window() {
    let house = House::new(&Shape::default().with_counts(300, 40, 20).every_entity(12)).await;
    for words in [
        &["all"][..],
        &["all", "--force", "--chunk", "month"],
        &["transactions", "--by", "created"],
        &["Invoice", "Bill", "--by", "txn-date", "--chunk", "week"],
        // Day by day all is read already; the rows have moved since.
        &["Invoice"],
        &["Invoice", "--force"],
    ] {
        house.at(&[&["run"], words, &YEAR[..]].concat()).await.expect(0);
        house.sandbox.with_company(|company| {
            // Before the next run some were edited, and moved to a later window.
            company.advance(time::Duration::hours(-30));
            for id in ["1", "2", "3"] {
                company.edit("Invoice", id);
            }
            company.advance(time::Duration::hours(30));
        });
    }
    let errors = house
        .query("SELECT entity_name, kind, detail FROM raw.backfill_finding WHERE severity = 'error'")
        .await;
    let errors: Vec<[String; 3]> = errors.iter().map(|row| [0, 1, 2].map(|column| row.get(column))).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(house.number("SELECT count(DISTINCT entity_name) FROM raw.backfill_validation").await >= 40);
}

/// How far the page goes on beyond the window's edge.
const OVERFLOW: &str = "document.documentElement.scrollWidth - document.documentElement.clientWidth";

/// How many tables are wider than their frames.
const CUT: &str =
    "[...document.querySelectorAll('.frame')].filter(one => one.scrollWidth > one.clientWidth).length";

/// Where pages and pictures of the tests stay, to be looked at.
fn kept(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_page_on_every_width_and_on_paper_and_asks_nobody() {
    let house = read_twice().await;
    let file = kept("report.html");
    house.at(&["report", "--format", "html", "--out", file.to_str().unwrap()]).await.expect(0);
    let looked = tokio::task::spawn_blocking(move || {
        let Some(mut browser) = Browser::start() else { return };
        for (width, scheme) in
            [(1280, "light"), (1280, "dark"), (1000, "light"), (900, "light"), (390, "light"), (390, "dark")]
        {
            browser.show_as("screen", scheme);
            browser.resize(width);
            browser.open(&format!("file://{}", file.display()));
            let name = format!("report-{width}-{scheme}.png");
            std::fs::write(kept(&name), browser.picture()).unwrap();
            assert_eq!((browser.evaluate(OVERFLOW), browser.evaluate(CUT)), (0.into(), 0.into()), "{name}");
            assert_eq!(browser.evaluate("document.querySelectorAll('script').length"), 0);
            // Every picture says what it shows.
            let silent = "document.querySelectorAll('svg[role=img]:not([aria-label])').length";
            assert_eq!(browser.evaluate(silent), 0);
            assert!(
                browser.evaluate("document.querySelectorAll('svg.month rect title').length").as_u64()
                    > Some(1000)
            );
            said_nothing(&browser.events, &file);
        }
        // A4 with its margins is this wide.
        browser.show_as("print", "dark");
        browser.resize(703);
        assert_eq!((browser.evaluate(OVERFLOW), browser.evaluate(CUT)), (0.into(), 0.into()));
        assert_eq!(browser.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)");
        let paper = browser.print();
        std::fs::write(kept("report.pdf"), &paper).unwrap();
        let paper = String::from_utf8_lossy(&paper);
        assert!(paper.contains("/MediaBox [0 0 594.") || paper.contains("/MediaBox [0 0 595"), "not A4");
        said_nothing(&browser.events, &file);
    });
    looked.await.unwrap();
}

/// No error, no message, and no request but the one for the page.
fn said_nothing(events: &[Value], page: &std::path::Path) {
    for event in events {
        let method = event["method"].as_str().unwrap_or_default();
        let is_word =
            ["Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"].contains(&method);
        assert!(!is_word, "{event}");
        if method == "Network.requestWillBeSent" {
            let url = event["params"]["request"]["url"].as_str().unwrap();
            assert!(url == format!("file://{}", page.display()) || url.starts_with("data:"), "{url}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_has_its_cell_and_no_word_of_the_log_is_markup() {
    let shape = Shape::default().with_counts(200, 20, 10).with_count("Estimate", 5);
    let house = House::new(&shape.without("Estimate", Unavailable::NotSupported)).await;
    // The company's clock stands still at the second of January, so waiting for it would not help.
    let range = ["--from", "2023-11-30T12:00:00Z", "--to", "2025-01-05", "--no-settle"];
    house.at(&[&["run", "Invoice", "Estimate"], &range[..]].concat()).await.expect(0);
    let change = "
        UPDATE raw.backfill_log SET status = 'failed', error_message = '<img src=x onerror=alert(1)> & \"more\"'
        WHERE entity_name = 'invoices' AND window_start_utc = '2024-03-05Z';
        UPDATE raw.backfill_log SET status = 'pending' WHERE entity_name = 'invoices' AND window_start_utc = '2024-03-06Z';
        UPDATE raw.backfill_run SET message = '</p><script>alert(2)</script>'";
    house.client().await.batch_execute(change).await.unwrap();
    let page = report(&house, "", "html").await;
    let cells = |class: &str| page.matches(&format!("<rect class=\"{class}\" x=")).count() as i64;
    for (class, condition) in [
        ("failed", "status = 'failed'"),
        ("open", "status = 'pending'"),
        ("provisional", "status = 'provisional'"),
        ("unavailable", "status = 'unavailable'"),
        ("empty", "status = 'completed' AND records_read = 0 AND window_start_utc >= '2024-01-01Z'"),
    ] {
        let expected =
            house.number(&format!("SELECT count(*) FROM raw.backfill_log WHERE {condition}")).await;
        assert!(expected > 0, "{class}");
        assert_eq!(cells(class), expected, "{class}");
    }
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt; &amp; &quot;more&quot;"));
    assert!(page.contains("&lt;/p&gt;&lt;script&gt;alert(2)&lt;/script&gt;"));
    assert!(
        !page.contains("<script")
            && !page.contains("<img")
            && page.contains("Read to the end and empty: 2023.")
    );
    // Longer windows give their days a cell, too.
    house.at(&[&["run", "Invoice", "--chunk", "month"], &YEAR[..]].concat()).await.expect(0);
    let page = report(&house, "", "html").await;
    assert_eq!(page.matches(": in the window 2024-").count(), 366);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_a_time_zone_is_counted_once_in_the_calendar() {
    let house = House::new(&Shape::default().with_counts(5000, 5, 5)).await;
    // A day west of Greenwich and one east of it, each as one window over two days in UTC.
    for (from, to, month) in [
        ("2024-03-05T06:00:00Z", "2024-03-06T06:00:00Z", "March"),
        ("2024-04-08T15:00:00Z", "2024-04-09T15:00:00Z", "April"),
    ] {
        house.at(&["run", "Invoice", "--from", from, "--to", to, "--chunk", "whole"]).await.expect(0);
        let read = format!(
            "SELECT sum(records_read)::bigint FROM raw.backfill_log WHERE window_start_utc = '{from}'"
        );
        let records = house.number(&read).await;
        assert!(records > 5, "{records}");
        let daily = format!(
            "SELECT sum(records_read)::bigint FROM raw.v_backfill_daily WHERE to_char(day_utc, 'FMMonth') = '{month}'"
        );
        assert_eq!(house.number(&daily).await, records);
        let page = report(&house, "", "html").await;
        let label = format!("{month} 2024: 1 of 1 day completed, {records} records");
        assert!(page.contains(&label), "{label}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_the_findings_without_the_documents() {
    let house = House::new(&Shape::default().with_counts(5000, 5, 5)).await;
    house.make_roles().await;
    house.backfill(&["Invoice"], &[]).await.expect(0);
    let password = format!("ALTER ROLE qbo_reader PASSWORD '{LOADER_PASSWORD}'");
    house.client().await.batch_execute(&password).await.unwrap();
    house.set_secret("PG_PASSWORD", LOADER_PASSWORD).await.expect(0);
    let url = format!("postgres://qbo_reader@127.0.0.1:{}/{}", house.database.port(), house.database.name());
    let look = async |run: &[&str]| -> Value {
        let words = [&["report"], run, &["--format", "json", "--database", &url]].concat();
        serde_json::from_str(&house.run(&words).await.expect(0).stdout).unwrap()
    };
    let found = look(&[]).await["findings"].as_array().unwrap().len() as i64;
    assert_eq!(house.number("SELECT count(*) FROM raw.backfill_finding").await, found);
    assert!(found > 0);
    // Where nobody has looked yet, a reader cannot.
    house.client().await.batch_execute("DELETE FROM raw.backfill_validation").await.unwrap();
    let report = look(&[]).await;
    assert_eq!(
        (&report["findings"], &report["pipelines"][0]["rows_looked_over"]),
        (&Value::Array(vec![]), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_looks_over_what_its_runs_have_read() {
    let house = House::new(&Shape::default().with_counts(5000, 5, 5)).await;
    let at = ["--at", "2026-02-02T15:00:00Z", "--now", "--if-missed", "run"];
    house.at(&[&["trigger", "add", "Invoice"], &at[..], &YEAR[..]].concat()).await.expect(0);
    let worked = house.at(&["worker", "--once", "--output", "json"]).await.expect(0);
    let events: Vec<Value> = worked.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found = events.iter().filter(|event| event["ev"] == "finding" && event["kind"] == "outlier").count();
    assert!(found > 0, "{}", worked.stdout);
    let kept = house.number("SELECT count(*) FROM raw.v_backfill_findings WHERE kind = 'outlier'").await;
    assert_eq!(kept, found as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_stopped_has_a_report_with_what_is_left() {
    let house = House::new(&Shape::default().with_counts(300, 20, 10)).await;
    let (child, gate) = crate::house::standing_run(&house).await;
    crate::house::signal(&child, "-TERM");
    gate.open();
    crate::house::wait(child).await;
    let open = house
        .number("SELECT count(*) FROM raw.backfill_log WHERE status NOT IN ('completed', 'unavailable')")
        .await;
    let page = report(&house, "", "html").await;
    assert!(open > 0 && page.contains(&format!("{open} windows are not completed")), "{open}");
    house.at(&[&["run"], &THREE[..], &YEAR[..]].concat()).await.expect(0);
    let page = report(&house, "", "html").await;
    assert!(page.contains("nothing is left for a later run"));
}
