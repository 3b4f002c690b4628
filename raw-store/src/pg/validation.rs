use std::collections::BTreeMap;

use deadpool_postgres::{Object, Transaction};
use time::{Date, OffsetDateTime};
use tokio_postgres::{Client, IsolationLevel, Row};

use super::lines::unexpected;
use super::migrate;
use super::pages::kept;
use crate::{Examined, Finding, Inquiry, RunId, StoreErrorKind, TableName, Validated, Window};

/// All rows of a span are read, and a role may be allowed less time for a statement.
const PATIENCE: &str = "SET LOCAL statement_timeout = '15min'";

/// The rows to look at, with their documents' own times. Both are compared and counted without a cast that a document could
/// make fail. `OFFSET 0` keeps each step from being merged into the next one, which would unpack a document once for every
/// mention of its time.
fn looked_at(table: &TableName) -> String {
    format!(
        "WITH said AS (
             SELECT id, source_updated_at_utc AS updated, extract_window_start_utc AS window_start,
                 extract_window_end_utc AS window_end,
                 -- The size is known without unpacking the document.
                 payload IS NULL OR (pg_column_size(payload) < 64 AND payload::text IN ('{{}}', '[]', 'null', '\"\"'))
                     AS says_nothing,
                 payload #>> $3 AS words
             FROM \"{table}\"
             WHERE extract_window_start_utc < $2 AND extract_window_end_utc > $1
             OFFSET 0
         ), looked_at AS (
             SELECT said.*,
                 substring(words FROM '^\\d{{4}}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?=\\.\\d+|Z|[+-])') AS said,
                 substring(words FROM '(Z|[+-](?:0\\d|1[0-5]):?[0-5]\\d)$') AS zone
             FROM said
             OFFSET 0
         )"
    )
}

/// An offset such as `-08:00`, or `Z`, as an interval.
const OFFSET: &str = "CASE WHEN zone = 'Z' THEN interval '0' ELSE make_interval(
        hours => (left(zone, 1) || substr(zone, 2, 2))::integer, mins => (left(zone, 1) || right(zone, 2))::integer) END";

fn counts_sql(table: &TableName) -> String {
    let looked_at = looked_at(table);
    format!(
        "{looked_at}, own AS (
             -- A window that another axis has too says nothing about the rows that name it.
             SELECT * FROM unnest($4::timestamptz[], $5::timestamptz[]) AS own (window_start, window_end)
             WHERE NOT EXISTS (
                 SELECT FROM backfill_log AS other
                 WHERE other.entity_name = $6 AND other.time_axis <> $7
                   AND other.window_start_utc = own.window_start AND other.window_end_utc = own.window_end)
         )
         SELECT count(*), (SELECT count(*) FROM \"{table}\"),
             count(*) FILTER (WHERE id IS NULL OR id = ''),
             count(id) - count(DISTINCT id),
             count(*) FILTER (WHERE says_nothing),
             count(*) FILTER (WHERE updated IS NOT NULL AND said IS NOT NULL AND zone IS NOT NULL
                 AND to_char((updated AT TIME ZONE 'UTC') + {OFFSET}, 'YYYY-MM-DD\"T\"HH24:MI:SS') <> said),
             count(*) FILTER (WHERE own.window_start IS NOT NULL AND (updated < window_start OR updated >= window_end)),
             (SELECT coalesce(sum(records_updated), 0)::bigint FROM backfill_run_pipeline WHERE entity_name = $6)
         FROM looked_at LEFT JOIN own USING (window_start, window_end)"
    )
}

fn in_windows_sql(table: &TableName) -> String {
    format!(
        "SELECT number, count(*)
         FROM (
             SELECT width_bucket(source_updated_at_utc, $1::timestamptz[]) AS number, source_updated_at_utc AS updated
             FROM \"{table}\" WHERE source_updated_at_utc >= ($1::timestamptz[])[1]
         ) AS placed
         WHERE updated < ($2::timestamptz[])[number]
         GROUP BY number"
    )
}

fn by_update_sql(table: &TableName) -> String {
    format!(
        "SELECT (source_updated_at_utc AT TIME ZONE 'UTC')::date AS day, count(*)
         FROM \"{table}\" WHERE source_updated_at_utc >= $1 AND source_updated_at_utc < $2
         GROUP BY day ORDER BY day"
    )
}

fn by_creation_sql(table: &TableName) -> String {
    let looked_at = looked_at(table);
    // Of a date, day of month and time are added to the first of the month: no date that a document makes up can fail.
    format!(
        "{looked_at}, made AS (
             SELECT make_date(substr(said, 1, 4)::integer, substr(said, 6, 2)::integer, 1) + (substr(said, 9, 2)::integer - 1)
                     + make_interval(hours => substr(said, 12, 2)::integer, mins => substr(said, 15, 2)::integer,
                         secs => substr(said, 18, 2)::integer)
                     - {OFFSET} AS at
             FROM looked_at
             WHERE zone IS NOT NULL AND substr(said, 6, 2) BETWEEN '01' AND '12' AND substr(said, 1, 4) > '0000'
         )
         SELECT at::date AS day, count(*)
         FROM made WHERE at >= $1 AT TIME ZONE 'UTC' AND at < $2 AT TIME ZONE 'UTC'
         GROUP BY day ORDER BY day"
    )
}

