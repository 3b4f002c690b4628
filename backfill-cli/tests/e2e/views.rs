//! `views`: over an emulated company with every entity, and the queries of the page about analytics.

use std::collections::BTreeMap;

use fixtures::Shape;
use serde_json::Value;

use crate::house::{Ended, House, ended};

const INSTALL: [&str; 3] = ["views", "install", "dbt-quickbooks"];
const STATUS: [&str; 3] = ["views", "status", "dbt-quickbooks"];
const DROP: [&str; 3] = ["views", "drop", "dbt-quickbooks"];

async fn json(house: &House, words: &[&str]) -> Value {
    let said: Ended = house.at(&[words, &["--output", "json"]].concat()).await.expect(0);
    serde_json::from_str(&said.stdout).unwrap()
}

/// The rows of every view of the schema.
async fn rows(house: &House, views: &Value) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    for view in views["views"].as_array().unwrap() {
        let view = view.as_str().unwrap();
        // As text, every column of every row is computed.
        let sql = format!("SELECT count(one::text) FROM quickbooks.{view} AS one");
        rows.insert(view.to_owned(), house.number(&sql).await);
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_of_a_company_is_a_row_of_its_view_and_every_line_of_its_own() {
    let house = House::new(&Shape::default().every_entity(7).with_counts(60, 20, 10)).await;
    house.at(&["db", "init"]).await.expect(0);
    // Installed before anything was read: a run fills what the views show.
    let installed = json(&house, &INSTALL).await;
    assert_eq!((installed["known"].as_i64(), installed["installed"].as_i64()), (Some(1), Some(1)));
    house.backfill(&["all"], &[]).await.expect(0);

    let views = json(&house, &STATUS).await;
    assert_eq!(views["missing"].as_array().unwrap().len(), 0);
    let rows = rows(&house, &views).await;
    assert_eq!(rows.len(), 52);
    for (view, table) in [
        ("account", "accounts"),
        ("bill", "bills"),
        ("customer", "customers"),
        ("invoice", "invoices"),
        ("item", "items"),
        ("journal_entry", "journal_entries"),
        ("purchase", "purchases"),
        ("tax_rate", "tax_rates"),
        ("vendor", "vendors"),
    ] {
        let stored = house.number(&format!("SELECT count(*) FROM raw.qb_{table}")).await;
        assert!(stored > 0, "{table}");
        assert_eq!(rows[view], stored, "{view}");
    }
    let lines = "SELECT sum(jsonb_array_length(payload -> 'Line'))::bigint FROM raw.qb_invoices";
    assert_eq!(rows["invoice_line"], house.number(lines).await);
    let total = "
        SELECT count(*) FROM quickbooks.invoice JOIN raw.qb_invoices USING (id)
        WHERE total_amount IS NOT DISTINCT FROM (payload ->> 'TotalAmt')::numeric
          AND updated_at = source_updated_at_utc AT TIME ZONE 'UTC' AND customer_id = payload #>> '{CustomerRef,value}'";
    assert_eq!(house.number(total).await, rows["invoice"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queries_of_the_page_about_analytics_work() {
    let house = House::new(&Shape::default().with_counts(60, 20, 10)).await;
    house.backfill(&["Invoice", "Customer", "Item"], &[]).await.expect(0);
    house.at(&INSTALL).await.expect(0);
    let page = include_str!("../../../docs/analytics.md");
    let blocks = page.split("```sql\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let queries: Vec<&str> =
        blocks.flat_map(|(block, _)| block.split(';')).map(str::trim).filter(|sql| !sql.is_empty()).collect();
    assert_eq!(queries.len(), 3);
    for sql in queries {
        assert!(!house.query(sql).await.is_empty(), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_say_what_they_did_and_refuse_what_is_not_theirs() {
    let house = House::new(&Shape::empty()).await;
    let refused = house.at(&INSTALL).await.expect(7);
    assert!(refused.error().ends_with("run: qbo-backfill db init"), "{}", refused.error());
    house.at(&["db", "init"]).await.expect(0);
    let none = house.at(&STATUS).await.expect(0);
    assert!(none.stdout.contains("has no views of dbt-quickbooks"), "{}", none.stdout);
    let none = house.at(&DROP).await.expect(0);
    assert!(none.stderr.contains("nothing was changed"), "{}", none.stderr);

    let refused = house.at(&[&INSTALL[..], &["--target-schema", "raw"]].concat()).await.expect(2);
    assert!(refused.error().contains("a schema of their own"), "{}", refused.error());
    let refused = house.at(&[&INSTALL[..], &["--grant-to", "nobody here"]].concat()).await.expect(2);
    assert!(refused.error().contains("there is no role nobody here"), "{}", refused.error());
    house.client().await.batch_execute("CREATE SCHEMA theirs; CREATE TABLE theirs.bill ()").await.unwrap();
    let refused = house.at(&[&INSTALL[..], &["--target-schema", "theirs"]].concat()).await.expect(2);
    assert!(refused.error().contains("--target-schema"), "{}", refused.error());

    house.at(&INSTALL).await.expect(0);
    let status = house.at(&STATUS).await.expect(0);
    assert!(status.stdout.contains("52 views of dbt-quickbooks over schema raw"), "{}", status.stdout);
    assert!(status.stdout.contains("process_bill_payment"), "{}", status.stdout);
    house.client().await.batch_execute("CREATE VIEW theirs.mine AS TABLE quickbooks.bill").await.unwrap();
    let refused = house.at(&DROP).await.expect(7);
    assert!(refused.error().contains("nothing was changed"), "{}", refused.error());
    house.client().await.batch_execute("DROP VIEW theirs.mine").await.unwrap();
    let dropped = json(&house, &DROP).await;
    assert_eq!(dropped["dropped"], true);
    house.at(&["db", "check"]).await.expect(0);
}

/// The example project with a real dbt, which is not part of this workspace: `QBO_TEST_DBT` holds the path of the program.
#[tokio::test(flavor = "multi_thread")]
async fn dbt_builds_the_example_project() {
    #[expect(clippy::disallowed_methods, reason = "where dbt is comes from the environment")]
    let Ok(dbt) = std::env::var("QBO_TEST_DBT") else { return };
    let house = House::new(&Shape::default().every_entity(7).with_counts(60, 20, 10)).await;
    house.backfill(&["all"], &[]).await.expect(0);
    house.at(&INSTALL).await.expect(0);
    let project = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/dbt");
    for words in [&["build"][..], &["source", "freshness"]] {
        let mut command = std::process::Command::new(&dbt);
        command.args(words).args(["--project-dir", project, "--profiles-dir", project]);
        command.arg("--log-path").arg(house.home()).arg("--target-path").arg(house.home().join("target"));
        command.env("HOME", house.home()).env("DBT_SEND_ANONYMOUS_USAGE_STATS", "false");
        command.env("PGHOST", "127.0.0.1").env("PGPORT", house.database.port().to_string());
        command.env("PGUSER", house.database.user()).env("PGPASSWORD", house.database.password());
        command.env("PGDATABASE", house.database.name());
        ended(command).await.expect(0);
    }
    assert_eq!(
        house.number("SELECT count(*) FROM analytics.open_receivables WHERE open_balance <= 0").await,
        0
    );
}
