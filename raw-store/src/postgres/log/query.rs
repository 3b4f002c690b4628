//! Lists the lines of the backfill log that match a filter.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use postgres_types::ToSql;
use tokio_postgres::{Client, Row};

use crate::postgres::rows::{run_id, unexpected, window};
use crate::{LogFilter, LogLine, RunId, StoreErrorKind, Window, WindowMetrics, WindowState};

/// The columns of a log line.
macro_rules! line_columns {
    () => {
        "entity_name, time_axis, window_start_utc, window_end_utc, status, records_read, records_inserted,
        records_updated, records_unchanged, records_quarantined, pages_read, duration_seconds, started_at_utc,
        finished_at_utc, error_message, run_id, attempts, counted_at_utc, all_fields, error_code"
    };
}
pub(in crate::postgres) const LINE_COLUMNS: &str = line_columns!();

const LINES: &str = concat!(
    "SELECT ",
    line_columns!(),
    "
    FROM backfill_log
    WHERE ($1::text IS NULL OR entity_name = $1)
      AND ($2::text IS NULL OR run_id = $2)
      AND ($3::text IS NULL OR status = $3)
      AND ($4::timestamptz IS NULL OR window_end_utc > $4)
      AND ($5::timestamptz IS NULL OR window_start_utc < $5)
    ORDER BY entity_name, time_axis, window_start_utc, window_end_utc"
);

/// Lists log lines.
pub(in crate::postgres) async fn lines(
    client: &Client,
    filter: &LogFilter,
) -> Result<Vec<LogLine>, StoreErrorKind> {
    let run = filter.run.as_ref().map(RunId::as_str);
    let state = filter.state.map(WindowState::as_str);
    let (start, end) = (filter.span.map(Window::start), filter.span.map(Window::end));
    let entity_name = filter.entity_name.as_deref();
    let parameters: [&(dyn ToSql + Sync); 5] = [&entity_name, &run, &state, &start, &end];
    let mut rows = pin!(client.query_raw(LINES, parameters).await?);
    // One by one: a log can be long, and its rows need not be in memory beside its lines.
    let mut lines = Vec::new();
    while let Some(row) = rows.try_next().await? {
        lines.push(line(&row)?);
    }
    Ok(lines)
}

/// Reads a log line.
pub(in crate::postgres) fn line(row: &Row) -> Result<LogLine, StoreErrorKind> {
    let text = |at| row.try_get::<_, String>(at).map(Into::into);
    let count = |at| row.try_get::<_, i64>(at).map(i64::cast_unsigned);
    Ok(LogLine {
        entity_name: text(0)?,
        time_axis: text(1)?,
        window: window(row, 2)?,
        state: row.try_get::<_, &str>(4)?.parse().map_err(|_| unexpected("a status of backfill_log"))?,
        metrics: WindowMetrics {
            records_read: count(5)?,
            records_inserted: count(6)?,
            records_updated: count(7)?,
            records_unchanged: count(8)?,
            records_quarantined: count(9)?,
            pages_read: count(10)?,
        },
        duration: Duration::try_from_secs_f64(row.try_get(11)?).unwrap_or_default(),
        started_at: row.try_get(12)?,
        finished_at: row.try_get(13)?,
        error_message: row.try_get::<_, Option<String>>(14)?.map(Into::into),
        run: run_id(row.try_get(15)?)?,
        attempts: row.try_get::<_, i32>(16)?.cast_unsigned(),
        counted_at: row.try_get(17)?,
        all_fields: row.try_get(18)?,
        error_code: row.try_get::<_, Option<String>>(19)?.map(Into::into),
    })
}
