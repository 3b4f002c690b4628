//! Records the start, the end and the totals of runs, and requests to stop them.

use std::collections::BTreeSet;

use deadpool_postgres::{Object, Transaction};
use failpoint::point;
use tokio_postgres::{Client, GenericClient, Row};

use crate::postgres::rows::{kept, unexpected, window};
use crate::postgres::{identity, lease};
use crate::{
    PipelineTotals, RunEnd, RunId, RunRecord, RunStart, RunStatus, StoreErrorKind, StoreIdentity,
    WindowCounts,
};

const BEGIN: &str = "
    INSERT INTO backfill_run (run_id, realm_id, environment, seed, chunk, range_start_utc, range_end_utc, status,
        started_at_utc)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', $8)
    ON CONFLICT (run_id) DO UPDATE SET status = 'running', finished_at_utc = NULL, message = NULL,
        stop_requested_at_utc = NULL, stop_requested_by = NULL, error_code = NULL";

const REQUEST_STOP: &str = "
    UPDATE backfill_run SET stop_requested_at_utc = coalesce(stop_requested_at_utc, clock_timestamp()),
        stop_requested_by = CASE WHEN stop_requested_at_utc IS NULL THEN $2::text ELSE stop_requested_by END
    WHERE run_id = $1 AND status = 'running'";

const STOP_REQUESTED: &str =
    "SELECT FROM backfill_run WHERE run_id = $1 AND stop_requested_at_utc IS NOT NULL";

/// Returns how many there are now: those that existed before, and those that this statement inserts, which its other part does
/// not see.
const BEGIN_PIPELINES: &str = "
    WITH begun AS (
        INSERT INTO backfill_run_pipeline (run_id, entity_name, time_axis)
        SELECT $1, pipeline.* FROM unnest($2::text[], $3::text[]) AS pipeline
        ON CONFLICT (run_id, entity_name) DO NOTHING
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM begun)
        + (SELECT count(*) FROM backfill_run_pipeline WHERE run_id = $1 AND entity_name = ANY($2))";

const FINISH: &str = "
    UPDATE backfill_run
    SET status = $2, message = $3, finished_at_utc = $4, calls = calls + $5, retries = retries + $6,
        waited_seconds = waited_seconds + $7, error_code = $8
    WHERE run_id = $1";

/// By the pipelines of the run, because the log is sorted by them.
const STANDS: &str = "
    SELECT EXISTS (
            SELECT FROM backfill_log AS line JOIN backfill_run_pipeline AS part USING (entity_name, time_axis)
            WHERE part.run_id = $1 AND line.run_id = $1 AND line.status IN ('pending', 'running')),
        (SELECT coalesce(sum(windows_completed + windows_provisional + windows_failed + windows_unavailable), 0)::bigint
            FROM backfill_run_pipeline WHERE run_id = $1)";

/// The columns of a run.
macro_rules! run_columns {
    () => {
        "run_id, realm_id, environment, seed, range_start_utc, range_end_utc, chunk, status, message,
        started_at_utc, finished_at_utc, calls, retries, waited_seconds, error_code"
    };
}
pub(in crate::postgres) const RUN_COLUMNS: &str = run_columns!();

const RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    "
    FROM backfill_run
    WHERE $1::text IS NULL OR run_id = $1
    ORDER BY started_at_utc DESC, run_id DESC
    LIMIT $2"
);

const PIPELINES: &str = "
    SELECT run_id, entity_name, records_inserted, records_updated, records_unchanged, records_quarantined,
        pages_read, windows_opened, windows_completed, windows_provisional, windows_failed,
        windows_unavailable
    FROM backfill_run_pipeline
    WHERE run_id = ANY($1)
    ORDER BY entity_name";

/// Records that a run has begun or is resumed.
pub(in crate::postgres) async fn begin(client: &mut Object, run: &RunStart) -> Result<(), StoreErrorKind> {
    let transaction = client.transaction().await?;
    if let Some(lease) = &run.fence {
        lease::fence(&transaction, lease).await?;
    }
    begin_in(&transaction, run).await?;
    point!("run.begun");
    Ok(transaction.commit().await?)
}

/// The same, inside a transaction of the caller.
pub(in crate::postgres) async fn begin_in(
    transaction: &Transaction<'_>,
    run: &RunStart,
) -> Result<(), StoreErrorKind> {
    let StoreIdentity { realm_id, environment } = &run.identity;
    let id = run.id.as_str();
    let names: Vec<&str> = run.pipelines.iter().map(|pipeline| &*pipeline.entity_name).collect();
    let axes: Vec<&str> = run.pipelines.iter().map(|pipeline| &*pipeline.time_axis).collect();
    identity::check(&**transaction, &run.identity).await?;
    let begun = transaction
        .execute(
            BEGIN,
            &[
                &id,
                &&**realm_id,
                &&**environment,
                &run.seed.cast_signed(),
                &&*run.chunk,
                &run.span.start(),
                &run.span.end(),
                &run.started_at,
            ],
        )
        .await?;
    kept("backfill_run", begun, 1)?;
    let found: i64 = transaction.query_one(BEGIN_PIPELINES, &[&id, &names, &axes]).await?.try_get(0)?;
    let distinct: BTreeSet<&str> = names.into_iter().collect();
    kept("backfill_run_pipeline", found.cast_unsigned(), distinct.len())
}

