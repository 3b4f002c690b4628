//! Computes the statistics that validation needs from the stored rows, and stores findings.

use std::collections::BTreeMap;

use deadpool_postgres::{Object, Transaction};
use failpoint::point;
use postgres_types::ToSql;
use time::{Date, OffsetDateTime};
use tokio_postgres::{Client, IsolationLevel, Row};

use super::commit::documents::SAYS_NOTHING;
use super::rows::{kept, run_id, unexpected, window};
use super::version;
use crate::{
    Finding, Pipeline, RunId, StoreErrorKind, TableName, TableSurvey, ValidationQuery, ValidationResult,
    ValidationStats, Window,
};

/// All rows of a span are read, and the role's statement timeout may be shorter.
const PATIENCE: &str = "SET LOCAL statement_timeout = '15min'";

/// An offset such as `-08:00`, or `Z`, as an interval.
fn offset(zone: &str) -> String {
    format!(
        "CASE WHEN {zone} = 'Z' THEN interval '0' ELSE make_interval(
             hours => (left({zone}, 1) || substr({zone}, 2, 2))::integer,
             mins => CASE WHEN length({zone}) > 3 THEN (left({zone}, 1) || right({zone}, 2))::integer ELSE 0 END) END"
    )
}

/// The part of a text that is a time, and the offset after it. No cast sees a text that could make it fail.
fn time_and_zone(words: &str, name: &str) -> String {
    format!(
        // The spellings that the reader of answers accepts (qbo-client, page/timestamp.rs).
        "regexp_replace(substring({words} FROM
             '^\\s*(\\d{{4}}-\\d\\d-\\d\\d[Tt ]\\d\\d:\\d\\d:\\d\\d)(?:[.,]\\d+)? ?(?:[Zz]|[+-]\\d\\d(?::?\\d\\d)?)\\s*$'),
             '[t ]', 'T') AS {name},
         upper(substring({words} FROM '([Zz]|[+-](?:0\\d|1[0-5])(?::?[0-5]\\d)?)\\s*$')) AS {name}_zone"
    )
}

/// The instant in UTC at which a document was created. Day of month and time are added to the first of the month, so no
/// invented date can fail.
fn made_at() -> String {
    let offset = offset("made_zone");
    format!(
        "CASE WHEN made_zone IS NOT NULL AND substr(made, 6, 2) BETWEEN '01' AND '12' AND substr(made, 1, 4) > '0000'
             THEN make_date(substr(made, 1, 4)::integer, substr(made, 6, 2)::integer, 1)
                 + (substr(made, 9, 2)::integer - 1)
                 + make_interval(hours => substr(made, 12, 2)::integer, mins => substr(made, 15, 2)::integer,
                     secs => substr(made, 18, 2)::integer)
                 - {offset} END"
    )
}

fn made_by_day_sql(table: &TableName) -> String {
    let (made, made_at) = (time_and_zone("made", "made"), made_at());
    format!(
        "SELECT made_at::date AS day, count(*)
         FROM (
             SELECT {made_at} AS made_at
             FROM (
                 SELECT {made}
                 FROM (
                     SELECT payload #>> $3 AS made FROM \"{table}\"
                     WHERE source_updated_at_utc >= $1 AND source_updated_at_utc < $2
                     OFFSET 0
                 ) AS told
                 OFFSET 0
             ) AS parsed
         ) AS dated
         WHERE made_at IS NOT NULL
         GROUP BY day ORDER BY day"
    )
}

