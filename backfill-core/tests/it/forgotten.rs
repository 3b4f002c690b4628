//! Runs over a database that forgets committed pages while they are under way: it is put back to an earlier state, as when a
//! standby that lagged behind takes over.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use backfill_core::{CancellationToken, Catalog, Failure, Proof, RunEventKind, RunRequest};
use fixtures::{Shape, TempDatabase, TempPostgres};
use qbo_client::PageSize;
use raw_store::{
    BackfillLog as _, DatabaseOptions, Leases as _, LogFilter, MemoryStore, PgStore, Reopen, RunStatus,
    SchemaName, Snapshot, StoreErrorKind, Tables as _, WindowState,
};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::bench::Bench;

const ENTITIES: [&str; 3] = ["Invoice", "Customer", "Item"];

async fn bench() -> Bench {
    Bench::start(Shape::default().with_counts(700, 120, 40).with_bulk_import(30)).await
}

/// In pages that are small enough for there to be some.
fn request(bench: &Bench) -> RunRequest {
    RunRequest { page_size: PageSize::new(200).unwrap(), ..bench.request() }
}

/// Calls `act` with the number of each page that lands, over all pipelines, and counts how often the run was set back.
fn at_each_page(bench: &Bench, act: impl Fn(u32) + Send + Sync + 'static) -> Arc<AtomicU32> {
    let setbacks = Arc::new(AtomicU32::new(0));
    let (pages, counted) = (AtomicU32::new(0), Arc::clone(&setbacks));
    bench.on_event(move |event| match &event.kind {
        RunEventKind::PageCommitted { .. } => act(pages.fetch_add(1, Ordering::SeqCst) + 1),
        RunEventKind::LogMoved { .. } => drop(counted.fetch_add(1, Ordering::SeqCst)),
        _ => {}
    });
    setbacks
}

/// Keeps what the store holds after one page and puts it back after a later one.
fn forget(bench: &Bench, kept_after: u32, put_back_after: u32) -> Arc<AtomicU32> {
    let store = Arc::clone(&bench.store);
    let kept: Mutex<Option<Snapshot>> = Mutex::new((kept_after == 0).then(|| store.snapshot()));
    at_each_page(bench, move |page| {
        if page == kept_after {
            *kept.lock().unwrap() = Some(store.snapshot());
        }
        if page == put_back_after
            && let Some(kept) = &*kept.lock().unwrap()
        {
            store.put_back(kept);
        }
    })
}

/// Everything is there, and the log counts what is there.
async fn assert_whole(bench: &Bench) {
    for entity in ENTITIES {
        bench.assert_complete(entity);
    }
    let lines = bench.lines().await;
    assert!(lines.iter().all(|line| line.state == WindowState::Completed));
    let read: u64 = lines.iter().map(|line| line.metrics.records_read).sum();
    let rows: usize = ENTITIES.map(|entity| bench.store.rows(&Bench::table(entity)).len()).iter().sum();
    assert_eq!(read, rows as u64);
}

#[tokio::test]
async fn whatever_pages_are_forgotten_a_run_ends_complete_with_all_of_them() {
    for (places, proof) in [(1, Proof::None), (3, Proof::None), (3, Proof::Count)] {
        for (kept_after, put_back_after) in [(0, 1), (0, 4), (1, 2), (1, 3), (2, 5), (3, 4), (4, 5)] {
            let bench = bench().await;
            let setbacks = forget(&bench, kept_after, put_back_after);
            let concurrency = NonZeroUsize::new(places).unwrap();
            let outcome = bench.run(RunRequest { concurrency, proof, ..request(&bench) }).await;
            let case = format!("{places} {proof:?} {kept_after} {put_back_after}: {outcome:?}");
            assert_eq!(outcome.status(), RunStatus::Completed, "{case}");
            assert!((1..=3).contains(&setbacks.load(Ordering::SeqCst)), "{case}");
            assert_whole(&bench).await;
        }
    }
}