fn repeated_numbers_sql(table: &TableName) -> String {
    format!(
        "SELECT count(*) FROM (
             SELECT FROM \"{table}\"
             WHERE extract_window_start_utc < $2 AND extract_window_end_utc > $1 AND payload #>> $3 <> ''
             GROUP BY payload #>> $3 HAVING count(*) > 1
         ) AS repeated"
    )
}

/// Counts what an examination needs to know, all of it at one moment.
pub(super) async fn examine(client: &mut Object, inquiry: &Inquiry<'_>) -> Result<Examined, StoreErrorKind> {
    let table = &inquiry.pipeline.table;
    let transaction =
        client.build_transaction().read_only(true).isolation_level(IsolationLevel::RepeatableRead);
    let transaction = transaction.start().await?;
    transaction.batch_execute(PATIENCE).await?;
    if !migrate::exists(&*transaction, table.as_str()).await? {
        return Ok(Examined { in_windows: vec![0; inquiry.windows.len()], ..Examined::default() });
    }
    let mut examined = counts(&transaction, inquiry).await?;
    let (start, end) = (inquiry.span.start(), inquiry.span.end());
    examined.in_windows = in_windows(&transaction, inquiry).await?;
    examined.by_update = days(&transaction.query(&by_update_sql(table), &[&start, &end]).await?)?;
    let created = inquiry.created;
    examined.by_creation =
        days(&transaction.query(&by_creation_sql(table), &[&start, &end, &created]).await?)?;
    if !inquiry.number.is_empty() {
        let number = inquiry.number;
        let row = transaction.query_one(&repeated_numbers_sql(table), &[&start, &end, &number]).await?;
        examined.repeated_numbers = row.try_get::<_, i64>(0)?.cast_unsigned();
    }
    transaction.commit().await?;
    Ok(examined)
}

async fn counts(transaction: &Transaction<'_>, inquiry: &Inquiry<'_>) -> Result<Examined, StoreErrorKind> {
    // Where windows measure something else, none of them says anything about the time of the last change.
    let measured = if inquiry.by_update { inquiry.windows } else { &[] };
    let (starts, ends) = bounds(measured);
    let (span_start, span_end) = (inquiry.span.start(), inquiry.span.end());
    let (entity_name, time_axis) = (&*inquiry.pipeline.entity_name, &*inquiry.pipeline.time_axis);
    let updated = inquiry.updated;
    let row = transaction
        .query_one(
            &counts_sql(&inquiry.pipeline.table),
            &[&span_start, &span_end, &updated, &starts, &ends, &entity_name, &time_axis],
        )
        .await?;
    let count = |at| row.try_get::<_, i64>(at).map(i64::cast_unsigned);
    Ok(Examined {
        rows: count(0)?,
        all_rows: count(1)?,
        without_key: count(2)?,
        repeated_keys: count(3)?,
        empty_payloads: count(4)?,
        other_times: count(5)?,
        outside_window: count(6)?,
        replaced: count(7)?,
        ..Examined::default()
    })
}

async fn in_windows(
    transaction: &Transaction<'_>,
    inquiry: &Inquiry<'_>,
) -> Result<Vec<u64>, StoreErrorKind> {
    let mut rows = vec![0; inquiry.windows.len()];
    if rows.is_empty() {
        return Ok(rows);
    }
    let (starts, ends) = bounds(inquiry.windows);
    for row in transaction.query(&in_windows_sql(&inquiry.pipeline.table), &[&starts, &ends]).await? {
        // The first one is number 1.
        let place = usize::try_from(row.try_get::<_, i32>(0)? - 1).ok();
        let Some(rows) = place.and_then(|place| rows.get_mut(place)) else { continue };
        *rows = row.try_get::<_, i64>(1)?.cast_unsigned();
    }
    Ok(rows)
}

fn bounds(windows: &[Window]) -> (Vec<OffsetDateTime>, Vec<OffsetDateTime>) {
    windows.iter().map(|window| (window.start(), window.end())).unzip()
}

fn days(rows: &[Row]) -> Result<Vec<(Date, u64)>, StoreErrorKind> {
    let day = |row: &Row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.cast_unsigned()));
    rows.iter().map(day).collect()
}

/// Returns how many there are now: one that was there before, or the one of this statement, which the other part of it does
/// not see.
const KEEP_VALIDATION: &str = "
    WITH new AS (
        INSERT INTO backfill_validation (run_id, entity_name, validated_at_utc, time_axis, rows_examined)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (run_id, entity_name, validated_at_utc) DO NOTHING
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM new) + (
        SELECT count(*) FROM backfill_validation WHERE run_id = $1 AND entity_name = $2 AND validated_at_utc = $3)";

