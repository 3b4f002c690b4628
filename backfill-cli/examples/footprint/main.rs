//! What the command itself takes, as a process from its start to its end: for next to nothing, for many records, and beside
//! a long log.
//!
//! ```sh
//! cargo build --release -p backfill-cli -p fixtures --bin qbo-backfill --example sandbox
//! cargo run --release -p backfill-cli --example footprint -- fixed [RUNS]
//! cargo run --release -p backfill-cli --example footprint -- memory [RECORDS...]
//! cargo run --release -p backfill-cli --example footprint -- growth [YEARS]
//! cargo run --release -p backfill-cli --example footprint -- day [ROWS...]
//! cargo run --release -p backfill-cli --example footprint -- console [ROWS TIMES]
//! cargo run --release -p backfill-cli --example footprint -- reports [INVOICES...]
//! cargo run --release -p backfill-cli --example footprint -- views [INVOICES]
//! ```
//!
//! Method: emulator and database server (durable) are processes of their own; the command gets its secrets from a vault in a
//! home folder of its own. Linux alone.
//!
//! - `fixed`: a run over 30 empty days that were read before, with `--force`. The floors: the same program saying its version,
//!   and a connection to the server with one question. CPU is the mean, wall time the median.
//! - `memory`: first loads of growing companies. The bound is 64 MiB, and 2.4 times the largest page for each of ten questions
//!   under way; the page is taken to be as large as the company's first thousand records.
//! - `growth`: a run over years of empty days of all entities, and then what has to look at its log: the plan, the status, and
//!   the same run again, which finds nothing to do. The floor is reading the log's lines in one plain query.
//! - `day`: one day that was read before, again, beside ever more rows of other days; they are copies of stored ones, made by
//!   the database.
//! - `console`: the pages of the console beside 108,000 windows, 160,000 pages and so many rows; each page so many times.
//! - `views`: the views of `dbt-quickbooks` over so many invoices of five lines: counted, each one as a table, and the general
//!   ledger. Each statement runs twice, and its second time counts. The floor reads every payload as text.
//! - `reports`: a reconciliation of a year with so many invoices. The emulator cuts a report at 400,000 cells, as QuickBooks does.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "../throughput/emulator.rs"]
mod emulator;
mod console;
mod home;
mod reports;
mod views;

use std::process::{Command, Stdio};
use std::time::Instant;

use fixtures::ask_number;
use fixtures::measure::median;
use tokio_postgres::{Client, NoTls};

use crate::home::{Home, Outcome, Used, measure, program};

const USAGE: &str = "footprint fixed [RUNS] | memory [RECORDS...] | growth [YEARS] | day [ROWS...] | console [ROWS TIMES] | \
    reports [INVOICES...] | views [INVOICES]";

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (what, numbers) = arguments.split_first().ok_or(USAGE)?;
    let numbers = numbers.iter().map(|text| text.parse()).collect::<Result<Vec<usize>, _>>()?;
    match what.as_str() {
        "fixed" => fixed(numbers.first().copied().unwrap_or(20)).await,
        "memory" if numbers.is_empty() => memory(&[1_000, 10_000, 100_000, 1_000_000]).await,
        "memory" => memory(&numbers).await,
        "growth" => growth(numbers.first().copied().unwrap_or(7)).await,
        "day" if numbers.is_empty() => day(&[0, 300_000, 3_000_000]).await,
        "day" => day(&numbers).await,
        "console" => {
            let figure = |place: usize, usual| numbers.get(place).copied().unwrap_or(usual);
            console::console(figure(0, 300_000), figure(1, 40)).await
        }
        "reports" if numbers.is_empty() => reports::reports(&[1_000, 30_000, 120_000]).await,
        "reports" => reports::reports(&numbers).await,
        "views" => views::views(numbers.first().copied().unwrap_or(300_000)).await,
        _ => Err(USAGE.into()),
    }
}

async fn fixed(runs: usize) -> Outcome {
    let home = Home::new(&[("--invoices", 0)]).await?;
    let month = ["run", "invoices", "--from", "2024-01-01", "--to", "2024-01-31", "--force"];
    home.measure(&month)?;
    let (mut version, mut run, mut connection) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let mut command = Command::new(program()?);
        command.arg("--version").stdout(Stdio::null());
        version.push(measure(command)?);
        connection.push(connect_and_ask(&home).await?);
        run.push(home.measure(&month)?);
    }
    let cpu = |used: &[Used]| used.iter().map(|used| used.cpu_seconds).sum::<f64>() / runs as f64;
    let wall = |used: &[Used]| median(used.iter().map(|used| used.seconds).collect());
    let floor = wall(&version) + median(connection.clone());
    println!("30 empty daily windows, {runs} runs");
    println!("{:<40} {:>9} {:>9} {:>9}", "", "CPU ms", "wall ms", "of floor");
    let line = |title: &str, cpu: Option<f64>, wall: f64, ratio: Option<f64>| {
        let cpu = cpu.map_or_else(String::new, |cpu| format!("{:.1}", cpu * 1000.0));
        let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.1}"));
        println!("{title:<40} {cpu:>9} {:>9.1} {ratio:>9}", wall * 1000.0);
    };
    line("the program says its version", Some(cpu(&version)), wall(&version), None);
    line("a connection and one question", None, median(connection), None);
    line("the run", Some(cpu(&run)), wall(&run), Some(wall(&run) / floor));
    home.close().await
}

