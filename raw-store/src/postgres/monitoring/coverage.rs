//! Sums up the log by month, finds what it covers without a gap, and lists its lines page by page.

use std::time::Duration;

use deadpool_postgres::Object;
use postgres_types::ToSql;
use time::{Date, Month};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::snapshot::Snapshot;
use crate::postgres::log::query::{LINE_COLUMNS, line};
use crate::postgres::rows::{unexpected, window};
use crate::{
    AsOf, CoverageMonth, CoverageStretch, InsertedRows, LineFilter, LineKey, LogLine, RunId, StoreErrorKind,
    Window, WindowState,
};

/// Adds up windows of equal length first, because adding intervals is slow. The second half has the windows that are longer than a month:
/// few, if any.
const MONTHS: &str = "
    SELECT entity_name, time_axis, month::date, status, counted, sum(windows)::bigint,
        extract(epoch FROM sum(covered * windows))::float8, sum(records_read)::bigint, sum(records_inserted)::bigint
    FROM (
        SELECT entity_name, time_axis, status, counted_at_utc IS NOT NULL AS counted,
            date_trunc('month', (window_start_utc + (window_end_utc - window_start_utc) / 2) AT TIME ZONE $1) AS month,
            window_end_utc - window_start_utc AS covered, count(*) AS windows, sum(records_read) AS records_read,
            sum(records_inserted) AS records_inserted
        FROM backfill_log
        WHERE window_end_utc - window_start_utc <= interval '31 days'
        GROUP BY entity_name, time_axis, status, counted, month, covered
        UNION ALL
        SELECT entity_name, time_axis, status, counted_at_utc IS NOT NULL, month,
            least(window_end_utc, (month + interval '1 month') AT TIME ZONE $1)
                - greatest(window_start_utc, month AT TIME ZONE $1),
            1,
            CASE WHEN month = first_month THEN records_read ELSE 0 END,
            CASE WHEN month = first_month THEN records_inserted ELSE 0 END
        FROM backfill_log
        CROSS JOIN LATERAL (SELECT date_trunc('month', window_start_utc AT TIME ZONE $1) AS first_month) AS first
        CROSS JOIN LATERAL generate_series(first_month, (window_end_utc - interval '1 microsecond') AT TIME ZONE $1,
            interval '1 month') AS month
        WHERE window_end_utc - window_start_utc > interval '31 days'
    ) AS part
    GROUP BY entity_name, time_axis, month, status, counted
    ORDER BY entity_name COLLATE \"C\", time_axis COLLATE \"C\", month, status COLLATE \"C\", counted";

/// A stretch begins where a window starts behind everything before it, and ends where the time before the next one ended. In the
/// order of the primary key, so that nothing is sorted.
const STRETCHES: &str = "
    SELECT entity_name, time_axis, window_start_utc, coalesce(next_end, last_end)
    FROM (
        SELECT entity_name, time_axis, window_start_utc, lead(end_before) OVER stretch AS next_end
        FROM (
            SELECT entity_name, time_axis, window_start_utc, window_end_utc, max(window_end_utc) OVER (
                PARTITION BY entity_name, time_axis ORDER BY window_start_utc, window_end_utc
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS end_before
            FROM backfill_log
        ) AS line
        WHERE end_before IS NULL OR window_start_utc > end_before
        WINDOW stretch AS (PARTITION BY entity_name, time_axis ORDER BY window_start_utc)
    ) AS begun
    JOIN (
        SELECT entity_name, time_axis, max(window_end_utc) AS last_end FROM backfill_log GROUP BY entity_name, time_axis
    ) AS pipeline USING (entity_name, time_axis)
    ORDER BY entity_name COLLATE \"C\", time_axis COLLATE \"C\", window_start_utc";

const INSERTED: &str = "
    SELECT entity_name, sum(records_inserted)::bigint FROM backfill_run_pipeline
    GROUP BY entity_name ORDER BY entity_name COLLATE \"C\"";

pub(super) async fn months(
    client: &mut Object,
    zone: &str,
) -> Result<AsOf<Vec<CoverageMonth>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let rows = match snapshot.transaction.query(MONTHS, &[&zone]).await {
        Ok(rows) => rows,
        Err(error) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => {
            let text = format!("the database knows no time zone {}", zone.escape_default());
            return Err(StoreErrorKind::Configuration(text.into()));
        }
        Err(error) => return Err(error.into()),
    };
    snapshot.end(rows.iter().map(month).collect::<Result<_, _>>()?).await
}

