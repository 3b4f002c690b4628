//! What the views of `dbt-quickbooks` take beside many invoices of five lines each.

use std::time::Instant;

use tokio_postgres::Client;

use crate::connected;
use crate::home::{Home, Outcome};

/// The size with which the emulator writes invoices of five lines.
const FIVE_LINES: usize = 2_900;

/// The rules of posting, which `docs/analytics.md` states.
const GENERAL_LEDGER: &str = include_str!("../../../examples/sql/general-ledger.sql");

/// Reads every payload and parses none: the floor of whatever reads them all.
const FLOOR: &str = "SELECT sum(octet_length(payload::text)) FROM raw.qb_invoices";

/// Stages slower than this are shown one by one, in seconds.
const WORTH_SHOWING: f64 = 0.5;

pub(crate) async fn views(invoices: usize) -> Outcome {
    let home = Home::new(&[("--invoices", invoices), ("--bytes", FIVE_LINES)]).await?;
    let unlimited = ["--rate", "off", "--monthly-calls", "off"];
    let run = ["run", "invoices", "customers", "items", "--from", "2024-01-01", "--to", "2025-01-01"];
    home.measure(&[&run[..], &unlimited].concat())?;
    home.measure(&["views", "install", "dbt-quickbooks"])?;
    let client = connected(&home).await?;
    client.batch_execute(GENERAL_LEDGER).await?;
    client.batch_execute("VACUUM ANALYZE").await?;
    let lines: i64 = client.query_one("SELECT count(*) FROM quickbooks.invoice_line", &[]).await?.get(0);
    println!("{invoices} invoices, {lines} lines (subtotals among them)");
    println!("{:<52} {:>8} {:>9}", "", "seconds", "of floor");
    let floor = seconds(&client, FLOOR).await?;
    let show = |what: &str, seconds: f64| println!("{what:<52} {seconds:>8.2} {:>9.2}", seconds / floor);
    show("all payloads as text (the floor)", floor);
    for view in ["invoice", "invoice_line"] {
        let sql = format!("SELECT count(*) FROM quickbooks.{view}");
        show(&format!("count(*) of {view}"), seconds(&client, &sql).await?);
    }
    let total = "SELECT sum(total_amount) FROM quickbooks.invoice";
    show("the sum of one column of invoice", seconds(&client, total).await?);
    let mut all = 0.0;
    for view in names(&client).await? {
        let sql = format!("CREATE TEMP TABLE staged AS SELECT * FROM quickbooks.{view}");
        let staged = seconds(&client, &sql).await?;
        client.batch_execute("DROP TABLE staged").await?;
        all += staged;
        if staged > WORTH_SHOWING {
            show(&format!("every column of {view} into a table"), staged);
        }
    }
    show("every column of all 52 views into tables", all);
    let ledger = "SELECT count(*) FROM quickbooks_ledger.general_ledger";
    show("the general ledger", seconds(&client, ledger).await?);
    home.close().await
}

async fn names(client: &Client) -> Outcome<Vec<String>> {
    let sql = "SELECT viewname::text FROM pg_views WHERE schemaname = 'quickbooks' ORDER BY viewname";
    Ok(client.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// How long a statement takes, the second time.
async fn seconds(client: &Client, sql: &str) -> Outcome<f64> {
    let mut seconds = 0.0;
    for time in 0..2 {
        let began = Instant::now();
        client.batch_execute(sql).await?;
        seconds = began.elapsed().as_secs_f64();
        if time == 0 && sql.starts_with("CREATE") {
            client.batch_execute("DROP TABLE staged").await?;
        }
    }
    Ok(seconds)
}
