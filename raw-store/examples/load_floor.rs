//! How close a page commit comes to the fastest way into the same table.
//!
//! `cargo run --release -p raw-store --example load_floor -- [ROWS [BYTES]] [--database URL]`
//!
//! Without `--database` (a database without a password, in which the schema `floor` is used and dropped) a
//! private durable server is started.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]

use std::error::Error;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use fixtures::{LocalServer, ServerOptions};
use postgres_types::{IsNull, ToSql, Type, to_sql_checked};
use raw_store::{
    BackfillLog, DatabaseOptions, Lease, OffsetDateTime, Owner, PageCommit, PgStore, Pipeline, RawStore,
    Reopen, Row, RunStart, StoreIdentity, Window, WindowChange, WindowState,
};
use time::macros::datetime;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::{Client, NoTls};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const NOW: OffsetDateTime = datetime!(2024-06-01 12:00 UTC);
const PAGE: usize = 1000;
const SCHEMA: &str = "floor";

#[tokio::main]
async fn main() -> Outcome {
    let mut numbers = Vec::new();
    let mut database = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--database" => database = arguments.next(),
            number => numbers.push(number.parse::<usize>()?),
        }
    }
    let (rows, bytes) =
        (numbers.first().copied().unwrap_or(20_000), numbers.get(1).copied().unwrap_or(3_000));
    if let Some(url) = database {
        let config: tokio_postgres::Config = url.parse()?;
        return measure(url.parse()?, config, rows, bytes).await;
    }
    let folder = std::env::temp_dir().join(format!("raw-store-floor-{}", std::process::id()));
    let server = LocalServer::start(&ServerOptions::new(&folder).with_tcp()).await?;
    server.create_database("floor").await?;
    let options: DatabaseOptions = server.url("floor").parse()?;
    let measured =
        measure(options.with_password(server.password()), server.config("floor"), rows, bytes).await;
    server.stop().await?;
    std::fs::remove_dir_all(&folder)?;
    measured
}

