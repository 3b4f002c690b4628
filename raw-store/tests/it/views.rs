//! What the views show to people who look with pgAdmin.

#![cfg(feature = "pg")]

use time::Date;
use time::macros::date;
use tokio_postgres::Client;

use crate::support::{connection, database, store};

/// Lines of two axes: days of which one is missing and one failed, and the month around them.
const LINES: &str = "
    INSERT INTO raw.backfill_log (entity_name, time_axis, window_start_utc, window_end_utc, status, records_read,
        records_inserted)
    VALUES ('invoices', 'updated', '2024-01-01Z', '2024-01-02Z', 'completed', 5, 5),
        ('invoices', 'updated', '2024-01-02Z', '2024-01-03Z', 'completed', 0, 0),
        ('invoices', 'updated', '2024-01-04Z', '2024-01-05Z', 'failed', 2, 2),
        ('invoices', 'updated', '2024-01-01Z', '2024-01-03Z', 'completed', 5, 5),
        ('invoices', 'created', '2024-01-01Z', '2024-02-01Z', 'provisional', 9, 9)";

async fn filled() -> (fixtures::TempDatabase, Client) {
    let database = database().await;
    store(&database).await;
    let client = connection(&database).await;
    client.batch_execute(LINES).await.unwrap();
    (database, client)
}

#[tokio::test]
async fn coverage_counts_what_windows_cover_together_once() {
    let (_database, client) = filled().await;
    let sql = "
        SELECT time_axis, windows, completed, failed, provisional, empty, percent_completed::float8, records_read,
            first_open_window_utc::date
        FROM raw.v_backfill_coverage ORDER BY time_axis";
    let rows = client.query(sql, &[]).await.unwrap();
    assert_eq!(rows.len(), 2);
    let numbers = |at: usize| (1..6).map(|column| rows[at].get::<_, i64>(column)).collect::<Vec<_>>();
    assert_eq!((rows[0].get::<_, &str>(0), numbers(0)), ("created", vec![1, 0, 0, 1, 0]));
    assert_eq!((rows[1].get::<_, &str>(0), numbers(1)), ("updated", vec![4, 3, 1, 0, 1]));
    // Two of four days.
    assert!((rows[1].get::<_, f64>(6) - 50.0).abs() < 1e-9);
    assert_eq!((rows[1].get::<_, i64>(7), rows[1].get::<_, Date>(8)), (12, date!(2024 - 01 - 04)));
}

#[tokio::test]
async fn a_day_has_its_state_and_its_own_numbers() {
    let (_database, client) = filled().await;
    let sql = "
        SELECT day_utc, status, windows, records_read FROM raw.v_backfill_daily
        WHERE time_axis = $1 ORDER BY day_utc";
    let days = client.query(sql, &[&"updated"]).await.unwrap();
    let one = |at: usize| {
        let row = &days[at];
        (row.get::<_, Date>(0), row.get::<_, String>(1), row.get::<_, i64>(2), row.get::<_, Option<i64>>(3))
    };
    assert_eq!(days.len(), 3);
    assert_eq!(one(0), (date!(2024 - 01 - 01), "completed".into(), 2, Some(5)));
    assert_eq!(one(1), (date!(2024 - 01 - 02), "completed".into(), 2, Some(0)));
    assert_eq!(one(2), (date!(2024 - 01 - 04), "failed".into(), 1, Some(2)));
    let month = client.query(sql, &[&"created"]).await.unwrap();
    assert_eq!(month.len(), 31);
    assert!(month.iter().all(|day| day.get::<_, Option<i64>>(3).is_none()));
}

#[tokio::test]
async fn a_window_of_a_day_that_crosses_midnight_has_its_numbers_once() {
    let (_database, client) = filled().await;
    // Days west and east of Greenwich, one after another; the last one ends within an hour after midnight.
    let lines = "
        INSERT INTO raw.backfill_log (entity_name, time_axis, window_start_utc, window_end_utc, status, records_read,
            records_inserted)
        VALUES ('west', 'updated', '2024-03-01 06:00Z', '2024-03-02 06:00Z', 'completed', 3, 3),
            ('west', 'updated', '2024-03-02 06:00Z', '2024-03-03 06:00Z', 'failed', 4, 4),
            ('east', 'updated', '2024-02-29 15:00Z', '2024-03-01 15:00Z', 'completed', 3, 3),
            ('east', 'updated', '2024-03-01 15:00Z', '2024-03-02 00:30Z', 'completed', 4, 4)";
    client.batch_execute(lines).await.unwrap();
    let sql = "
        SELECT extract(day FROM day_utc)::int8, status, records_read, records_inserted FROM raw.v_backfill_daily
        WHERE entity_name = $1 ORDER BY day_utc";
    let days = async |name: &str| -> Vec<(i64, String, Option<i64>, Option<i64>)> {
        let rows = client.query(sql, &[&name]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
    };
    let line = |day, status: &str, records| (day, status.to_owned(), records, records);
    assert_eq!(
        days("west").await,
        [line(1, "completed", Some(3)), line(2, "failed", Some(4)), line(3, "failed", None)]
    );
    assert_eq!(
        days("east").await,
        [line(29, "completed", None), line(1, "completed", Some(7)), line(2, "completed", None)]
    );
}

#[tokio::test]
async fn findings_are_those_of_the_last_examination_the_most_serious_first() {
    let (_database, client) = filled().await;
    let found = "
        INSERT INTO raw.source_identity (realm_id, environment) VALUES ('1', 'sandbox');
        INSERT INTO raw.backfill_run (run_id, realm_id, environment, seed, chunk, range_start_utc, range_end_utc, status,
            started_at_utc)
        SELECT name, '1', 'sandbox', 1, 'day', '2024-01-01Z', '2024-02-01Z', 'completed', '2024-03-01Z'
        FROM unnest(ARRAY['one', 'two']) AS name;
        INSERT INTO raw.backfill_validation (run_id, entity_name, validated_at_utc, time_axis, rows_examined)
        VALUES ('one', 'invoices', '2024-03-01Z', 'updated', 7), ('two', 'invoices', '2024-03-02Z', 'updated', 7),
            ('one', 'items', '2024-03-01Z', 'updated', 7);
        INSERT INTO raw.backfill_finding (run_id, entity_name, validated_at_utc, number, kind, severity, span_start_utc,
            span_end_utc, amount, detail)
        VALUES ('one', 'invoices', '2024-03-01Z', 1, 'old', 'error', NULL, NULL, 1, 'gone'),
            ('two', 'invoices', '2024-03-02Z', 1, 'outlier', 'warning', '2024-01-05Z', '2024-01-06Z', 9, 'many'),
            ('one', 'items', '2024-03-01Z', 1, 'key_missing', 'error', NULL, NULL, 2, 'no key'),
            ('two', 'invoices', '2024-03-02Z', 2, 'number_repeated', 'info', NULL, NULL, 3, 'twice')";
    client.batch_execute(found).await.unwrap();
    let sql = "SELECT severity, kind, day_utc FROM raw.v_backfill_findings";
    let rows = client.query(sql, &[]).await.unwrap();
    let shown: Vec<(String, String, Option<Date>)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let expected = [
        ("error", "key_missing", None),
        ("warning", "outlier", Some(date!(2024 - 01 - 05))),
        ("info", "number_repeated", None),
    ];
    assert_eq!(shown, expected.map(|(severity, kind, day)| (severity.to_owned(), kind.to_owned(), day)));
}