/// Everything that is computed from the rows themselves, in one pass that unpacks each document once: `#> '{}'` is the whole
/// document, unpacked. `OFFSET 0` keeps a step from being merged into the next one, which would unpack a document for each
/// mention. What is kept of a row is small, and is scanned three times.
fn examine_sql(table: &TableName) -> String {
    let (changed, made) = (time_and_zone("changed", "changed"), time_and_zone("made", "made"));
    let (changed_offset, made_at) = (offset("changed_zone"), made_at());
    format!(
        "WITH looked_at AS MATERIALIZED (
             SELECT id, updated, window_start, window_end, says_nothing, number,
                 updated IS NOT NULL AND changed IS NOT NULL AND changed_zone IS NOT NULL
                     AND to_char((updated AT TIME ZONE 'UTC') + {changed_offset}, 'YYYY-MM-DD\"T\"HH24:MI:SS') <> changed
                     AS differs,
                 {made_at} AS made_at
             FROM (
                 SELECT id, updated, window_start, window_end, says_nothing, number, {changed}, {made}
                 FROM (
                     SELECT id, updated, window_start, window_end, says_nothing, document #>> $3 AS changed,
                         document #>> $4 AS made, document #>> $5 AS number
                     FROM (
                         SELECT id, source_updated_at_utc AS updated, extract_window_start_utc AS window_start,
                             extract_window_end_utc AS window_end, {SAYS_NOTHING} AS says_nothing,
                             payload #> '{{}}' AS document
                         FROM \"{table}\"
                         WHERE extract_window_start_utc < $2 AND extract_window_end_utc > $1
                         OFFSET 0
                     ) AS unpacked
                     OFFSET 0
                 ) AS told
                 OFFSET 0
             ) AS parsed
         ), own AS (
             -- A window that another axis has too says nothing about the rows that name it.
             SELECT * FROM unnest($6::timestamptz[], $7::timestamptz[]) AS own (window_start, window_end)
             WHERE NOT EXISTS (
                 SELECT FROM backfill_log AS other
                 WHERE other.entity_name = $8 AND other.time_axis <> $9
                   AND other.window_start_utc = own.window_start AND other.window_end_utc = own.window_end)
         ), made AS (
             SELECT made_at::date AS day, count(*) AS records FROM looked_at
             WHERE made_at >= $1 AT TIME ZONE 'UTC' AND made_at < $2 AT TIME ZONE 'UTC'
             GROUP BY day
         ), lagged AS (
             SELECT greatest(0, (updated AT TIME ZONE 'UTC')::date - made_at::date) AS lag, count(*) AS records
             FROM looked_at
             WHERE made_at >= $1 AT TIME ZONE 'UTC'
               AND made_at < date_trunc('day', ($1 + ($2 - $1) / 2) AT TIME ZONE 'UTC') AND updated IS NOT NULL
             GROUP BY lag
         )
         SELECT count(*),
             count(*) FILTER (WHERE id IS NULL OR id = ''),
             count(id) - count(DISTINCT id),
             count(*) FILTER (WHERE says_nothing),
             count(*) FILTER (WHERE differs),
             count(*) FILTER (WHERE own.window_start IS NOT NULL AND (updated < window_start OR updated >= window_end)),
             (SELECT count(*) FROM (
                 SELECT FROM looked_at WHERE number <> '' GROUP BY number HAVING count(*) > 1) AS repeated),
             ARRAY(SELECT day FROM made ORDER BY day),
             ARRAY(SELECT records FROM made ORDER BY day),
             ARRAY(SELECT lag FROM lagged ORDER BY lag),
             ARRAY(SELECT records FROM lagged ORDER BY lag)
         FROM looked_at LEFT JOIN own USING (window_start, window_end)"
    )
}

/// Adjacent windows are joined into one range, and an index finds the rows of each. Rows that name another one of the windows
/// are counted on the way, if no other axis has that window.
fn survey_sql(table: &TableName) -> String {
    format!(
        "WITH own AS (
             SELECT * FROM unnest($3::timestamptz[], $4::timestamptz[]) AS own (own_start, own_end)
             WHERE NOT EXISTS (
                 SELECT FROM backfill_log AS other
                 WHERE other.entity_name = $5 AND other.time_axis <> $6
                   AND other.window_start_utc = own_start AND other.window_end_utc = own_end)
         )
         SELECT number, count(*), count(*) FILTER (WHERE id IS NULL OR id = ''), count(*) FILTER (WHERE says_nothing),
             count(*) FILTER (WHERE (updated < window_start OR updated >= window_end)
                 AND (window_start, window_end) IN (SELECT own_start, own_end FROM own))
         FROM (
             SELECT width_bucket(updated, $3::timestamptz[]) AS number, placed.*
             FROM unnest($1::timestamptz[], $2::timestamptz[]) AS stretch (first, last), LATERAL (
                 -- A row without a time of its own is where it was put.
                 SELECT id, coalesce(source_updated_at_utc, extract_window_start_utc) AS updated,
                     extract_window_start_utc AS window_start, extract_window_end_utc AS window_end,
                     {SAYS_NOTHING} AS says_nothing
                 FROM \"{table}\"
                 WHERE (source_updated_at_utc >= first AND source_updated_at_utc < last)
                    OR (source_updated_at_utc IS NULL
                        AND extract_window_start_utc >= first AND extract_window_start_utc < last)
                 OFFSET 0
             ) AS placed
         ) AS numbered
         GROUP BY number"
    )
}

fn all_rows_sql(table: &TableName) -> String {
    format!("SELECT count(*) FROM (SELECT FROM \"{table}\" LIMIT $1) AS counted")
}

fn by_update_sql(table: &TableName) -> String {
    format!(
        "SELECT (source_updated_at_utc AT TIME ZONE 'UTC')::date AS day, count(*)
         FROM \"{table}\" WHERE source_updated_at_utc >= $1 AND source_updated_at_utc < $2
         GROUP BY day ORDER BY day"
    )
}

