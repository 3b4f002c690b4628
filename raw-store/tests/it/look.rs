//! What an examination counts, beside the questions that it asked one by one before it became one pass.

#![cfg(feature = "pg")]

use std::fmt::Write as _;

use raw_store::{PageSink as _, Validation as _, ValidationQuery, Window};
use time::macros::datetime;
use time::{Date, Duration, OffsetDateTime};
use tokio_postgres::Client;

use crate::support::{Work, connection, database, store};

const START: OffsetDateTime = datetime!(2024-01-01 0:00 UTC);

/// The rows to look at, with the times of their documents, as they were asked for once for each question.
const LOOKED_AT: &str = r#"
    WITH said AS (
        SELECT id, source_updated_at_utc AS updated, extract_window_start_utc AS window_start,
            extract_window_end_utc AS window_end, payload::text IN ('{}', '[]', 'null', '""') AS says_nothing,
            payload #>> $3 AS words
        FROM raw.qb_invoices
        WHERE extract_window_start_utc < $2 AND extract_window_end_utc > $1
    ), looked_at AS (
        SELECT said.*, substring(words FROM '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=\.\d+|Z|[+-])') AS said,
            substring(words FROM '(Z|[+-](?:0\d|1[0-5]):?[0-5]\d)$') AS zone
        FROM said
    )"#;

const COUNTS: &str = r"
    SELECT count(*), count(*) FILTER (WHERE id = ''), count(*) FILTER (WHERE says_nothing),
        count(*) FILTER (WHERE updated IS NOT NULL AND said IS NOT NULL AND zone IS NOT NULL
            AND date_trunc('second', updated) <> (said || zone)::timestamptz),
        count(*) FILTER (WHERE updated < window_start OR updated >= window_end)
    FROM looked_at";

const BY_CREATION: &str = "
    SELECT ((said || zone)::timestamptz AT TIME ZONE 'UTC')::date AS day, count(*)
    FROM looked_at
    WHERE zone IS NOT NULL AND (said || zone)::timestamptz >= $1 AND (said || zone)::timestamptz < $2
    GROUP BY day ORDER BY day";

const REPEATED: &str = "
    SELECT count(*) FROM (
        SELECT FROM raw.qb_invoices
        WHERE extract_window_start_utc < $2 AND extract_window_end_utc > $1 AND payload #>> $3 <> ''
        GROUP BY payload #>> $3 HAVING count(*) > 1) AS repeated";

const IN_WINDOW: &str =
    "SELECT count(*) FROM raw.qb_invoices WHERE source_updated_at_utc >= $1 AND source_updated_at_utc < $2";

/// Chance with a seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound).cast_signed()
    }
}

/// Rows of twenty days, some of which somebody has harmed.
fn rows(seed: u64) -> String {
    let mut chance = Chance(seed);
    let mut sql = String::from(
        "INSERT INTO raw.qb_invoices (id, payload, ingested_at_utc, extract_window_start_utc, extract_window_end_utc,
             page_number, page_size, request_payload, source_updated_at_utc, source_sync_token, source_answered_at_utc,
             payload_digest) VALUES ",
    );
    for id in 0..400 {
        let seconds = chance.below(20 * 86_400);
        let changed = START + Duration::seconds(seconds);
        let made = changed - Duration::seconds(chance.below(4) * chance.below(86_400));
        let window = changed.date().midnight().assume_utc();
        // An offset from UTC, and its minutes.
        let offsets = [("Z", 0), ("+00:00", 0), ("-08:00", -480), ("-0730", -450), ("+05:30", 330)];
        let (offset, minutes) = offsets[usize::try_from(chance.below(5)).unwrap()];
        let told = |at: OffsetDateTime| {
            let local = at + Duration::minutes(minutes);
            let (date, time) = (local.date(), local.time());
            let fraction = if id % 3 == 0 { ".25" } else { "" };
            format!("{date}T{:02}:{:02}:{:02}{fraction}{offset}", time.hour(), time.minute(), time.second())
        };
        let payload = match chance.below(40) {
            0 => "{}".to_owned(),
            1 => "[]".to_owned(),
            2 => "null".to_owned(),
            3 => "7".to_owned(),
            4 => format!(r#"{{"DocNumber":"{}","MetaData":{{"CreateTime":"yesterday"}}}}"#, id % 9),
            5 => r#"{"MetaData":[],"DocNumber":{"a":1}}"#.to_owned(),
            // Large enough to be packed.
            n => format!(
                r#"{{"DocNumber":"{}","Line":"{}","MetaData":{{"CreateTime":"{}","LastUpdatedTime":"{}"}}}}"#,
                if n < 20 { chance.below(60).to_string() } else { format!("A-{id}") },
                "x".repeat(if n < 12 { 9000 } else { 10 }),
                told(made),
                told(changed),
            ),
        };
        let stored = changed + Duration::hours(if chance.below(20) == 0 { 8 } else { 0 });
        let astray = Duration::days(i64::from(chance.below(25) == 0));
        let _ = write!(
            sql,
            "{}('{}', '{payload}', now(), '{}', '{}', 1, 1, '{{}}', '{stored}', 0, now(), '')",
            if id == 0 { "" } else { ", " },
            if id == 5 { String::new() } else { id.to_string() },
            window + astray,
            window + astray + Duration::DAY,
        );
    }
    sql
}

