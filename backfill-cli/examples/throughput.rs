//! End to end, beside the floor: how long a backfill of the emulated company takes, what it costs in CPU and memory,
//! and how long a plain COPY of the very same payloads takes in the same run.
//!
//! `cargo build --release -p fixtures --example sandbox && cargo run --release -p backfill-cli --example throughput -- [INVOICES [BYTES [PLACES [LATENCY_MS [off|kept]]]]]`
//!
//! Method: the emulator, the server and each measured part are processes of their own. The server is durable (fsync
//! on). The backfill goes over loopback HTTP with its call limit off, so that the limit of the machine shows and not
//! Intuit's, unless `kept` is said. With a latency, which every answer then has, the floor of a backfill is the largest of
//! what the calls take at 500 a minute (if kept), what they take with ten under way, and the COPY.
//! The floor of loading is one COPY in one transaction, in one session, of payloads that are already in memory, into
//! a table of the same shape with the server's default compression. CPU and peak memory are the part's own process,
//! from /proc (Linux).

#![expect(clippy::print_stdout, reason = "its table is what it is for")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use backfill_core::{Axis, CancellationToken, Catalog, ChunkSize, Engine, Proof, RunRequest};
use fixtures::{LocalServer, ServerOptions};
use qbo_auth::{AccessToken, Clock, Endpoints, Environment, StaticProvider, SystemClock};
use qbo_client::{HttpQboClient, Limits, PageSize, QboClient, Query};
use raw_store::{DatabaseOptions, PgStore, Reopen, StoreIdentity, Window};
use serde::{Deserialize, Serialize};
use time::macros::datetime;
use tokio_postgres::NoTls;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// What a part needs to know; it travels over stdin, for it holds a password.
#[derive(Clone, Deserialize, Serialize)]
struct Task {
    part: String,
    url: String,
    realm_id: String,
    access_token: String,
    database: String,
    password: String,
    /// Questions under way at the same time.
    places: NonZeroUsize,
    /// Seconds that every answer takes.
    latency: f64,
    /// Whether Intuit's limits are kept.
    limited: bool,
}

/// What a part measured of itself.
#[derive(Deserialize, Serialize)]
struct Measured {
    rows: u64,
    calls: u64,
    seconds: f64,
    cpu_seconds: f64,
    peak_mib: f64,
}

#[derive(Deserialize)]
struct Emulator {
    url: String,
    realm_id: String,
    access_token: String,
}

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|word| word == "part") {
        let task: Task = serde_json::from_reader(std::io::stdin())?;
        let measured = match task.part.as_str() {
            "copy" => copy(&task).await?,
            part => backfill(&task, part == "again").await?,
        };
        println!("{}", serde_json::to_string(&measured)?);
        return Ok(());
    }
    let number = |n: usize, default: usize| arguments.get(n).map_or(Ok(default), |text| text.parse());
    let (invoices, bytes) = (number(0, 100_000)?, number(1, 3_000)?);
    let latency = number(3, 0)?;
    let (emulator, mut process) = emulator(invoices, bytes, latency)?;
    let folder = std::env::temp_dir().join(format!("throughput-{}", std::process::id()));
    let server = LocalServer::start(&ServerOptions::new(fixtures::usable_folder(&folder)).with_tcp()).await?;
    server.create_database("bench").await?;
    let task = Task {
        part: String::new(),
        url: emulator.url,
        realm_id: emulator.realm_id,
        access_token: emulator.access_token,
        database: server.url("bench"),
        password: server.password().to_owned(),
        places: NonZeroUsize::new(number(2, 10)?).unwrap_or(NonZeroUsize::MIN),
        latency: latency as f64 / 1000.0,
        limited: arguments.get(4).is_some_and(|word| word == "kept"),
    };
    println!("{invoices} invoices of about {bytes} bytes, {} question(s) at a time", task.places);
    println!(
        "{:<42} {:>8} {:>9} {:>8} {:>9} {:>6} {:>9}",
        "", "seconds", "rows/s", "CPU s", "peak MiB", "calls", "of COPY"
    );
    // The floor comes first and last: a machine that drifts shows.
    let parts = [
        ("copy", "plain COPY, default compression"),
        ("first", "backfill, first load"),
        ("again", "backfill, everything read again, unchanged"),
        ("copy", "plain COPY, once more"),
    ];
    let mut floor = None;
    for (part, title) in parts {
        let measured = run_part(&Task { part: part.into(), ..task.clone() })?;
        let floor = *floor.get_or_insert(measured.seconds);
        println!(
            "{title:<42} {:>8.2} {:>9.0} {:>8.2} {:>9.1} {:>6} {:>9.2}",
            measured.seconds,
            measured.rows as f64 / measured.seconds,
            measured.cpu_seconds,
            measured.peak_mib,
            measured.calls,
            measured.seconds / floor
        );
        if part != "copy" && latency > 0 {
            say_floor(&task, &measured, if part == "first" { floor } else { 0.0 });
        }
    }
    drop(process.stdin.take());
    process.wait()?;
    let used = server.folder().to_owned();
    server.stop().await?;
    std::fs::remove_dir_all(used)?;
    Ok(())
}