/// A transaction that sees one snapshot, and changes nothing.
async fn moment(client: &mut Object) -> Result<Transaction<'_>, StoreErrorKind> {
    let transaction =
        client.build_transaction().read_only(true).isolation_level(IsolationLevel::RepeatableRead);
    let transaction = transaction.start().await?;
    transaction.batch_execute(PATIENCE).await?;
    Ok(transaction)
}

/// Counts everything that an examination needs.
pub(super) async fn examine(
    client: &mut Object,
    inquiry: &ValidationQuery<'_>,
) -> Result<ValidationStats, StoreErrorKind> {
    let table = &inquiry.pipeline.table;
    let transaction = moment(client).await?;
    if !version::exists(&*transaction, table.as_str()).await? {
        return Ok(ValidationStats {
            in_windows: vec![0; inquiry.windows.len()],
            ..ValidationStats::default()
        });
    }
    let (start, end) = (inquiry.span.start(), inquiry.span.end());
    // If the windows measure something else, none of them says anything about the time of the last change.
    let (starts, ends) = bounds(if inquiry.by_update { inquiry.windows } else { &[] });
    let number = (!inquiry.number.is_empty()).then_some(inquiry.number);
    let (entity_name, time_axis) = (&*inquiry.pipeline.entity_name, &*inquiry.pipeline.time_axis);
    let row = transaction
        .query_one(
            &examine_sql(table),
            &[
                &start,
                &end,
                &inquiry.updated,
                &inquiry.created,
                &number,
                &starts,
                &ends,
                &entity_name,
                &time_axis,
            ],
        )
        .await?;
    let count = |at| row.try_get::<_, i64>(at).map(i64::cast_unsigned);
    let (days, records): (Vec<Date>, Vec<i64>) = (row.try_get(7)?, row.try_get(8)?);
    let (lags, lagged): (Vec<i32>, Vec<i64>) = (row.try_get(9)?, row.try_get(10)?);
    let surveyed = surveyed(&transaction, inquiry.pipeline, inquiry.windows, inquiry.enough).await?;
    let by_update = days_of(&transaction.query(&by_update_sql(table), &[&start, &end]).await?)?;
    let examined = ValidationStats {
        rows: count(0)?,
        all_rows: surveyed.all_rows,
        without_key: count(1)?,
        repeated_keys: count(2)?,
        empty_payloads: count(3)?,
        other_times: count(4)?,
        outside_window: count(5)?,
        repeated_numbers: count(6)?,
        in_windows: surveyed.in_windows,
        by_update,
        by_creation: days.into_iter().zip(records.into_iter().map(i64::cast_unsigned)).collect(),
        lags: lags
            .into_iter()
            .map(i32::cast_unsigned)
            .zip(lagged.into_iter().map(i64::cast_unsigned))
            .collect(),
    };
    transaction.commit().await?;
    Ok(examined)
}

/// Counts the rows of windows, and those of the table up to a limit.
pub(super) async fn survey(
    client: &mut Object,
    pipeline: &Pipeline,
    windows: &[Window],
    enough: u64,
) -> Result<TableSurvey, StoreErrorKind> {
    let transaction = moment(client).await?;
    if !version::exists(&*transaction, pipeline.table.as_str()).await? {
        return Ok(TableSurvey { in_windows: vec![0; windows.len()], ..TableSurvey::default() });
    }
    let surveyed = surveyed(&transaction, pipeline, windows, enough).await?;
    transaction.commit().await?;
    Ok(surveyed)
}

async fn surveyed(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
    windows: &[Window],
    enough: u64,
) -> Result<TableSurvey, StoreErrorKind> {
    let mut surveyed = TableSurvey { in_windows: vec![0; windows.len()], ..TableSurvey::default() };
    if enough > 0 {
        let row = transaction.query_one(&all_rows_sql(&pipeline.table), &[&enough.cast_signed()]).await?;
        surveyed.all_rows = row.try_get::<_, i64>(0)?.cast_unsigned();
    }
    if windows.is_empty() {
        return Ok(surveyed);
    }
    let (firsts, lasts) = stretches(windows);
    let (starts, ends) = bounds(windows);
    let (entity_name, time_axis) = (&*pipeline.entity_name, &*pipeline.time_axis);
    let parameters: [&(dyn ToSql + Sync); 6] = [&firsts, &lasts, &starts, &ends, &entity_name, &time_axis];
    for row in transaction.query(&survey_sql(&pipeline.table), &parameters).await? {
        let count = |at| row.try_get::<_, i64>(at).map(i64::cast_unsigned);
        // Numbering starts at 1.
        let place = usize::try_from(row.try_get::<_, i32>(0)? - 1).ok();
        let Some(rows) = place.and_then(|place| surveyed.in_windows.get_mut(place)) else { continue };
        *rows = count(1)?;
        surveyed.without_key += count(2)?;
        surveyed.empty_payloads += count(3)?;
        surveyed.outside_window += count(4)?;
    }
    Ok(surveyed)
}