async fn memory(sizes: &[usize]) -> Outcome {
    println!(
        "{:>9} {:>8} {:>8} {:>9} {:>10} {:>10} {:>9}",
        "records", "seconds", "CPU s", "page MiB", "peak MiB", "bound MiB", "of bound"
    );
    for records in sizes {
        let home = Home::new(&[("--invoices", *records), ("--bytes", 1_000)]).await?;
        let used = home.measure(&[
            "run",
            "invoices",
            "--from",
            "2024-01-01",
            "--to",
            "2025-01-01",
            "--rate",
            "off",
            "--monthly-calls",
            "off",
        ])?;
        let page = largest_page(&home).await?;
        let bound = 64.0 + 2.4 * 10.0 * page;
        println!(
            "{records:>9} {:>8.2} {:>8.2} {page:>9.2} {:>10.1} {bound:>10.1} {:>9.2}",
            used.seconds,
            used.cpu_seconds,
            used.peak_mib,
            used.peak_mib / bound
        );
        home.close().await?;
    }
    Ok(())
}

/// The size of a page, in MiB.
async fn largest_page(home: &Home) -> Outcome<f64> {
    let access = &home.emulator.access;
    let url = format!("{}/v3/company/{}/query?minorversion=75", access.url, access.realm_id);
    let asked = reqwest::Client::builder().no_proxy().build()?.post(url).bearer_auth(&access.access_token);
    let asked = asked.header("accept", "application/json").header("content-type", "application/text");
    let asked = asked.body("SELECT * FROM Invoice MAXRESULTS 1000");
    Ok(asked.send().await?.error_for_status()?.bytes().await?.len() as f64 / f64::from(1 << 20))
}

async fn growth(years: usize) -> Outcome {
    let home = Home::new(&[("--each", 0), ("--invoices", 0), ("--customers", 0), ("--items", 0)]).await?;
    let from = format!("{}-01-01", 2025 - years);
    let range = ["all", "--from", &from, "--to", "2025-01-01", "--rate", "off", "--monthly-calls", "off"];
    let run = [&["run"], &range[..]].concat();
    let first = home.measure(&run)?;
    let client = connected(&home).await?;
    let windows = ask_number(&client, "SELECT count(*) FROM raw.backfill_log").await?;
    let began = Instant::now();
    let lines = client.query("SELECT * FROM raw.backfill_log", &[]).await?.len() as u64;
    let floor = began.elapsed().as_secs_f64();
    if lines != windows {
        return Err("the log has changed".into());
    }
    println!("a log of {windows} windows");
    println!("{:<40} {:>8} {:>8} {:>9} {:>9}", "", "seconds", "CPU s", "peak MiB", "of floor");
    println!("{:<40} {floor:>8.2}", "the log's lines in one plain query");
    let line = |title: &str, used: Used| {
        println!(
            "{title:<40} {:>8.2} {:>8.2} {:>9.1} {:>9.1}",
            used.seconds,
            used.cpu_seconds,
            used.peak_mib,
            used.seconds / floor
        );
    };
    line("the run that made it", first);
    line("plan", home.measure(&[&["plan"], &range[..]].concat())?);
    line("status", home.measure(&["status"])?);
    line("the run again, with nothing to do", home.measure(&run)?);
    home.close().await
}

async fn day(sizes: &[usize]) -> Outcome {
    const STORED: usize = 365;
    let home = Home::new(&[("--invoices", STORED), ("--bytes", 1_500)]).await?;
    let unlimited = ["--rate", "off", "--monthly-calls", "off"];
    let run = |from, to, more: &'static [&'static str]| {
        home.measure(&[&["run", "invoices", "--from", from, "--to", to], &unlimited[..], more].concat())
    };
    run("2024-01-01", "2025-01-01", &[])?;
    let client = connected(&home).await?;
    let columns: String = client.query_one(COLUMNS, &[]).await?.get(0);
    println!("{:>9} {:>8} {:>8} {:>9}", "rows", "wall ms", "CPU ms", "peak MiB");
    let mut stored = 0;
    for rows in sizes {
        let (from, to) = (stored / STORED, rows / STORED);
        let copies = format!(
            "INSERT INTO raw.qb_invoices (id, source_updated_at_utc, {columns})
             SELECT id || '-' || copy, source_updated_at_utc - interval '5 years', {columns}
             FROM raw.qb_invoices, generate_series({from} + 1, {to}) AS copy WHERE id !~ '-'"
        );
        client.batch_execute(&copies).await?;
        client.batch_execute("VACUUM ANALYZE raw.qb_invoices").await?;
        client.batch_execute("CHECKPOINT").await?;
        stored = stored.max(*rows);
        run("2024-06-03", "2024-06-04", &["--force"])?;
        let used: Vec<Used> =
            (0..9).map(|_| run("2024-06-03", "2024-06-04", &["--force"])).collect::<Outcome<_>>()?;
        let middle = |figure: fn(&Used) -> f64| median(used.iter().map(figure).collect());
        println!(
            "{rows:>9} {:>8.1} {:>8.1} {:>9.1}",
            middle(|used| used.seconds * 1000.0),
            middle(|used| used.cpu_seconds * 1000.0),
            middle(|used| used.peak_mib)
        );
    }
    home.close().await
}

/// What a row has beside its id and its time.
const COLUMNS: &str = "
    SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
    WHERE table_schema = 'raw' AND table_name = 'qb_invoices' AND is_generated = 'NEVER'
        AND column_name NOT IN ('id', 'source_updated_at_utc')";

async fn connected(home: &Home) -> Outcome<Client> {
    let mut config: tokio_postgres::Config = home.server.url("bench").parse()?;
    let (client, connection) = config.password(home.server.password()).connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// How long a connection and one question take.
async fn connect_and_ask(home: &Home) -> Outcome<f64> {
    let began = Instant::now();
    let client = connected(home).await?;
    client.query_one("SELECT 1", &[]).await?;
    Ok(began.elapsed().as_secs_f64())
}