/// How near a backfill from far away comes to what nothing could pass.
fn say_floor(task: &Task, measured: &Measured, load: f64) {
    let calls = measured.calls as f64;
    let by_rate = if task.limited { calls * 60.0 / 500.0 } else { 0.0 };
    let by_latency = calls * task.latency / 10.0;
    let floor = by_rate.max(by_latency).max(load);
    println!(
        "    floor {floor:.2} s: the largest of {by_rate:.2} by rate, {by_latency:.2} by latency, {load:.2} by load; {:.2} \
         times of it; {:.1} calls under way on average",
        measured.seconds / floor,
        calls * task.latency / measured.seconds
    );
}

/// The emulator, as a process of its own. It ends when its stdin closes.
fn emulator(invoices: usize, bytes: usize, latency: usize) -> Outcome<(Emulator, Child)> {
    let program: PathBuf = std::env::current_exe()?.with_file_name("sandbox");
    let mut child = Command::new(&program)
        .args([
            "--invoices",
            &invoices.to_string(),
            "--bytes",
            &bytes.to_string(),
            "--latency",
            &latency.to_string(),
            "--quota",
            "off",
            "--no-gzip",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            format!("{}: {error}; build it first (see the head of this file)", program.display())
        })?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
    Ok((serde_json::from_str(&line)?, child))
}

fn run_part(task: &Task) -> Outcome<Measured> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("part")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    serde_json::to_writer(child.stdin.take().ok_or("no stdin")?, task)?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("the part {} failed", task.part).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn client(task: &Task, clock: &Arc<dyn Clock>) -> Outcome<Arc<dyn QboClient>> {
    let tokens = Arc::new(StaticProvider::new(AccessToken::new(task.access_token.clone())));
    let endpoints = Endpoints::of(Environment::Sandbox).with_api(&task.url)?;
    let builder = HttpQboClient::builder(task.realm_id.parse()?, endpoints, tokens, Arc::clone(clock));
    Ok(Arc::new(builder.limits(task.limited.then_some(Limits::QBO)).build()?))
}

