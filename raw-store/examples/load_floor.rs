//! How close landing pages comes to COPY: a first load, everything once more unchanged, and everything once more changed.
//!
//! `cargo run --release -p raw-store --example load_floor -- [MIB [PLACES [BYTES...]]]`
//!
//! Method: the payloads are invoices of the emulated company and lie in memory before anything is measured. So many MiB of
//! them are loaded at each size (1, 3 and 30 KB, unless told otherwise), in pages of 1000 records, by one session and by as
//! many as a run uses, into a private durable server (fsync on). The floors are one COPY in one session and one
//! transaction into a table of the same shape, with the server's default compression and with lz4, which is what raw tables
//! have. They are measured before and after, so that a machine that drifts shows, and a part is compared with the mean of
//! the two. A checkpoint stands before each part. `CPU s` is this process's, `server's` the whole server's; `WAL MiB` is what
//! the server has logged meanwhile, `rewritten` how many rows that were there before are other rows now (by `xmin`, for parts
//! that find rows).

#![expect(clippy::print_stdout, reason = "its table is what it is for")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fixtures::measure::{cpu_seconds, family_cpu_seconds};
use fixtures::{Company, Compression, LocalServer, PlainCopy, ServerOptions, Shape, ask_number};
use raw_store::{
    BackfillLog, DatabaseOptions, Lease, Leases, OffsetDateTime, Owner, PageCommit, PageSink, PgStore,
    Pipeline, Reopen, Row, RunStart, StoreIdentity, Tables, Window, WindowChange, WindowCounts, WindowState,
};
use time::macros::datetime;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const NOW: OffsetDateTime = datetime!(2024-06-01 12:00 UTC);
const PAGE: usize = 1000;

#[tokio::main]
async fn main() -> Outcome {
    let mut numbers = Vec::new();
    for argument in std::env::args().skip(1) {
        numbers.push(argument.parse::<usize>()?);
    }
    let (mib, places) = (numbers.first().copied().unwrap_or(300), numbers.get(1).copied().unwrap_or(10));
    let sizes = numbers.get(2..).filter(|sizes| !sizes.is_empty()).unwrap_or(&[1_000, 3_000, 30_000]);
    let folder = std::env::temp_dir().join(format!("load-floor-{}", std::process::id()));
    let server = LocalServer::start(&ServerOptions::new(fixtures::usable_folder(&folder)).with_tcp()).await?;
    for (number, bytes) in sizes.iter().enumerate() {
        let database = format!("floor{number}");
        server.create_database(&database).await?;
        let measured = Bench::of(&server, &database, (mib << 20, *bytes)).await?.measure(places).await;
        server.drop_database(&database).await?;
        measured?;
    }
    let used = server.folder().to_owned();
    server.stop().await?;
    Ok(std::fs::remove_dir_all(used)?)
}

/// Documents, and where they are loaded.
struct Bench {
    options: DatabaseOptions,
    client: Client,
    /// A process of the server.
    backend: u32,
    documents: Vec<Row>,
}

/// What a part took.
struct Part {
    title: String,
    seconds: f64,
    cpu_seconds: f64,
    server_cpu_seconds: f64,
    wal_mib: f64,
    rewritten: Option<u64>,
}

/// What happens to the documents that are loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    First,
    Unchanged,
    Changed,
}

impl Bench {
    async fn of(server: &LocalServer, database: &str, (total, bytes): (usize, usize)) -> Outcome<Self> {
        let (client, connection) = server.config(database).connect(NoTls).await?;
        tokio::spawn(connection);
        let options: DatabaseOptions = server.url(database).parse()?;
        let shape = Shape { invoices: (total / bytes).max(1), invoice_bytes: bytes, ..Shape::default() };
        let documents = Company::generate(1, &shape).records("Invoice").map(document).collect();
        let backend = u32::try_from(ask_number(&client, "SELECT pg_backend_pid()").await?)?;
        Ok(Self { options: options.with_password(server.password()), client, backend, documents })
    }