async fn measure(
    options: DatabaseOptions,
    config: tokio_postgres::Config,
    rows: usize,
    bytes: usize,
) -> Outcome {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(&format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")).await?;
    let store = PgStore::connect(options, SCHEMA.parse()?).await?;
    store.migrate().await?;
    let documents: Vec<Row> = (0..rows).map(|n| document(n, bytes)).collect();
    let stored: usize = documents.iter().map(|row| row.payload.len()).sum();
    println!("{rows} rows, {} bytes on average, pages of {PAGE}", stored / rows.max(1));

    let copy_once = copy(&client, &documents, rows).await?;
    let copy_pages = copy(&client, &documents, PAGE).await?;
    let (fresh, unchanged, edited) = land(&store, &documents).await?;
    println!("{:<44} {:>9} {:>8} {:>12} {:>12}", "way", "seconds", "rows/s", "of one COPY", "of COPY/page");
    for (way, took) in [
        ("COPY, one transaction (the floor)", copy_once),
        ("COPY, one transaction per page", copy_pages),
        ("pages, all new", fresh),
        ("pages, all unchanged", unchanged),
        ("pages, all edited", edited),
    ] {
        let ratio = |floor: Duration| floor.as_secs_f64() / took.as_secs_f64();
        println!(
            "{way:<44} {:>9.2} {:>8.0} {:>12.2} {:>12.2}",
            took.as_secs_f64(),
            rows_per_second(rows, took),
            ratio(copy_once),
            ratio(copy_pages),
        );
    }
    client.batch_execute(&format!("DROP SCHEMA {SCHEMA} CASCADE")).await?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rows_per_second(rows: usize, took: Duration) -> f64 {
    rows as f64 / took.as_secs_f64()
}

/// Lands all documents as new, again unchanged, and again edited.
async fn land(store: &PgStore, documents: &[Row]) -> Outcome<(Duration, Duration, Duration)> {
    let pipeline = Pipeline {
        entity_name: "invoices".into(),
        table: "qb_invoices".parse()?,
        time_axis: "updated".into(),
    };
    let window = Window::new(datetime!(2024-01-01 0:00 UTC), datetime!(2024-02-01 0:00 UTC))?;
    let identity = StoreIdentity { realm_id: "1000000000000001".into(), environment: "sandbox".into() };
    let run = RunStart {
        id: "floor".parse()?,
        identity: identity.clone(),
        seed: 0,
        pipelines: vec![pipeline.clone()],
        span: window,
        chunk: "month".into(),
        started_at: NOW,
        fence: None,
    };
    store.bind(&identity).await?;
    store.prepare(&pipeline).await?;
    store.begin_run(&run).await?;
    let lease = store.acquire(&pipeline, "load_floor").await?;
    let owner = Owner { run: &run.id, pipeline: &pipeline, lease: &lease, fence: None };
    store.open_windows(owner, &[window], Reopen::All).await?;
    let edited: Vec<Row> = documents.iter().map(edit).collect();
    let mut number = 0;
    let mut took = [Duration::ZERO; 3];
    for (which, documents) in [documents, documents, &edited].into_iter().enumerate() {
        let begun = Instant::now();
        for rows in documents.chunks(PAGE) {
            number += 1;
            store.commit_page(&page(&pipeline, &run, &lease, (number, rows))).await?;
        }
        took[which] = begun.elapsed();
    }
    Ok((took[0], took[1], took[2]))
}

fn page(pipeline: &Pipeline, run: &RunStart, lease: &Lease, (number, rows): (u32, &[Row])) -> PageCommit {
    PageCommit {
        pipeline: pipeline.clone(),
        run: run.id.clone(),
        lease: lease.clone(),
        page_number: number,
        page_size: 1000,
        request: r#"{"query":"select * from Invoice"}"#.into(),
        started_at: NOW,
        ingested_at: NOW,
        answered_at: NOW,
        by_content: false,
        rows: rows.to_vec(),
        rejected: Vec::new(),
        windows: vec![WindowChange {
            window: run.span,
            state: WindowState::Running,
            cursor: None,
            duration: Duration::ZERO,
        }],
    }
}

/// Loads all documents by binary COPY into a table of the same shape.
async fn copy(client: &Client, documents: &[Row], rows_per_transaction: usize) -> Outcome<Duration> {
    client
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS {SCHEMA}.copied; CREATE TABLE {SCHEMA}.copied (LIKE {SCHEMA}.qb_invoices INCLUDING ALL)"
        ))
        .await?;
    let types = [
        Type::TEXT,
        Type::JSONB,
        Type::TIMESTAMPTZ,
        Type::TIMESTAMPTZ,
        Type::TIMESTAMPTZ,
        Type::INT4,
        Type::INT4,
        Type::JSONB,
        Type::TIMESTAMPTZ,
        Type::INT8,
        Type::TIMESTAMPTZ,
        Type::BYTEA,
    ];
    let request = Json(br#"{"query":"select * from Invoice"}"#);
    let digest = &[0_u8; 16][..];
    let begun = Instant::now();
    for rows in documents.chunks(rows_per_transaction.max(1)) {
        let sink = client.copy_in(&format!("COPY {SCHEMA}.copied FROM STDIN BINARY")).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for row in rows {
            let payload = Json(&row.payload);
            writer
                .as_mut()
                .write(&[
                    &&*row.id,
                    &payload,
                    &NOW,
                    &NOW,
                    &NOW,
                    &1_i32,
                    &1000_i32,
                    &request,
                    &row.updated_at,
                    &row.sync_token,
                    &NOW,
                    &digest,
                ])
                .await?;
        }
        writer.as_mut().finish().await?;
    }
    Ok(begun.elapsed())
}

#[derive(Debug)]
struct Json<'a>(&'a [u8]);

impl ToSql for Json<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_u8(1);
        out.put_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }

    to_sql_checked!();
}

/// An invented invoice of about `bytes` bytes: lines of repeated keys and varied values, as real ones are.
fn document(n: usize, bytes: usize) -> Row {
    use std::fmt::Write;
    let mut state = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % 1_000_000
    };
    let mut text = format!(r#"{{"Id":"{n}","SyncToken":"0","DocNumber":"{}","Line":["#, 1000 + n);
    while text.len() + 120 < bytes {
        let comma = if text.ends_with('[') { "" } else { "," };
        write!(
            text,
            r#"{comma}{{"Id":"{}","Amount":{}.{:02},"Description":"Example service {:x} for {:x}","DetailType":"SalesItemLineDetail","SalesItemLineDetail":{{"ItemRef":{{"value":"{}","name":"Item {:x}"}},"Qty":{},"UnitPrice":{}.5}}}}"#,
            random() % 99, random(), random() % 100, random(), random(), random() % 500, random(), random() % 50,
            random() % 900,
        )
        .expect("writing to a String does not fail");
    }
    write!(text, r#"],"CustomerRef":{{"value":"{}"}},"TotalAmt":{}.25}}"#, random() % 5000, random())
        .expect("writing to a String does not fail");
    Row {
        id: n.to_string().into(),
        payload: Bytes::from(text),
        window: 0,
        updated_at: Some(datetime!(2024-01-15 0:00 UTC)),
        sync_token: Some(0),
    }
}

/// The same document in its next version.
fn edit(row: &Row) -> Row {
    let text = String::from_utf8_lossy(&row.payload).replacen(r#""SyncToken":"0""#, r#""SyncToken":"1""#, 1);
    Row { payload: Bytes::from(text), sync_token: Some(1), ..row.clone() }
}