async fn backfill(task: &Task, again: bool) -> Outcome<Measured> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let client = client(task, &clock)?;
    let options: DatabaseOptions = task.database.parse()?;
    let store =
        PgStore::connect(options.with_password(&task.password), raw_store::SchemaName::default()).await?;
    store.migrate().await?;
    let engine = Engine::new(Arc::clone(&client), Arc::new(store), clock, Arc::new(()));
    let request = RunRequest {
        id: format!("bench-{again}").parse()?,
        seed: 1,
        identity: StoreIdentity { realm_id: task.realm_id.as_str().into(), environment: "sandbox".into() },
        fence: None,
        holder: "throughput".into(),
        wait: std::time::Duration::ZERO,
        entities: Catalog::bundled().select(["Invoice"])?,
        span: Window::new(datetime!(2024-01-01 0:00 UTC), datetime!(2025-01-01 0:00 UTC))?,
        chunk: ChunkSize::Day,
        chosen: None,
        axis: Axis::Updated,
        page_size: PageSize::MAX,
        concurrency: task.places,
        reopen: if again { Reopen::All } else { Reopen::Unfinished },
        by_content: false,
        proof: Proof::Count,
    };
    let began = Instant::now();
    let outcome = engine.run(request, CancellationToken::new()).await?;
    let seconds = began.elapsed().as_secs_f64();
    if let Some(failure) = outcome.failure {
        return Err(failure.into());
    }
    measured(outcome.totals().counts.read(), outcome.usage.calls, seconds)
}

/// The floor: the payloads are fetched first, then loaded by one COPY.
async fn copy(task: &Task) -> Outcome<Measured> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let client = client(task, &clock)?;
    let mut pages = Vec::new();
    loop {
        let start = 1 + u32::try_from(pages.len())? * 1000;
        let query = Query::select("Invoice".parse()?).page(start, PageSize::MAX);
        let page = client.fetch_page(&query).await?;
        let last = PageSize::MAX.is_last_page(page.len());
        pages.push(page);
        if last {
            break;
        }
    }
    let mut config: tokio_postgres::Config = task.database.parse()?;
    config.password(&task.password);
    let (database, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    database
        .batch_execute(
            "DROP TABLE IF EXISTS copied; CREATE TABLE copied (id text PRIMARY KEY, payload jsonb NOT NULL, \
             ingested_at_utc timestamptz NOT NULL, extract_window_start_utc timestamptz NOT NULL, \
             extract_window_end_utc timestamptz NOT NULL, page_number integer NOT NULL, page_size integer NOT NULL, \
             request_payload jsonb NOT NULL)",
        )
        .await?;
    let cpu = cpu_seconds()?;
    let began = Instant::now();
    let sink = database.copy_in("COPY copied FROM STDIN BINARY").await?;
    let (text, time, int, json) = (Type::TEXT, Type::TIMESTAMPTZ, Type::INT4, Type::JSONB);
    let types = [text, json.clone(), time.clone(), time.clone(), time, int.clone(), int, json];
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    let at = datetime!(2026-01-01 0:00 UTC);
    let request = Json(br#"{"query":"SELECT * FROM Invoice","minorversion":"75"}"#);
    let mut rows = 0;
    for record in pages.iter().flat_map(qbo_client::RawPage::records) {
        let payload = record.bytes();
        let id = record.id().map_err(|problem| problem.to_string())?;
        let row: [&(dyn ToSql + Sync); 8] =
            [&id, &Json(&payload), &at, &at, &at, &1_i32, &1000_i32, &request];
        writer.as_mut().write(&row).await?;
        rows += 1;
    }
    writer.as_mut().finish().await?;
    let seconds = began.elapsed().as_secs_f64();
    let mut measured = measured(rows, 0, seconds)?;
    measured.cpu_seconds -= cpu;
    Ok(measured)
}

fn measured(rows: u64, calls: u64, seconds: f64) -> Outcome<Measured> {
    Ok(Measured { rows, calls, seconds, cpu_seconds: cpu_seconds()?, peak_mib: peak_mib()? })
}

/// User and system time of this process. Linux counts it in hundredths of a second.
fn cpu_seconds() -> Outcome<f64> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = text.rsplit(')').next().ok_or("no stat")?.split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

/// The most memory this process ever held.
fn peak_mib() -> Outcome<f64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).ok_or("no value")?.parse::<f64>()? / 1024.0)
}

#[derive(Debug)]
struct Json<'a>(&'a [u8]);

impl ToSql for Json<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut tokio_postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&[1]);
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::JSONB
    }

    to_sql_checked!();
}