    async fn measure(&self, places: usize) -> Outcome {
        let rows = self.documents.len();
        let stored: usize = self.documents.iter().map(|row| row.payload.len()).sum();
        println!(
            "{rows} records, {} bytes on average, {:.0} MiB",
            stored / rows,
            stored as f64 / f64::from(1 << 20)
        );
        let mut floors = [Vec::new(), Vec::new()];
        let mut parts = Vec::new();
        for round in 0..2 {
            for (floor, compression) in floors.iter_mut().zip([Compression::Default, Compression::Lz4]) {
                let part = self.copy(compression).await?;
                floor.push(part.seconds);
                parts.push(part);
            }
            if round == 0 {
                for places in [1, places] {
                    let loader = Loader::new(self, places).await?;
                    for pass in [Pass::First, Pass::Unchanged, Pass::Changed] {
                        parts.push(self.land(&loader, pass).await?);
                    }
                }
            }
        }
        let [default, lz4] = floors.map(|seconds| seconds.iter().sum::<f64>() / 2.0);
        println!(
            "{:<40} {:>8} {:>8} {:>7} {:>9} {:>8} {:>9} {:>10} {:>8}",
            "", "seconds", "rows/s", "CPU s", "server's", "WAL MiB", "rewritten", "of default", "of lz4"
        );
        for part in parts {
            println!(
                "{:<40} {:>8.2} {:>8.0} {:>7.2} {:>9.2} {:>8.1} {:>9} {:>10.2} {:>8.2}",
                part.title,
                part.seconds,
                rows as f64 / part.seconds,
                part.cpu_seconds,
                part.server_cpu_seconds,
                part.wal_mib,
                part.rewritten.map_or_else(String::new, |rows| rows.to_string()),
                part.seconds / default,
                part.seconds / lz4,
            );
        }
        Ok(())
    }

    async fn copy(&self, compression: Compression) -> Outcome<Part> {
        let copy = PlainCopy::table(&self.client, compression).await?;
        let documents = self.documents.iter().map(|row| (&*row.id, &*row.payload));
        let named = match compression {
            Compression::Default => "the server's default compression",
            Compression::Lz4 => "lz4",
        };
        self.part(format!("COPY, {named}"), async { Ok(copy.load(documents).await.map(|_| ())?) }).await
    }

    async fn land(&self, loader: &Arc<Loader>, pass: Pass) -> Outcome<Part> {
        let documents = match pass {
            Pass::First | Pass::Unchanged => self.documents.clone(),
            Pass::Changed => self.documents.iter().map(edit).collect(),
        };
        let word = match pass {
            Pass::First => "first load",
            Pass::Unchanged => "unchanged once more",
            Pass::Changed => "changed once more",
        };
        if pass != Pass::First {
            self.client.batch_execute(BEFORE).await?;
        }
        let title = format!("{word}, {} session(s)", loader.places);
        let expected = documents.len() as u64;
        let mut part = self
            .part(title, async {
                let counts = loader.land(documents).await?;
                let met = match pass {
                    Pass::First => counts.inserted,
                    Pass::Unchanged => counts.unchanged,
                    Pass::Changed => counts.updated,
                };
                if met == expected { Ok(()) } else { Err(format!("{counts:?}").into()) }
            })
            .await?;
        if pass != Pass::First {
            part.rewritten = Some(ask_number(&self.client, REWRITTEN).await?);
        }
        Ok(part)
    }

    async fn part(&self, title: String, work: impl Future<Output = Outcome>) -> Outcome<Part> {
        self.client.batch_execute("CHECKPOINT").await?;
        let logged = ask_number(&self.client, LOGGED).await?;
        let (cpu, server_cpu) = (cpu_seconds()?, family_cpu_seconds(self.backend)?);
        let began = Instant::now();
        work.await?;
        let seconds = began.elapsed().as_secs_f64();
        let cpu_seconds = cpu_seconds()? - cpu;
        let server_cpu_seconds = family_cpu_seconds(self.backend)? - server_cpu;
        let wal = ask_number(&self.client, LOGGED).await? - logged;
        let wal_mib = wal as f64 / f64::from(1 << 20);
        Ok(Part { title, seconds, cpu_seconds, server_cpu_seconds, wal_mib, rewritten: None })
    }
}

/// Bytes of WAL since the server's beginning.
const LOGGED: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";

/// What the rows are before a part, by the transactions that made them.
const BEFORE: &str = "DROP TABLE IF EXISTS before;
    CREATE UNLOGGED TABLE before AS SELECT id, xmin::text AS maker FROM landed.qb_invoices; ANALYZE before";

const REWRITTEN: &str = "
    SELECT count(*) FROM before JOIN landed.qb_invoices AS now USING (id) WHERE now.xmin::text <> before.maker";