fn month(row: &Row) -> Result<CoverageMonth, StoreErrorKind> {
    let count = |at: usize| row.try_get::<_, i64>(at).map(i64::cast_unsigned);
    let first: Date = row.try_get(2)?;
    let (year, month): (i32, Month) = (first.year(), first.month());
    Ok(CoverageMonth {
        entity_name: row.try_get::<_, &str>(0)?.into(),
        time_axis: row.try_get::<_, &str>(1)?.into(),
        year,
        month,
        state: WindowState::from_word(row.try_get(3)?)
            .ok_or_else(|| unexpected("a status of backfill_log"))?,
        counted: row.try_get(4)?,
        windows: count(5)?,
        covered: Duration::try_from_secs_f64(row.try_get(6)?).unwrap_or_default(),
        records_read: count(7)?,
        records_inserted: count(8)?,
    })
}

pub(super) async fn stretches(client: &mut Object) -> Result<AsOf<Vec<CoverageStretch>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let rows = snapshot.transaction.query(STRETCHES, &[]).await?;
    let stretch = |row: &Row| {
        let (entity_name, time_axis) = (row.try_get::<_, &str>(0)?.into(), row.try_get::<_, &str>(1)?.into());
        Ok::<_, StoreErrorKind>(CoverageStretch { entity_name, time_axis, span: window(row, 2)? })
    };
    snapshot.end(rows.iter().map(stretch).collect::<Result<_, _>>()?).await
}

pub(super) async fn inserted_rows(client: &mut Object) -> Result<AsOf<Vec<InsertedRows>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let rows = snapshot.transaction.query(INSERTED, &[]).await?;
    let inserted = |row: &Row| {
        let (name, rows): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok::<_, StoreErrorKind>(InsertedRows { entity_name: name.into(), rows: rows.cast_unsigned() })
    };
    snapshot.end(rows.iter().map(inserted).collect::<Result<_, _>>()?).await
}

/// Builds the statement for the fields that are set, so that the planner sees which index serves them. Everything that was given is
/// bound; only the words of our own enum stand in the text, where the partial index wants them.
fn page_sql(filter: &LineFilter, after: bool) -> String {
    let mut sql = format!("SELECT {LINE_COLUMNS} FROM backfill_log WHERE true");
    let mut add = |condition: &str| {
        sql.push_str(" AND ");
        sql.push_str(condition);
    };
    // Every parameter has its number whether it is used or not.
    add("($1::text IS NULL OR true) AND ($2::text IS NULL OR true) AND ($3::text IS NULL OR true)");
    add("($4::timestamptz IS NULL OR true) AND ($5::timestamptz IS NULL OR true)");
    add("($6::text IS NULL OR true) AND ($7::text IS NULL OR true)");
    add("($8::timestamptz IS NULL OR true) AND ($9::timestamptz IS NULL OR true)");
    if filter.entity_name.is_some() {
        add("entity_name = $1");
    }
    if filter.time_axis.is_some() {
        add("time_axis = $2");
    }
    if filter.run.is_some() {
        add("run_id = $3");
    }
    if filter.span.is_some() {
        add("window_end_utc > $4 AND window_start_utc < $5");
    }
    if let Some(state) = filter.state {
        add(&format!("status = '{}'", state.as_str()));
        if state != WindowState::Completed {
            add("status <> 'completed'");
        }
    }
    if filter.unconfirmed {
        add("status = 'completed' AND counted_at_utc IS NULL");
    }
    if after {
        add("(entity_name, time_axis, window_start_utc, window_end_utc) > ($6, $7, $8, $9)");
    }
    sql.push_str(" ORDER BY entity_name, time_axis, window_start_utc, window_end_utc LIMIT $10");
    sql
}

pub(super) async fn page_of_lines(
    client: &mut Object,
    filter: &LineFilter,
    after: Option<&LineKey>,
    limit: u32,
) -> Result<AsOf<Vec<LogLine>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let LineFilter { entity_name, time_axis, run, span, .. } = filter;
    let (entity_name, time_axis) = (entity_name.as_deref(), time_axis.as_deref());
    let run = run.as_ref().map(RunId::as_str);
    let (start, end) = (span.map(Window::start), span.map(Window::end));
    let (after_name, after_axis) = (after.map(|key| &*key.entity_name), after.map(|key| &*key.time_axis));
    let (after_start, after_end) = (after.map(|key| key.window.start()), after.map(|key| key.window.end()));
    let limit = i64::from(limit);
    let parameters: [&(dyn ToSql + Sync); 10] = [
        &entity_name,
        &time_axis,
        &run,
        &start,
        &end,
        &after_name,
        &after_axis,
        &after_start,
        &after_end,
        &limit,
    ];
    let rows = snapshot.transaction.query(&page_sql(filter, after.is_some()), &parameters).await?;
    snapshot.end(rows.iter().map(line).collect::<Result<_, _>>()?).await
}
