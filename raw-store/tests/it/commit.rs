//! What a page's transaction does in a real database.

#![cfg(feature = "pg")]

use std::sync::Arc;

use raw_store::{
    Advice, BackfillLog, LogFilter, PageCommit, PageSink, RawInspection as _, Reopen, StoreErrorKind, Tables,
    Window, WindowChange, WindowCounts, WindowState,
};

use crate::support::{Work, connection, database, options, row, store, waiting_backend, window};

fn counts(inserted: u64, updated: u64, unchanged: u64, quarantined: u64) -> WindowCounts {
    WindowCounts { inserted, updated, unchanged, quarantined }
}

#[tokio::test]
async fn the_payload_is_stored_with_every_digit_and_its_columns_are_filled() {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    let payload = r#"{"n": 12345678901234567890.1230, "big": 1e400, "text": "\u00e9"}"#;
    store.commit_page(&work.page(7, vec![row("1", payload)])).await.unwrap();
    let stored = connection(&database)
        .await
        .query_one(
            "SELECT payload->>'n' = '12345678901234567890.1230', length(payload->>'big') = 401, payload->>'text' = 'é',
                ingested_at_utc = '2024-02-01 12:00Z', extract_window_start_utc = '2024-01-01Z',
                extract_window_end_utc = '2024-01-02Z', page_number = 7, page_size = 1000,
                request_payload->>'query' = 'select * from Invoice', source_updated_at_utc = '2024-01-01Z',
                source_sync_token = 0, source_answered_at_utc = '2024-02-01 12:00Z', length(payload_digest) = 16
             FROM raw.qb_invoices",
            &[],
        )
        .await
        .unwrap();
    for column in 0..stored.len() {
        assert!(stored.get::<_, bool>(column), "column {column}");
    }
}