/// Returns how many there are now, likewise.
const KEEP_FINDINGS: &str = "
    WITH new AS (
    INSERT INTO backfill_finding (run_id, entity_name, validated_at_utc, number, kind, severity, span_start_utc,
        span_end_utc, amount, detail)
    SELECT $1, $2, $3, (found.number)::integer, kind, severity, span_start, span_end, amount, detail
    FROM unnest($4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::bigint[], $9::text[])
        WITH ORDINALITY AS found (kind, severity, span_start, span_end, amount, detail, number)
    ON CONFLICT (run_id, entity_name, validated_at_utc, number) DO NOTHING
    RETURNING 1
    )
    SELECT (SELECT count(*) FROM new) + (
        SELECT count(*) FROM backfill_finding WHERE run_id = $1 AND entity_name = $2 AND validated_at_utc = $3)";

/// Remembers what was found.
pub(super) async fn keep(
    client: &mut Object,
    run: &RunId,
    validated: &[Validated],
) -> Result<(), StoreErrorKind> {
    let run = run.as_str();
    let transaction = client.transaction().await?;
    for one in validated {
        let (entity_name, time_axis, rows) = (&*one.entity_name, &*one.time_axis, one.rows.cast_signed());
        let line: i64 = transaction
            .query_one(KEEP_VALIDATION, &[&run, &entity_name, &one.at, &time_axis, &rows])
            .await?
            .try_get(0)?;
        kept("backfill_validation", line.cast_unsigned(), 1)?;
        let found = &one.findings;
        let kinds: Vec<&str> = found.iter().map(|finding| &*finding.kind).collect();
        let severities: Vec<&str> = found.iter().map(|finding| finding.severity.as_str()).collect();
        let starts: Vec<_> = found.iter().map(|finding| finding.span.map(Window::start)).collect();
        let ends: Vec<_> = found.iter().map(|finding| finding.span.map(Window::end)).collect();
        let amounts: Vec<i64> = found.iter().map(|finding| finding.amount.cast_signed()).collect();
        let details: Vec<&str> = found.iter().map(|finding| &*finding.detail).collect();
        let lines: i64 = transaction
            .query_one(
                KEEP_FINDINGS,
                &[&run, &entity_name, &one.at, &kinds, &severities, &starts, &ends, &amounts, &details],
            )
            .await?
            .try_get(0)?;
        kept("backfill_finding", lines.cast_unsigned(), found.len())?;
    }
    point!("report.kept");
    Ok(transaction.commit().await?)
}

const VALIDATED: &str = "
    SELECT DISTINCT ON (entity_name) entity_name, time_axis, validated_at_utc, rows_examined
    FROM backfill_validation
    WHERE run_id = $1
    ORDER BY entity_name, validated_at_utc DESC";

const FINDINGS: &str = "
    SELECT entity_name, validated_at_utc, kind, severity, span_start_utc, span_end_utc, amount, detail
    FROM backfill_finding
    WHERE run_id = $1
    ORDER BY entity_name, validated_at_utc, number";

/// What was found last after a run, by pipeline.
pub(super) async fn validated(client: &Client, run: &RunId) -> Result<Vec<Validated>, StoreErrorKind> {
    let run = run.as_str();
    let mut findings: BTreeMap<(String, OffsetDateTime), Vec<Finding>> = BTreeMap::new();
    for row in client.query(FINDINGS, &[&run]).await? {
        findings.entry((row.try_get(0)?, row.try_get(1)?)).or_default().push(finding(&row)?);
    }
    let rows = client.query(VALIDATED, &[&run]).await?;
    let one = |row: &Row| {
        let (entity_name, at): (String, OffsetDateTime) = (row.try_get(0)?, row.try_get(2)?);
        let key = (entity_name, at);
        let findings = findings.remove(&key).unwrap_or_default();
        Ok(Validated {
            entity_name: key.0.into(),
            time_axis: row.try_get::<_, String>(1)?.into(),
            at,
            rows: row.try_get::<_, i64>(3)?.cast_unsigned(),
            findings,
        })
    };
    rows.iter().map(one).collect()
}

fn finding(row: &Row) -> Result<Finding, StoreErrorKind> {
    let text = |at| row.try_get::<_, String>(at).map(Box::<str>::from);
    let bounds: (Option<OffsetDateTime>, Option<OffsetDateTime>) = (row.try_get(4)?, row.try_get(5)?);
    let span = match bounds {
        (Some(start), Some(end)) => {
            Some(Window::new(start, end).map_err(|_| unexpected("a span of a finding"))?)
        }
        _ => None,
    };
    Ok(Finding {
        kind: text(2)?,
        severity: row.try_get::<_, &str>(3)?.parse().map_err(|_| unexpected("a severity"))?,
        span,
        amount: row.try_get::<_, i64>(6)?.cast_unsigned(),
        detail: text(7)?,
    })
}
