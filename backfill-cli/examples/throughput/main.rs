//! End to end, beside the floors: how long a backfill of the emulated company takes, what it costs in CPU and memory, and
//! how long three things take that it cannot do without, in the same run.
//!
//! `cargo build --release -p backfill-cli -p fixtures --bin qbo-backfill --example sandbox && cargo run --release -p backfill-cli --example throughput -- [INVOICES [BYTES [PLACES [LATENCY_MS [off|kept]]]]]`
//!
//! Method: the emulator, the server and each measured part are processes of their own on one machine. The server is durable
//! (fsync on), and a checkpoint stands before each part. The backfill is the command, from the start of its process to its end,
//! with all that it does before its run and behind it; it goes over loopback HTTP by day, with the closing count, and with its
//! call limit off, so that the limit of the machine shows and not Intuit's, unless `kept` is said. The floors:
//!
//! - load: the same pages, in memory already, landed by as many sessions at a time as the backfill uses;
//! - transfer: the same pages received by a bare HTTP client, as many at a time, and thrown away;
//! - COPY: the same payloads, in memory already, by one COPY in one session and one transaction, into a table of the same
//!   shape with the server's default compression.
//!
//! They are measured before and after, so that a machine that drifts shows; ratios are to the mean of the two. With a
//! latency, which every answer then has, the floor is also what the calls take at 500 a minute (if kept), and with as many
//! under way as there are places. CPU and peak memory are the part's own process (Linux);
//! `server's` is the CPU time of the whole server, for the floors also while their pages are fetched, which costs it nothing.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod emulator;
mod floors;
#[path = "../footprint/home.rs"]
mod home;
mod part;

use std::num::NonZeroUsize;

use fixtures::ask_number;
use fixtures::measure::family_cpu_seconds;
use tokio_postgres::{Client, NoTls};

use crate::emulator::Access;
use crate::home::Home;
use crate::part::{Measured, Outcome, Task};

/// The parts, and what they are called. The floors come first and last.
const PARTS: [(&str, &str); 8] = [
    ("copy", "COPY, default compression"),
    ("load", "load: landed out of memory"),
    ("transfer", "transfer: received and thrown away"),
    ("first", "backfill, first load"),
    ("again", "backfill, everything again, unchanged"),
    ("transfer", "transfer, once more"),
    ("load", "load, once more"),
    ("copy", "COPY, once more"),
];

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|word| word == "part") {
        let task: Task = serde_json::from_reader(std::io::stdin())?;
        let measured = match task.part.as_str() {
            "copy" => floors::copy(&task).await?,
            "load" => floors::load(&task).await?,
            _ => floors::transfer(&task).await?,
        };
        println!("{}", serde_json::to_string(&measured)?);
        return Ok(());
    }
    let number = |n: usize, default: usize| arguments.get(n).map_or(Ok(default), |text| text.parse());
    let (records, bytes, latency) = (number(0, 100_000)?, number(1, 3_000)?, number(3, 0)?);
    let places = NonZeroUsize::new(number(2, 10)?).unwrap_or(NonZeroUsize::MIN);
    let home = Home::new(&[("--invoices", records), ("--bytes", bytes), ("--latency", latency)]).await?;
    let Access { url, realm_id, access_token, .. } = &home.emulator.access;
    let task = Task {
        part: String::new(),
        url: url.clone(),
        realm_id: realm_id.clone(),
        access_token: access_token.clone(),
        database: home.server.url("bench"),
        password: home.server.password().to_owned(),
        records,
        places,
        latency: latency as f64 / 1000.0,
        limited: arguments.get(4).is_some_and(|word| word == "kept"),
    };
    println!(
        "{records} invoices of about {bytes} bytes, {places} question(s) at a time, {latency} ms for each answer"
    );
    show(&task, &measure(&task, &home).await?);
    home.close().await
}