#[tokio::test]
async fn what_was_read_again_on_demand_is_read_again_after_it_was_forgotten() {
    let bench = bench().await;
    bench.run(request(&bench)).await;
    let first = request(&bench);
    let setbacks = forget(&bench, 0, 4);
    let again = RunRequest { reopen: Reopen::All, ..first };
    let run = again.id.clone();
    let outcome = bench.run(again).await;
    assert_eq!((outcome.status(), setbacks.load(Ordering::SeqCst)), (RunStatus::Completed, 1));
    assert!(bench.lines().await.iter().all(|line| line.run.as_ref() == Some(&run)));
    assert_whole(&bench).await;
}

#[tokio::test]
async fn a_database_that_forgets_over_and_over_ends_the_run_and_the_same_command_heals_it() {
    let bench = bench().await;
    let (store, empty) = (Arc::clone(&bench.store), bench.store.snapshot());
    let setbacks = at_each_page(&bench, move |_| store.put_back(&empty));
    let outcome = bench.engine().run(request(&bench), CancellationToken::new()).await;
    let failure = match outcome {
        Ok(outcome) => {
            assert_eq!(outcome.status(), RunStatus::Failed);
            outcome.failure.unwrap()
        }
        Err(error) => error,
    };
    let Failure::Land(error) = failure.failure else { panic!("{failure}") };
    assert!(matches!(error.kind, StoreErrorKind::LogMoved(_)), "{error}");
    assert_eq!(setbacks.load(Ordering::SeqCst), 3);
    bench.on_event(|_| {});
    assert_eq!(bench.run(request(&bench)).await.status(), RunStatus::Completed);
    assert_whole(&bench).await;
}

/// What has nothing to read any more is not taken for done if it was forgotten meanwhile.
#[tokio::test]
async fn what_an_earlier_run_completed_is_read_again_if_it_was_forgotten_meanwhile() {
    let bench = bench().await;
    let empty = bench.store.snapshot();
    bench.run(bench.request_for(&["Customer", "Item"])).await;
    let store = Arc::clone(&bench.store);
    let setbacks = at_each_page(&bench, move |page| {
        if page == 2 {
            store.put_back(&empty);
        }
    });
    assert_eq!(bench.run(request(&bench)).await.status(), RunStatus::Completed);
    assert!(setbacks.load(Ordering::SeqCst) >= 1);
    assert_whole(&bench).await;
}

/// Another process may open a window as soon as its pipeline is free: that is no setback.
#[tokio::test]
async fn a_log_that_another_run_moves_forward_is_no_setback() {
    let bench = bench().await;
    let other: Arc<MemoryStore> = Arc::new(bench.store.another_process());
    let begun = AtomicU32::new(0);
    let request = RunRequest { reopen: Reopen::All, ..bench.request_for(&["Item"]) };
    let setbacks = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&setbacks);
    bench.on_event(move |event| {
        let RunEventKind::PageCommitted { pipeline, .. } = &event.kind else {
            if matches!(event.kind, RunEventKind::LogMoved { .. }) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            return;
        };
        if pipeline.contains("invoices") && begun.fetch_add(1, Ordering::SeqCst) == 0 {
            let item = Catalog::bundled().find("Item").unwrap().pipeline(request.axis);
            // Items came first, and their pipeline is free.
            futures_lite(async {
                let start = raw_store::RunStart {
                    id: request.id.clone(),
                    identity: request.identity.clone(),
                    seed: 1,
                    pipelines: vec![item.clone()],
                    span: request.span,
                    chunk: "day".into(),
                    started_at: time::OffsetDateTime::UNIX_EPOCH,
                    fence: None,
                };
                other.begin_run(&start).await.unwrap();
                let lease = other.acquire(&item, "another").await.unwrap();
                let owner = raw_store::Owner { run: &start.id, pipeline: &item, lease: &lease, fence: None };
                let filter =
                    LogFilter { entity_name: Some(item.entity_name.clone()), ..LogFilter::default() };
                let windows: Vec<_> =
                    other.lines(&filter).await.unwrap().iter().map(|line| line.window).collect();
                other.open_windows(owner, &windows, Reopen::All).await.unwrap();
            });
        }
    });
    let request = RunRequest { concurrency: NonZeroUsize::MIN, ..bench.request_for(&["Item", "Invoice"]) };
    let outcome = bench.run(request).await;
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!(setbacks.load(Ordering::SeqCst), 0);
}