/// Counts the rows of a window by the day on which they were created.
pub(super) async fn made_by_day(
    client: &mut Object,
    table: &TableName,
    window: Window,
    created: &[&str],
) -> Result<Vec<(Date, u64)>, StoreErrorKind> {
    let transaction = moment(client).await?;
    if !version::exists(&*transaction, table.as_str()).await? {
        return Ok(Vec::new());
    }
    let (start, end) = (window.start(), window.end());
    let rows = transaction.query(&made_by_day_sql(table), &[&start, &end, &created]).await?;
    transaction.commit().await?;
    days_of(&rows)
}

fn days_of(rows: &[Row]) -> Result<Vec<(Date, u64)>, StoreErrorKind> {
    let day = |row: &Row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.cast_unsigned()));
    rows.iter().map(day).collect()
}

fn bounds(windows: &[Window]) -> (Vec<OffsetDateTime>, Vec<OffsetDateTime>) {
    windows.iter().map(|window| (window.start(), window.end())).unzip()
}

/// The ranges that adjacent windows cover.
fn stretches(windows: &[Window]) -> (Vec<OffsetDateTime>, Vec<OffsetDateTime>) {
    let one = |stretch: &[Window]| (stretch[0].start(), stretch[stretch.len() - 1].end());
    windows.chunk_by(|a, b| a.end() == b.start()).map(one).unzip()
}

const REPLACED: &str = "
    SELECT coalesce(sum(records_updated), 0)::bigint FROM backfill_run_pipeline WHERE entity_name = $1";

/// Number of rows that runs have replaced.
pub(super) async fn replaced(client: &Client, entity_name: &str) -> Result<u64, StoreErrorKind> {
    Ok(client.query_one(REPLACED, &[&entity_name]).await?.try_get::<_, i64>(0)?.cast_unsigned())
}

/// Whether a validation (`line`) has no finding of the kind `$2` as an error.
macro_rules! without_error {
    () => {
        "NOT EXISTS (
            SELECT FROM backfill_finding AS finding
            WHERE (finding.run_id, finding.entity_name, finding.validated_at_utc)
                = (line.run_id, line.entity_name, line.validated_at_utc)
              AND finding.severity = 'error' AND finding.kind = $2)"
    };
}

const LOOKED_OVER: &str = concat!(
    "SELECT run_id FROM unnest($3::text[]) AS asked (run_id)
    WHERE (
        SELECT ",
    without_error!(),
    " FROM backfill_validation AS line
        WHERE line.run_id = asked.run_id AND line.entity_name = $1
        ORDER BY line.validated_at_utc DESC
        LIMIT 1)"
);

const SOUND_RANGES: &str = concat!(
    "SELECT range_start_utc, range_end_utc, line.validated_at_utc
    FROM backfill_run AS run
    CROSS JOIN LATERAL (
        SELECT * FROM backfill_validation AS line
        WHERE line.run_id = run.run_id AND line.entity_name = $1 AND line.time_axis = $3
        ORDER BY line.validated_at_utc DESC
        LIMIT 1) AS line
    WHERE range_start_utc < $5 AND range_end_utc > $4 AND line.validated_at_utc >= $6 AND ",
    without_error!()
);

/// The ranges of runs whose newest validation found no error.
pub(super) async fn sound_ranges(
    client: &Client,
    pipeline: &Pipeline,
    span: Window,
    (since, kind): (OffsetDateTime, &str),
) -> Result<Vec<(Window, OffsetDateTime)>, StoreErrorKind> {
    let parameters: [&(dyn ToSql + Sync); 6] =
        [&&*pipeline.entity_name, &kind, &&*pipeline.time_axis, &span.start(), &span.end(), &since];
    let rows = client.query(SOUND_RANGES, &parameters).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.push((window(row, 0)?, row.try_get(2)?));
    }
    Ok(found)
}

/// Those of the given runs whose newest validation found no error.
pub(super) async fn looked_over(
    client: &Client,
    entity_name: &str,
    runs: &[RunId],
    kind: &str,
) -> Result<Vec<RunId>, StoreErrorKind> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let asked: Vec<&str> = runs.iter().map(RunId::as_str).collect();
    let rows = client.query(LOOKED_OVER, &[&entity_name, &kind, &asked]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.extend(run_id(Some(row.try_get(0)?))?);
    }
    Ok(found)
}

/// Returns how many there are now: one that existed before, or the one that this statement inserts, which its other part does
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

/// Records the findings.
pub(super) async fn keep(
    client: &mut Object,
    run: &RunId,
    validated: &[ValidationResult],
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

/// The newest result of each pipeline after a run.
pub(super) async fn validated(client: &Client, run: &RunId) -> Result<Vec<ValidationResult>, StoreErrorKind> {
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
        Ok(ValidationResult {
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