/// What each part took, and CPU seconds of the server meanwhile.
async fn measure(task: &Task, home: &Home) -> Outcome<Vec<(Measured, f64)>> {
    let (client, connection) = home.server.config("bench").connect(NoTls).await?;
    tokio::spawn(connection);
    let backend = u32::try_from(ask_number(&client, "SELECT pg_backend_pid()").await?)?;
    let mut measured = Vec::new();
    for (part, _) in PARTS {
        client.batch_execute("CHECKPOINT").await?;
        let cpu = family_cpu_seconds(backend)?;
        let part = match part {
            "first" => backfill(task, home, &client, &[]).await?,
            "again" => backfill(task, home, &client, &["--force"]).await?,
            floor => Task { part: floor.into(), ..task.clone() }.run()?,
        };
        measured.push((part, family_cpu_seconds(backend)? - cpu));
    }
    Ok(measured)
}

fn show(task: &Task, measured: &[(Measured, f64)]) {
    let mean = |part: &str| {
        let seconds = PARTS.iter().zip(measured).filter(|((name, _), _)| *name == part);
        seconds.map(|(_, (measured, _))| measured.seconds).sum::<f64>() / 2.0
    };
    let (copy, load, transfer) = (mean("copy"), mean("load"), mean("transfer"));
    println!(
        "{:<40} {:>8} {:>8} {:>7} {:>9} {:>9} {:>6} {:>8} {:>9}",
        "", "seconds", "rows/s", "CPU s", "server's", "peak MiB", "calls", "of COPY", "of floor"
    );
    for ((part, title), (measured, server_cpu_seconds)) in PARTS.iter().zip(measured) {
        let Measured { rows, calls, seconds, cpu_seconds, peak_mib } = measured;
        // Nothing is loaded where nothing has changed.
        let floors: &[f64] = match *part {
            "first" => &[load, transfer, by_calls(task, *calls)],
            "again" => &[transfer, by_calls(task, *calls)],
            _ => &[],
        };
        let floor = floors.iter().copied().reduce(f64::max);
        println!(
            "{title:<40} {seconds:>8.2} {:>8.0} {cpu_seconds:>7.2} {server_cpu_seconds:>9.2} {peak_mib:>9.1} {calls:>6} {:>8.2} {:>9}",
            *rows as f64 / seconds,
            seconds / copy,
            floor.map_or_else(String::new, |floor| format!("{:.2}", seconds / floor)),
        );
    }
    println!(
        "of floor: of the slower of load ({load:.2} s) and transfer ({transfer:.2} s); unchanged, of transfer"
    );
    if task.latency > 0.0
        && let Some((first, _)) = measured.get(3)
    {
        println!(
            "{:.2} s by calls; {:.1} calls under way on average",
            by_calls(task, first.calls),
            first.calls as f64 * task.latency / first.seconds
        );
    }
}

/// What so many calls take at least.
fn by_calls(task: &Task, calls: u64) -> f64 {
    let by_rate = if task.limited { calls as f64 * 60.0 / 500.0 } else { 0.0 };
    by_rate.max(calls as f64 * task.latency / task.places.get() as f64)
}

/// The command as a process. What it read and asked is in the log.
async fn backfill(task: &Task, home: &Home, client: &Client, more: &[&str]) -> Outcome<Measured> {
    let places = task.places.to_string();
    let year = ["run", "invoices", "--from", "2024-01-01", "--to", "2025-01-01", "--concurrency", &places];
    let limits: &[&str] = if task.limited { &[] } else { &["--rate", "off", "--monthly-calls", "off"] };
    let used = home.measure(&[&year, limits, more].concat())?;
    let of_run =
        |what: &str| format!("SELECT {what} FROM raw.backfill_run ORDER BY started_at_utc DESC LIMIT 1");
    let rows = "(SELECT sum(records_inserted + records_updated + records_unchanged)::bigint
        FROM raw.backfill_run_pipeline WHERE run_id = backfill_run.run_id)";
    let (rows, calls) =
        (ask_number(client, &of_run(rows)).await?, ask_number(client, &of_run("calls")).await?);
    let home::Used { seconds, cpu_seconds, peak_mib } = used;
    Ok(Measured { rows, calls, seconds, cpu_seconds, peak_mib })
}