/// A run that lands pages, in a schema made anew.
struct Loader {
    store: PgStore,
    pipeline: Pipeline,
    run: RunStart,
    lease: Lease,
    places: usize,
    pages: AtomicU32,
}

impl Loader {
    async fn new(bench: &Bench, places: usize) -> Outcome<Arc<Self>> {
        bench.client.batch_execute("DROP SCHEMA IF EXISTS landed CASCADE").await?;
        let options = bench.options.clone().with_pool_size(places + 1);
        let store = PgStore::connect(options, "landed".parse()?).await?;
        store.migrate().await?;
        let pipeline = Pipeline {
            entity_name: "invoices".into(),
            table: "qb_invoices".parse()?,
            time_axis: "updated".into(),
        };
        let span = Window::new(datetime!(2024-01-01 0:00 UTC), datetime!(2025-01-01 0:00 UTC))?;
        let identity = StoreIdentity { realm_id: "1000000000000001".into(), environment: "sandbox".into() };
        let run = RunStart {
            id: "floor".parse()?,
            identity: identity.clone(),
            seed: 0,
            pipelines: vec![pipeline.clone()],
            span,
            chunk: "month".into(),
            started_at: NOW,
            fence: None,
        };
        store.bind(&identity).await?;
        store.prepare(&pipeline).await?;
        store.begin_run(&run).await?;
        let lease = store.acquire(&pipeline, "load_floor").await?;
        let owner = Owner { run: &run.id, pipeline: &pipeline, lease: &lease, fence: None };
        // A window for each place, as scans side by side have them.
        store.open_windows(owner, &windows(span, places)?, Reopen::All).await?;
        Ok(Arc::new(Self { store, pipeline, run, lease, places, pages: AtomicU32::new(0) }))
    }

    /// Lands documents, each place a part of them.
    async fn land(self: &Arc<Self>, documents: Vec<Row>) -> Outcome<WindowCounts> {
        let (mut places, mut sum) = (JoinSet::new(), WindowCounts::default());
        let windows = windows(self.run.span, self.places)?;
        let share = documents.len().div_ceil(self.places);
        for (documents, window) in documents.chunks(share).zip(windows) {
            let (loader, documents) = (Arc::clone(self), documents.to_vec());
            places.spawn(async move {
                let mut sum = WindowCounts::default();
                for rows in documents.chunks(PAGE) {
                    sum += loader.store.commit_page(&loader.page(rows, window)).await?.total;
                }
                Ok::<_, raw_store::StoreError>(sum)
            });
        }
        while let Some(ended) = places.join_next().await {
            sum += ended??;
        }
        Ok(sum)
    }

    fn page(&self, rows: &[Row], window: Window) -> PageCommit {
        PageCommit {
            pipeline: self.pipeline.clone(),
            run: self.run.id.clone(),
            lease: self.lease.clone(),
            page_number: self.pages.fetch_add(1, Ordering::Relaxed) + 1,
            page_size: 1000,
            request: r#"{"query":"SELECT * FROM Invoice"}"#.into(),
            started_at: NOW,
            ingested_at: NOW,
            answered_at: NOW,
            latest_at: NOW,
            all_fields: true,
            by_content: false,
            rows: rows.to_vec(),
            rejected: Vec::new(),
            windows: vec![WindowChange {
                window,
                state: WindowState::Running,
                cursor: None,
                duration: Duration::ZERO,
                after: None,
            }],
        }
    }
}

fn windows(span: Window, count: usize) -> Outcome<Vec<Window>> {
    let step = (span.end() - span.start()) / i32::try_from(count)?;
    let start = |n| Ok::<_, Box<dyn Error>>(span.start() + step * i32::try_from(n)?);
    (0..count).map(|n| Ok(Window::new(start(n)?, start(n + 1)?)?)).collect()
}

fn document(record: &fixtures::Record) -> Row {
    Row {
        id: record.id.as_str().into(),
        payload: record.payload.clone(),
        window: 0,
        updated_at: Some(record.last_updated),
        updated_on: None,
        sync_token: i64::try_from(record.sync_token).ok(),
    }
}

/// The same document in its next version.
fn edit(row: &Row) -> Row {
    let text = String::from_utf8_lossy(&row.payload).replacen(
        r#""PrintStatus":"NeedToPrint""#,
        r#""PrintStatus":"PrintComplete""#,
        1,
    );
    Row { payload: Bytes::from(text), sync_token: row.sync_token.map(|token| token + 1), ..row.clone() }
}