async fn number(client: &Client, sql: &str, span: Window, path: &[&str]) -> Vec<u64> {
    let row = client.query_one(sql, &[&span.start(), &span.end(), &path]).await.unwrap();
    (0..row.len()).map(|at| row.get::<_, i64>(at).cast_unsigned()).collect()
}

#[tokio::test]
async fn one_pass_counts_what_the_questions_one_by_one_counted() {
    let database = database().await;
    let store = store(&database).await;
    let pipeline = Work::begin(&store).await.pipeline;
    let client = connection(&database).await;
    let (updated, created) = (["MetaData", "LastUpdatedTime"], ["MetaData", "CreateTime"]);
    for seed in 0..12 {
        client.batch_execute("TRUNCATE raw.qb_invoices").await.unwrap();
        client.batch_execute(&rows(seed)).await.unwrap();
        let cut = Duration::days(i64::try_from(seed).unwrap() % 4);
        let span = Window::new(START + cut, START + Duration::days(20) - cut).unwrap();
        let days = (0..30).map(|day| START + Duration::days(day));
        let windows: Vec<Window> = days.map(|day| Window::new(day, day + Duration::DAY).unwrap()).collect();
        let inquiry = ValidationQuery {
            pipeline: &pipeline,
            span,
            windows: &windows,
            by_update: true,
            enough: 1000,
            updated: &updated,
            created: &created,
            number: &["DocNumber"],
        };
        let found = store.examine(&inquiry).await.unwrap();
        let counts = number(&client, &format!("{LOOKED_AT} {COUNTS}"), span, &updated).await;
        assert_eq!(
            [found.rows, found.without_key, found.empty_payloads, found.other_times, found.outside_window],
            counts[..],
            "seed {seed}"
        );
        assert!(counts[0] > 100 && counts[2..].iter().all(|count| *count > 0), "seed {seed}: {counts:?}");
        let repeated = number(&client, REPEATED, span, &["DocNumber"]).await;
        assert_eq!(([found.repeated_numbers], found.all_rows), ([repeated[0]], 400), "seed {seed}");
        assert!(repeated[0] > 0);
        let made = format!("{LOOKED_AT} {BY_CREATION}");
        let made = client.query(&made, &[&span.start(), &span.end(), &created.as_slice()]).await.unwrap();
        let made: Vec<(Date, u64)> =
            made.iter().map(|row| (row.get(0), row.get::<_, i64>(1).cast_unsigned())).collect();
        assert_eq!(found.by_creation, made, "seed {seed}");

        // What a survey tells of windows, with gaps between them or not, an examination of them tells.
        let mut chance = Chance(seed);
        let is_taken = |_: &Window| seed % 2 == 0 || chance.below(2) == 0;
        let some: Vec<Window> = windows.iter().copied().filter(is_taken).collect();
        let surveyed = store.survey(&pipeline, &some, 300).await.unwrap();
        for (window, rows) in some.iter().zip(&surveyed.in_windows) {
            let counted = client.query_one(IN_WINDOW, &[&window.start(), &window.end()]).await.unwrap();
            assert_eq!(counted.get::<_, i64>(0).cast_unsigned(), *rows, "seed {seed}, {window}");
        }
        assert_eq!(surveyed.all_rows, 300);
        if seed % 2 == 0 {
            let whole = Window::new(START, START + Duration::days(30)).unwrap();
            let all = number(&client, &format!("{LOOKED_AT} {COUNTS}"), whole, &updated).await;
            let surveyed = [surveyed.without_key, surveyed.empty_payloads, surveyed.outside_window];
            assert_eq!(surveyed, [all[1], all[2], all[4]], "seed {seed}");
        }
    }
}

#[tokio::test]
async fn what_was_changed_beside_a_document_is_told_when_it_comes_again() {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    let client = connection(&database).await;
    let rows = || (0..5).map(|id| crate::support::row(&id.to_string(), r#"{"Id":"1"}"#)).collect();
    let first = store.commit_page(&work.page(1, rows())).await.unwrap();
    assert_eq!((first.total.inserted, first.altered), (5, raw_store::Altered::default()));
    let harm = "
        UPDATE raw.qb_invoices SET source_updated_at_utc = source_updated_at_utc + interval '1 hour' WHERE id IN ('0', '1');
        UPDATE raw.qb_invoices SET payload = '{}' WHERE id = '2';
        DELETE FROM raw.qb_invoices WHERE id = '3'";
    client.batch_execute(harm).await.unwrap();
    let page = work.page(2, rows());
    let again = store.commit_page(&page).await.unwrap();
    // Rows that name another version than their document's are put right at once.
    let altered = raw_store::Altered { other_times: 0, empty_payloads: 1 };
    assert_eq!((again.total.inserted, again.total.updated, again.total.unchanged), (1, 2, 2));
    assert_eq!(again.altered, altered);
    // The answer was lost, and the same page comes once more.
    assert_eq!(store.commit_page(&page).await.unwrap(), again);
}