/// What the store in memory does is done when it is first asked.
fn futures_lite(future: impl Future<Output = ()>) {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_ready());
}

const TABLES: [&str; 8] = [
    "backfill_run",
    "backfill_run_pipeline",
    "backfill_log",
    "backfill_page",
    "quarantine",
    "qb_invoices",
    "qb_customers",
    "qb_items",
];

/// Does something with a real database while everybody else waits.
fn meanwhile(database: &TempDatabase, statements: &str) {
    let config = database.config();
    std::thread::scope(|scope| {
        let done = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (client, connection) = config.connect(NoTls).await.unwrap();
                tokio::spawn(connection);
                // Of two that wait for each other, the server may choose this one to give way.
                while let Err(error) = client.batch_execute(statements).await {
                    assert_eq!(error.code(), Some(&SqlState::T_R_DEADLOCK_DETECTED), "{error}");
                    client.batch_execute("ROLLBACK").await.unwrap();
                }
            });
        });
        done.join().unwrap();
    });
}

/// Of one instant: a state that the database was in.
fn keep(database: &TempDatabase) {
    let copies = TABLES.map(|table| format!("CREATE TABLE kept.{table} AS TABLE raw.{table};")).concat();
    let begin =
        "BEGIN ISOLATION LEVEL REPEATABLE READ; DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept;";
    meanwhile(database, &format!("{begin} {copies} COMMIT"));
}

fn put_back(database: &TempDatabase) {
    let names = TABLES.map(|table| format!("raw.{table}")).join(", ");
    let copies = TABLES.map(|table| format!("INSERT INTO raw.{table} SELECT * FROM kept.{table};")).concat();
    meanwhile(database, &format!("BEGIN; TRUNCATE {names} CASCADE; {copies} COMMIT"));
}

async fn complete_in(database: &TempDatabase, bench: &Bench) -> bool {
    let (client, connection) = database.config().connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let mut all = true;
    for entity in ENTITIES {
        let count = format!("SELECT count(*) FROM raw.{}", Bench::table(entity));
        let rows: i64 = client.query_one(&count, &[]).await.unwrap().get(0);
        all &= rows == i64::try_from(bench.count(entity)).unwrap();
    }
    let open = "SELECT count(*) FROM raw.backfill_log WHERE status <> 'completed'";
    all && client.query_one(open, &[]).await.unwrap().get::<_, i64>(0) == 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_database_that_is_put_back_between_pages_ends_with_everything() {
    // By the number of the answer with invoices. One question at a time: what was answered before the last one has landed.
    for (kept_at, put_back_at) in [(1, 3), (2, 4), (0, 3)] {
        let bench = bench().await;
        let database = Arc::new(TempPostgres::shared().await.database().await);
        let options: DatabaseOptions = database.url().parse().unwrap();
        let options = options.with_password(database.password());
        let store = Arc::new(PgStore::connect(options, SchemaName::default()).await.unwrap());
        store.migrate().await.unwrap();
        store.bind(&bench.request().identity).await.unwrap();
        if kept_at == 0 {
            keep(&database);
        }
        let answers = AtomicU32::new(0);
        bench.on_answer({
            let database = Arc::clone(&database);
            move |query| {
                if query.entity().as_str() != "Invoice" {
                    return;
                }
                let answer = answers.fetch_add(1, Ordering::SeqCst) + 1;
                if answer == kept_at {
                    keep(&database);
                }
                if answer == put_back_at {
                    put_back(&database);
                }
            }
        });
        let setbacks = at_each_page(&bench, |_| {});
        let request = RunRequest { proof: Proof::None, concurrency: NonZeroUsize::MIN, ..request(&bench) };
        let outcome = bench.engine_over(store).run(request, CancellationToken::new()).await.unwrap();
        let case = format!("{kept_at} {put_back_at}: {outcome:?}");
        assert_eq!(outcome.status(), RunStatus::Completed, "{case}");
        assert!(setbacks.load(Ordering::SeqCst) >= 1, "{case}");
        assert!(complete_in(&database, &bench).await, "{case}");
    }
}
