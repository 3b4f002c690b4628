//! A database that forgets what it has confirmed: it is put back to an earlier state while a run is under way.

#![cfg(feature = "pg")]

use fixtures::TempDatabase;
use raw_store::{
    Advice, BackfillLog as _, LogFilter, PageCommit, PageSink as _, Reopen, StoreErrorKind, Tables as _,
    Window, WindowChange, WindowState,
};

use crate::support::{Work, connection, database, row, store, window};

const TABLES: [&str; 5] =
    ["backfill_run", "backfill_run_pipeline", "backfill_log", "backfill_page", "qb_invoices"];

async fn keep(database: &TempDatabase) {
    let copies = TABLES.map(|table| format!("CREATE TABLE kept.{table} AS TABLE raw.{table};")).concat();
    let all = format!("DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept; {copies}");
    connection(database).await.batch_execute(&all).await.unwrap();
}

async fn put_back(database: &TempDatabase) {
    let names = TABLES.map(|table| format!("raw.{table}")).join(", ");
    let copies = TABLES.map(|table| format!("INSERT INTO raw.{table} SELECT * FROM kept.{table};")).concat();
    connection(database)
        .await
        .batch_execute(&format!("BEGIN; TRUNCATE {names} CASCADE; {copies} COMMIT"))
        .await
        .unwrap();
}

fn day(n: i64) -> Window {
    let start = window().start() + time::Duration::days(n);
    Window::new(start, start + time::Duration::DAY).unwrap()
}

fn page(work: &Work, number: u32, windows: &[(i64, WindowState, u32)]) -> PageCommit {
    let change = |(n, state, after): &(i64, WindowState, u32)| WindowChange {
        window: day(*n),
        state: *state,
        cursor: None,
        duration: std::time::Duration::ZERO,
        after: Some(*after),
    };
    let rows = vec![row(&number.to_string(), "{}")];
    PageCommit { windows: windows.iter().map(change).collect(), ..work.page(number, rows) }
}

#[tokio::test]
async fn no_page_lands_on_top_of_one_that_was_forgotten() {
    use WindowState::{Completed, Running};
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    let days: Vec<Window> = (0..3).map(day).collect();
    store.open_windows(work.owner(), &days, Reopen::Unfinished).await.unwrap();
    store.commit_page(&page(&work, 1, &[(0, Running, 0)])).await.unwrap();
    keep(&database).await;
    store.commit_page(&page(&work, 2, &[(0, Completed, 1), (1, Running, 0)])).await.unwrap();
    put_back(&database).await;

    let next = page(&work, 3, &[(1, Completed, 2), (2, Completed, 0)]);
    let error = store.commit_page(&next).await.unwrap_err();
    assert!(matches!(&error.kind, StoreErrorKind::LogMoved(_)), "{error}");
    assert_eq!(error.advice(), Advice::FixDatabase);
    assert_eq!(store.count_rows(&work.pipeline).await.unwrap(), 1);
    let done = LogFilter { state: Some(Completed), ..LogFilter::default() };
    assert!(store.lines(&done).await.unwrap().is_empty());

    // The page that was forgotten can land again under its name.
    store.commit_page(&page(&work, 2, &[(0, Completed, 1), (1, Running, 0)])).await.unwrap();
    store.commit_page(&next).await.unwrap();
    assert_eq!(store.lines(&done).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_run_whose_beginning_was_forgotten_is_told_so() {
    let database = database().await;
    let store = store(&database).await;
    keep(&database).await;
    let work = Work::begin(&store).await;
    put_back(&database).await;
    let moved = |kind: &StoreErrorKind| matches!(kind, StoreErrorKind::LogMoved(_));
    let error = store.commit_page(&page(&work, 1, &[(0, WindowState::Running, 0)])).await.unwrap_err();
    assert!(moved(&error.kind), "{error}");
    let error = store.open_windows(work.owner(), &[day(0)], Reopen::Unfinished).await.unwrap_err();
    // The line names a run that is not there: the database itself says so.
    assert!(moved(&error.kind), "{error}");
    let end = raw_store::RunEnd {
        closed: 0,
        status: raw_store::RunStatus::Completed,
        message: None,
        error_code: None,
        finished_at: crate::support::NOW,
        calls: 1,
        retries: 0,
        waited_seconds: 0.0,
        fence: None,
    };
    let error = store.finish_run(&work.run, &end).await.unwrap_err();
    assert!(moved(&error.kind), "{error}");
}

#[tokio::test]
async fn a_commit_is_on_the_disk_when_it_is_answered_whatever_the_database_says() {
    let database = database().await;
    connection(&database)
        .await
        .batch_execute(
            "DO $$ BEGIN
                EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
            END $$",
        )
        .await
        .unwrap();
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    let observer = connection(&database).await;
    // Each page says under which setting it was committed.
    observer
        .batch_execute(
            "CREATE TABLE said AS SELECT ''::text AS setting;
             CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO public.said VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
             CREATE TRIGGER say AFTER INSERT ON raw.backfill_page FOR EACH ROW EXECUTE FUNCTION say()",
        )
        .await
        .unwrap();
    store.commit_page(&page(&work, 1, &[(0, WindowState::Running, 0)])).await.unwrap();
    let said = observer.query("SELECT setting FROM said WHERE setting <> ''", &[]).await.unwrap();
    assert_eq!(said.iter().map(|row| row.get(0)).collect::<Vec<String>>(), ["on"]);
}
