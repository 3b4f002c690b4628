//! Lists runs page by page, and shows how far one is.

use std::time::Duration;

use deadpool_postgres::Object;
use postgres_types::ToSql;
use time::OffsetDateTime;
use tokio_postgres::Row;

use super::snapshot::Snapshot;
use crate::postgres::log::runs::{self, RUN_COLUMNS};
use crate::{
    AsOf, PipelineProgress, PipelineTotals, RecentPages, RunFilter, RunId, RunKey, RunProgress, RunRecord,
    RunStatus, StopRequest, StoreErrorKind,
};

const CONDITIONS: &str = "
    WHERE ($1::text IS NULL OR status = $1)
      AND ($2::text IS NULL OR EXISTS (
            SELECT FROM backfill_run_pipeline AS part WHERE part.run_id = backfill_run.run_id AND part.entity_name = $2))
      AND ($3::timestamptz IS NULL OR (started_at_utc, run_id COLLATE \"C\") < ($3, $4))
    ORDER BY started_at_utc DESC, run_id COLLATE \"C\" DESC
    LIMIT $5";

/// The run's own request first; else the one to stop the trigger that started it.
const STOP: &str = "
    SELECT coalesce(run.stop_requested_at_utc, trigger_.stop_requested_at_utc),
        CASE WHEN run.stop_requested_at_utc IS NULL THEN trigger_.stop_requested_by ELSE run.stop_requested_by END
    FROM backfill_run AS run LEFT JOIN backfill_trigger AS trigger_ ON trigger_.run_id = run.run_id
    WHERE run.run_id = $1 AND coalesce(run.stop_requested_at_utc, trigger_.stop_requested_at_utc) IS NOT NULL";

/// For each pipeline of the run its last pages, and the lines that they changed last or that are still open.
const PROGRESS: &str = "
    SELECT part.entity_name, part.time_axis, line.windows_left, line.seconds_left, line.cursor_utc, page.last_at,
        page.pages, extract(epoch FROM page.last_at - coalesce(page.before_at, run.started_at_utc))::float8, line.seconds_covered
    FROM backfill_run AS run JOIN backfill_run_pipeline AS part USING (run_id)
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE place <= 20) AS pages,
            max(committed_at_utc) AS last_at,
            min(page_number) FILTER (WHERE place <= 20) AS first_number,
            max(committed_at_utc) FILTER (WHERE place = 21) AS before_at
        FROM (
            SELECT page_number, committed_at_utc, row_number() OVER (ORDER BY page_number DESC) AS place
            FROM backfill_page
            WHERE run_id = part.run_id AND entity_name = part.entity_name
            ORDER BY page_number DESC LIMIT 21
        ) AS last
    ) AS page
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE is_open) AS windows_left,
            coalesce(extract(epoch FROM sum(window_end_utc - reached) FILTER (WHERE is_open)), 0)::float8 AS seconds_left,
            max(cursor_utc) FILTER (WHERE is_open) AS cursor_utc,
            coalesce(extract(epoch FROM sum(CASE WHEN is_open OR cursor_utc IS NOT NULL THEN reached ELSE window_end_utc END
                - window_start_utc) FILTER (WHERE line.page_number >= page.first_number)), 0)::float8 AS seconds_covered
        FROM (
            SELECT window_start_utc, window_end_utc, cursor_utc, page_number, status IN ('pending', 'running') AS is_open,
                least(greatest(coalesce(cursor_utc, window_start_utc), window_start_utc), window_end_utc) AS reached
            FROM backfill_log
            WHERE entity_name = part.entity_name AND time_axis = part.time_axis AND run_id = part.run_id
        ) AS line
    ) AS line
    WHERE run.run_id = $1
    ORDER BY part.entity_name COLLATE \"C\"";

pub(super) async fn page(
    client: &mut Object,
    filter: &RunFilter,
    before: Option<&RunKey>,
    limit: u32,
) -> Result<AsOf<Vec<RunRecord>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let status = filter.status.map(RunStatus::as_str);
    let entity_name = filter.entity_name.as_deref();
    let (began, id) = (before.map(|key| key.started_at), before.map(|key| key.id.as_str()));
    let limit = i64::from(limit);
    let parameters: [&(dyn ToSql + Sync); 5] = [&status, &entity_name, &began, &id, &limit];
    let sql = format!("SELECT {RUN_COLUMNS} FROM backfill_run {CONDITIONS}");
    let rows = snapshot.transaction.query(&sql, &parameters).await?;
    let records = runs::with_totals(&*snapshot.transaction, &rows).await?;
    snapshot.end(records).await
}

pub(super) async fn progress(
    client: &mut Object,
    run: &RunId,
) -> Result<AsOf<Option<RunProgress>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let Some(record) = runs::one(&*snapshot.transaction, run).await? else {
        return snapshot.end(None).await;
    };
    let stop = snapshot.transaction.query_opt(STOP, &[&run.as_str()]).await?;
    let stop = stop.map(|row| stop_request(&row)).transpose()?;
    let rows = snapshot.transaction.query(PROGRESS, &[&run.as_str()]).await?;
    let mut pipelines = Vec::new();
    for row in &rows {
        let name: &str = row.try_get(0)?;
        let totals = record.pipelines.iter().find(|part| *part.entity_name == *name);
        if let Some(totals) = totals {
            pipelines.push(pipeline(row, totals)?);
        }
    }
    snapshot.end(Some(RunProgress { run: record, stop, pipelines })).await
}

fn stop_request(row: &Row) -> Result<StopRequest, StoreErrorKind> {
    Ok(StopRequest { at: row.try_get(0)?, by: row.try_get::<_, Option<&str>>(1)?.map(Into::into) })
}

fn pipeline(row: &Row, totals: &PipelineTotals) -> Result<PipelineProgress, StoreErrorKind> {
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let last_page_at: Option<OffsetDateTime> = row.try_get(5)?;
    let recent = match last_page_at {
        Some(_) => Some(RecentPages {
            pages: u32::try_from(row.try_get::<_, i64>(6)?).unwrap_or(u32::MAX),
            elapsed: seconds(row.try_get(7)?),
            covered: seconds(row.try_get(8)?),
        }),
        None => None,
    };
    Ok(PipelineProgress {
        time_axis: row.try_get::<_, &str>(1)?.into(),
        totals: totals.clone(),
        windows_left: row.try_get::<_, i64>(2)?.cast_unsigned(),
        time_left: seconds(row.try_get(3)?),
        cursor: row.try_get(4)?,
        last_page_at,
        recent,
    })
}