#[tokio::test]
async fn a_row_that_somebody_changed_by_hand_is_found_and_put_right_by_its_content() {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    let rows = || vec![row("1", r#"{"Id":"1","a":1}"#), row("2", r#"{"Id":"2"}"#)];
    store.commit_page(&work.page(1, rows())).await.unwrap();
    let by_hand = "UPDATE raw.qb_invoices SET payload = payload || '{\"a\": 2}' WHERE id = '1'";
    connection(&database).await.batch_execute(by_hand).await.unwrap();

    let fast = work.page(2, rows());
    assert_eq!(store.compare(&fast).await.unwrap().same, 2);
    assert_eq!(store.commit_page(&fast).await.unwrap().total, counts(0, 0, 2, 0));
    let thorough = PageCommit { by_content: true, ..work.page(3, rows()) };
    let compared = store.compare(&thorough).await.unwrap();
    assert_eq!((compared.same, compared.changed.len()), (1, 1));
    assert_eq!(store.commit_page(&thorough).await.unwrap().total, counts(0, 1, 1, 0));
    assert_eq!(store.compare(&thorough).await.unwrap().same, 2);
}

/// What a row says of its own version was written with it: bytes that are the document's own under another version, or a time
/// that has not come, were changed since.
#[tokio::test]
async fn a_row_that_claims_by_hand_to_be_newer_is_put_right() {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    let rows = || vec![row("1", r#"{"Id":"1","a":1}"#), row("2", r#"{"Id":"2"}"#)];
    store.commit_page(&work.page(1, rows())).await.unwrap();
    let observer = connection(&database).await;
    let true_row = "SELECT count(*) FROM raw.qb_invoices WHERE payload = '{\"Id\":\"1\",\"a\":1}'
         AND source_updated_at_utc < '2025-01-01' AND source_sync_token = 0";
    for (number, claim) in [
        (2, "source_updated_at_utc = '2030-01-01Z'"),
        (3, "source_updated_at_utc = source_updated_at_utc + interval '3 hours'"),
        (4, "source_sync_token = 999"),
    ] {
        let by_hand =
            format!("UPDATE raw.qb_invoices SET payload = payload || '{{\"a\": 2}}', {claim} WHERE id = '1'");
        observer.batch_execute(&by_hand).await.unwrap();
        let thorough = PageCommit { by_content: true, ..work.page(number, rows()) };
        assert_eq!(store.compare(&thorough).await.unwrap().changed.len(), 1, "{claim}");
        assert_eq!(store.commit_page(&work.page(number, rows())).await.unwrap().total, counts(0, 1, 1, 0));
        assert_eq!(observer.query_one(true_row, &[]).await.unwrap().get::<_, i64>(0), 1, "{claim}");
    }
    // An answer of a clock that was ahead: the version is the same, and only its content tells.
    let by_hand =
        "UPDATE raw.qb_invoices SET payload = payload || '{\"a\": 2}', source_answered_at_utc = '2030-01-01Z'
         WHERE id = '1'";
    observer.batch_execute(by_hand).await.unwrap();
    let thorough = PageCommit { by_content: true, ..work.page(5, rows()) };
    assert_eq!(store.compare(&thorough).await.unwrap().changed.len(), 1);
    assert_eq!(store.commit_page(&thorough).await.unwrap().total, counts(0, 1, 1, 0));
    assert_eq!(observer.query_one(true_row, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn a_row_that_is_gone_is_missing_though_its_bytes_are_kept_beside_it() {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    let page = work.page(1, vec![row("1", r#"{"Id":"1","a":1,"a":2}"#)]);
    store.commit_page(&page).await.unwrap();
    assert_eq!(store.compare(&page).await.unwrap().same, 1);
    connection(&database).await.batch_execute("DELETE FROM raw.qb_invoices").await.unwrap();
    assert_eq!(store.compare(&page).await.unwrap().missing.len(), 1);
}

#[tokio::test]
async fn rows_that_did_not_change_are_not_written() {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    let rows: Vec<_> = (0..20).map(|n| row(&n.to_string(), &format!(r#"{{"Id":"{n}"}}"#))).collect();
    store.commit_page(&work.page(1, rows.clone())).await.unwrap();
    let observer = connection(&database).await;
    let versions =
        "SELECT string_agg(id || ' ' || xmin || ' ' || ctid, ',' ORDER BY id) FROM raw.qb_invoices";
    let before: String = observer.query_one(versions, &[]).await.unwrap().get(0);
    let outcome = store.commit_page(&work.page(2, rows)).await.unwrap();
    assert_eq!(outcome.total, counts(0, 0, 20, 0));
    let after: String = observer.query_one(versions, &[]).await.unwrap().get(0);
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_record_that_only_the_server_refuses_is_quarantined_alone() {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    // More digits before the point than `numeric` holds (SQLSTATE 22003).
    let too_long = format!(r#"{{"n":{}}}"#, "1".repeat(140_000));
    // More bytes than an index entry holds (SQLSTATE 54000), and of a kind that does not compress.
    let long_id = (0..1000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect::<String>();
    let mut rows: Vec<_> = (0..99).map(|n| row(&format!("{n:03}"), r#"{"ok":true}"#)).collect();
    rows.extend([
        row("050-bad", &too_long),
        row("000-bad", &too_long.replace('n', "m")),
        row(&long_id, "{}"),
    ]);
    let outcome = store.commit_page(&work.page(1, rows.clone())).await.unwrap();
    assert_eq!(outcome.total, counts(99, 0, 0, 3));
    let kept = connection(&database)
        .await
        .query("SELECT record_id, reason, length(raw) FROM raw.quarantine ORDER BY record_id", &[])
        .await
        .unwrap();
    assert_eq!(kept.len(), 3);
    assert_eq!(kept[0].get::<_, &str>(0), "000-bad");
    assert_eq!(kept[0].get::<_, &str>(1), "the database cannot store the document (SQLSTATE 22003)");
    assert_eq!(kept[0].get::<_, i32>(2), 140_006);
    assert_eq!(store.commit_page(&work.page(2, rows)).await.unwrap().total, counts(0, 0, 99, 3));
}

#[tokio::test]
async fn a_page_larger_than_a_statement_lands_whole() {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    let text = "x".repeat(3 * 1024 * 1024);
    let mut rows: Vec<_> =
        (0..6).map(|n| row(&n.to_string(), &format!(r#"{{"n":{n},"t":"{text}"}}"#))).collect();
    rows.push(row("6", &format!(r#"{{"t":"{}"}}"#, "y".repeat(10 * 1024 * 1024))));
    assert_eq!(store.commit_page(&work.page(1, rows)).await.unwrap().total, counts(7, 0, 0, 0));
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_leaves_nothing_and_the_page_can_be_repeated() {
    let database = database().await;
    let store = Arc::new(store(&database).await);
    let work = Work::begin(&*store).await;
    let page = work.page(1, vec![row("1", r#"{"Id":"1"}"#)]);
    let (blocker, observer) = (connection(&database).await, connection(&database).await);
    blocker.batch_execute("BEGIN; LOCK TABLE raw.backfill_log IN SHARE MODE").await.unwrap();
    let commit = tokio::spawn({
        let (store, page) = (Arc::clone(&store), page.clone());
        async move { store.commit_page(&page).await }
    });
    let pid = waiting_backend(&observer).await;
    observer.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    let error = commit.await.unwrap().unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::Unavailable(_)), "{error}");
    assert_eq!(error.advice(), Advice::Retry);
    blocker.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(store.count_rows(&work.pipeline).await.unwrap(), 0);

    let landed = store.commit_page(&page).await.unwrap();
    assert_eq!(landed.total, counts(1, 0, 0, 0));
    assert_eq!(store.commit_page(&page).await.unwrap(), landed);
    assert_eq!(store.lines(&LogFilter::default()).await.unwrap()[0].metrics.records_read, 1);
}

#[tokio::test]
async fn a_dropped_commit_leaves_nothing_and_does_not_spoil_the_pool() {
    let database = database().await;
    store(&database).await;
    let one_connection = options(&database).with_pool_size(1);
    let store = Arc::new(
        raw_store::PgStore::connect(one_connection, raw_store::SchemaName::default()).await.unwrap(),
    );
    let work = Work::begin(&*store).await;
    let page = work.page(1, vec![row("1", r#"{"Id":"1"}"#)]);
    let (blocker, observer) = (connection(&database).await, connection(&database).await);
    blocker.batch_execute("BEGIN; LOCK TABLE raw.backfill_log IN SHARE MODE").await.unwrap();
    let commit = tokio::spawn({
        let (store, page) = (Arc::clone(&store), page.clone());
        async move { store.commit_page(&page).await }
    });
    waiting_backend(&observer).await;
    commit.abort();
    assert!(commit.await.unwrap_err().is_cancelled());
    assert_eq!(store.count_rows(&work.pipeline).await.unwrap(), 0, "the pool lends a sound connection");
    blocker.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(store.commit_page(&page).await.unwrap().total, counts(1, 0, 0, 0));
}

#[tokio::test]
async fn pages_of_one_pipeline_commit_side_by_side() {
    let database = database().await;
    let store = Arc::new(store(&database).await);
    let work = Work::begin(&*store).await;
    let commits = (1..=8).map(|number| {
        // All pages share half of their ids, in different orders.
        let mut rows: Vec<_> =
            (0..100).map(|n| row(&format!("shared-{n}"), &format!(r#"{{"page":{number}}}"#))).collect();
        rows.extend((0..100).map(|n| row(&format!("{number}-{n}"), "{}")));
        rows.rotate_left(usize::try_from(number).unwrap() * 20);
        let (store, page) = (Arc::clone(&store), work.page(number, rows));
        tokio::spawn(async move { store.commit_page(&page).await.unwrap() })
    });
    let commits: Vec<_> = commits.collect();
    let mut total = 0;
    for commit in commits {
        let outcome = commit.await.unwrap();
        assert_eq!(outcome.total.read(), 200);
        total += outcome.total.inserted;
    }
    assert_eq!(total, 900);
    let line = store.lines(&LogFilter::default()).await.unwrap().remove(0);
    assert_eq!(
        (line.metrics.records_read, line.metrics.records_inserted, line.metrics.pages_read),
        (1600, 900, 8)
    );
}

#[tokio::test]
async fn one_page_committed_by_two_at_once_lands_once() {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    let page = work.page(1, (0..100).map(|n| row(&n.to_string(), "{}")).collect());
    let (first, second) = futures_util::join!(store.commit_page(&page), store.commit_page(&page));
    assert_eq!(first.unwrap().total, counts(100, 0, 0, 0));
    assert_eq!(second.unwrap().total, counts(100, 0, 0, 0));
    assert_eq!(store.lines(&LogFilter::default()).await.unwrap()[0].metrics.pages_read, 1);
}

#[tokio::test]
async fn a_constraint_of_the_users_own_is_named_and_no_row_is_quoted() {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    let owner = connection(&database).await;
    owner
        .batch_execute("ALTER TABLE raw.qb_invoices ADD CONSTRAINT theirs CHECK (id <> 'Jane')")
        .await
        .unwrap();
    let error =
        store.commit_page(&work.page(1, vec![row("Jane", r#"{"Name":"Jane Example"}"#)])).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "storing a page of invoices: the schema differs from what is expected: SQLSTATE 23514 in qb_invoices by theirs",
    );
    assert!(!format!("{error:?}").contains("Jane"));
}

#[tokio::test]
async fn a_statement_that_is_cancelled_while_it_waits_is_busy() {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    let blocker = connection(&database).await;
    blocker.batch_execute("BEGIN; LOCK TABLE raw.qb_invoices").await.unwrap();
    let observer = connection(&database).await;
    let commit = store.count_rows(&work.pipeline);
    let cancel = async {
        let pid = waiting_backend(&observer).await;
        observer.execute("SELECT pg_cancel_backend($1)", &[&pid]).await.unwrap();
    };
    let (error, ()) = futures_util::join!(commit, cancel);
    let error = error.unwrap_err();
    assert!(matches!(&error.kind, StoreErrorKind::Busy(code) if **code == *"57014"), "{error}");
    assert_eq!(error.advice(), Advice::Retry);
}

#[tokio::test]
async fn a_page_may_close_thousands_of_windows_of_a_log_that_was_just_filled() {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    let hour = |n| {
        let start = window().start() + time::Duration::hours(n);
        Window::new(start, start + time::Duration::HOUR).unwrap()
    };
    let windows: Vec<Window> = (0..30_000).map(hour).collect();
    store.open_windows(work.owner(), &windows, Reopen::Unfinished).await.unwrap();
    let mut page = work.page(1, Vec::new());
    let closed = |window: &Window| WindowChange {
        window: *window,
        state: WindowState::Completed,
        cursor: None,
        duration: std::time::Duration::ZERO,
        after: Some(0),
    };
    page.windows = windows[..20_000].iter().map(closed).collect();
    // A plan that compares every window with every line would run into the session's statement_timeout.
    store.commit_page(&page).await.unwrap();
    let left = store.open_windows(work.owner(), &windows, Reopen::Unfinished).await.unwrap();
    assert_eq!(left.len(), 10_000);
}