/// Records how a run ended.
pub(in crate::postgres) async fn finish(
    client: &mut Object,
    run: &RunId,
    end: &RunEnd,
) -> Result<(), StoreErrorKind> {
    let (calls, retries) = (end.calls.cast_signed(), end.retries.cast_signed());
    let transaction = client.transaction().await?;
    if let Some(lease) = &end.fence {
        lease::fence(&transaction, lease).await?;
    }
    let found = transaction
        .execute(
            FINISH,
            &[
                &run.as_str(),
                &end.status.as_str(),
                &end.message.as_deref(),
                &end.finished_at,
                &calls,
                &retries,
                &end.waited_seconds,
                &end.error_code.as_deref(),
            ],
        )
        .await?;
    if found != 1 || (end.status.says_all_is_read() && is_put_back(&transaction, run, end.closed).await?) {
        return Err(StoreErrorKind::LogMoved(format!("run {run}").into()));
    }
    point!("run.ended");
    point!("run.commit", transaction.commit()).await?;
    point!("run.committed");
    Ok(())
}

/// Whether windows of a run are still running, or fewer are closed than it has closed: then the log was restored since.
async fn is_put_back(
    transaction: &Transaction<'_>,
    run: &RunId,
    closed: u64,
) -> Result<bool, StoreErrorKind> {
    let row = transaction.query_one(STANDS, &[&run.as_str()]).await?;
    Ok(row.try_get(0)? || row.try_get::<_, i64>(1)?.cast_unsigned() < closed)
}

/// Asks a run to stop. Returns whether it is in progress.
pub(in crate::postgres) async fn request_stop(
    client: &Client,
    run: &RunId,
    by: &str,
) -> Result<bool, StoreErrorKind> {
    Ok(client.execute(REQUEST_STOP, &[&run.as_str(), &by]).await? == 1)
}

pub(in crate::postgres) async fn stop_requested(
    client: &Client,
    run: &RunId,
) -> Result<bool, StoreErrorKind> {
    Ok(client.query_opt(STOP_REQUESTED, &[&run.as_str()]).await?.is_some())
}

/// Looks up one run.
pub(in crate::postgres) async fn one(
    client: &impl GenericClient,
    run: &RunId,
) -> Result<Option<RunRecord>, StoreErrorKind> {
    Ok(read(client, Some(run.as_str()), 1).await?.pop())
}

/// Lists the newest runs.
pub(in crate::postgres) async fn newest(
    client: &Client,
    limit: u32,
) -> Result<Vec<RunRecord>, StoreErrorKind> {
    read(client, None, i64::from(limit)).await
}

async fn read(
    client: &impl GenericClient,
    run: Option<&str>,
    limit: i64,
) -> Result<Vec<RunRecord>, StoreErrorKind> {
    let rows = client.query(RUNS, &[&run, &limit]).await?;
    with_totals(client, &rows).await
}

/// Reads runs, with the totals of their pipelines.
pub(in crate::postgres) async fn with_totals(
    client: &impl GenericClient,
    rows: &[Row],
) -> Result<Vec<RunRecord>, StoreErrorKind> {
    let mut records = rows.iter().map(record).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
    let totals = client.query(PIPELINES, &[&ids]).await?;
    for row in totals {
        let run: &str = row.try_get(0)?;
        if let Some(record) = records.iter_mut().find(|record| record.id.as_str() == run) {
            record.pipelines.push(pipeline_totals(&row)?);
        }
    }
    Ok(records)
}

fn record(row: &Row) -> Result<RunRecord, StoreErrorKind> {
    let text = |at| row.try_get::<_, String>(at).map(Box::<str>::from);
    Ok(RunRecord {
        id: row.try_get::<_, &str>(0)?.parse().map_err(|_| unexpected("a run_id"))?,
        identity: StoreIdentity { realm_id: text(1)?, environment: text(2)? },
        seed: row.try_get::<_, i64>(3)?.cast_unsigned(),
        span: window(row, 4)?,
        chunk: text(6)?,
        status: RunStatus::from_word(row.try_get(7)?)
            .ok_or_else(|| unexpected("a status of backfill_run"))?,
        message: row.try_get::<_, Option<String>>(8)?.map(Into::into),
        started_at: row.try_get(9)?,
        finished_at: row.try_get(10)?,
        calls: row.try_get::<_, i64>(11)?.cast_unsigned(),
        retries: row.try_get::<_, i64>(12)?.cast_unsigned(),
        waited_seconds: row.try_get(13)?,
        error_code: row.try_get::<_, Option<String>>(14)?.map(Into::into),
        pipelines: Vec::new(),
    })
}

fn pipeline_totals(row: &Row) -> Result<PipelineTotals, StoreErrorKind> {
    let count = |at| row.try_get::<_, i64>(at).map(i64::cast_unsigned);
    Ok(PipelineTotals {
        entity_name: row.try_get::<_, String>(1)?.into(),
        counts: WindowCounts {
            inserted: count(2)?,
            updated: count(3)?,
            unchanged: count(4)?,
            quarantined: count(5)?,
        },
        pages: count(6)?,
        windows_opened: count(7)?,
        windows_completed: count(8)?,
        windows_provisional: count(9)?,
        windows_failed: count(10)?,
        windows_unavailable: count(11)?,
    })
}
