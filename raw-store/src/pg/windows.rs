use std::time::Duration;

use deadpool_postgres::{Object, Transaction};
use time::OffsetDateTime;
use tokio_postgres::{Client, Row};

use super::jsonb::Jsonb;
use super::pages::counts;
use crate::{
    LogFilter, LogLine, OpenWindow, PageCommit, PageOutcome, Pipeline, Reopen, RunId, ScanCursor,
    StoreErrorKind, Window, WindowFailure, WindowMetrics, WindowState,
};

/// Adds a page to its windows' lines and to the run's totals. A window that the same run has closed before in
/// another way moves from one count of the totals to the other.
const ADVANCE: &str = "
    WITH change AS (
        SELECT line.window_start_utc, line.window_end_utc, new.*,
            CASE WHEN line.run_id = $3 THEN line.status END AS closed_as
        FROM unnest($4::timestamptz[], $5::timestamptz[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[],
                $10::bigint[], $11::float8[], $12::timestamptz[], $13::jsonb[])
            AS new (start_utc, end_utc, state, inserted, updated, unchanged, quarantined, seconds, cursor_at, seen)
        JOIN backfill_log AS line ON line.window_start_utc = new.start_utc AND line.window_end_utc = new.end_utc
        WHERE line.entity_name = $1 AND line.time_axis = $2
        ORDER BY line.window_start_utc, line.window_end_utc
        FOR UPDATE OF line
    ), changed AS (
        UPDATE backfill_log AS line SET
            status = state,
            records_read = records_read + inserted + updated + unchanged + quarantined,
            records_inserted = records_inserted + inserted,
            records_updated = records_updated + updated,
            records_unchanged = records_unchanged + unchanged,
            records_quarantined = records_quarantined + quarantined,
            pages_read = pages_read + (inserted + updated + unchanged + quarantined > 0)::int,
            duration_seconds = duration_seconds + seconds,
            started_at_utc = least(started_at_utc, $14),
            finished_at_utc = CASE WHEN state IN ('completed', 'provisional') THEN $15::timestamptz END,
            error_message = NULL,
            run_id = $3,
            cursor_utc = cursor_at,
            cursor_ids = CASE WHEN seen IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(seen)) END
        FROM change
        WHERE line.entity_name = $1 AND line.time_axis = $2
          AND line.window_start_utc = change.window_start_utc AND line.window_end_utc = change.window_end_utc
        RETURNING 1
    ), totals AS (
        UPDATE backfill_run_pipeline SET
            records_inserted = records_inserted + inserted,
            records_updated = records_updated + updated,
            records_unchanged = records_unchanged + unchanged,
            records_quarantined = records_quarantined + quarantined,
            pages_read = pages_read + 1,
            windows_completed = windows_completed + completed,
            windows_provisional = windows_provisional + provisional,
            windows_failed = windows_failed - failed
        FROM (
            SELECT sum(inserted)::bigint AS inserted, sum(updated)::bigint AS updated,
                sum(unchanged)::bigint AS unchanged, sum(quarantined)::bigint AS quarantined,
                sum((state = 'completed')::int - coalesce(closed_as = 'completed', false)::int) AS completed,
                sum((state = 'provisional')::int - coalesce(closed_as = 'provisional', false)::int) AS provisional,
                sum(coalesce(closed_as = 'failed', false)::int) AS failed
            FROM change
        ) AS page
        WHERE run_id = $3 AND entity_name = $1
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM changed), (SELECT count(*) FROM totals)";

/// Gives windows to a run: new lines, and lines that it has not opened yet. What goes on at a cursor keeps its
/// counts (`kept` is 1), everything else starts from zero.
const OPEN: &str = "
    WITH asked AS (
        SELECT * FROM unnest($4::timestamptz[], $5::timestamptz[]) AS asked (start_utc, end_utc)
    ), created AS (
        INSERT INTO backfill_log (entity_name, time_axis, window_start_utc, window_end_utc, run_id, attempts)
        SELECT $1, $2, start_utc, end_utc, $3, 1 FROM asked
        ON CONFLICT DO NOTHING
        RETURNING 1
    ), reopened AS (
        UPDATE backfill_log AS line SET
            (status, records_read, records_inserted, records_updated, records_unchanged, records_quarantined,
                pages_read, duration_seconds, started_at_utc, cursor_utc, cursor_ids) = (
                SELECT CASE kept WHEN 1 THEN 'running' ELSE 'pending' END, line.records_read * kept,
                    line.records_inserted * kept, line.records_updated * kept, line.records_unchanged * kept,
                    line.records_quarantined * kept, line.pages_read * kept, line.duration_seconds * kept,
                    CASE kept WHEN 1 THEN line.started_at_utc END, CASE kept WHEN 1 THEN line.cursor_utc END,
                    CASE kept WHEN 1 THEN line.cursor_ids END
                FROM (SELECT (NOT $6::boolean AND line.cursor_utc IS NOT NULL
                    AND line.status IN ('running', 'failed'))::int AS kept) AS _),
            finished_at_utc = NULL,
            error_message = NULL,
            run_id = $3,
            attempts = line.attempts + 1
        FROM asked
        WHERE line.entity_name = $1 AND line.time_axis = $2
          AND line.window_start_utc = start_utc AND line.window_end_utc = end_utc
          AND line.run_id IS DISTINCT FROM $3 AND ($6::boolean OR line.status <> 'completed')
        RETURNING 1
    ), totals AS (
        UPDATE backfill_run_pipeline
        SET windows_opened = windows_opened + (SELECT count(*) FROM created) + (SELECT count(*) FROM reopened)
        WHERE run_id = $3 AND entity_name = $1
        RETURNING 1
    )
    SELECT count(*) FROM totals";

const TO_READ: &str = "
    SELECT window_start_utc, window_end_utc, cursor_utc, cursor_ids
    FROM backfill_log
    JOIN unnest($4::timestamptz[], $5::timestamptz[]) AS asked (start_utc, end_utc)
      ON window_start_utc = start_utc AND window_end_utc = end_utc
    WHERE entity_name = $1 AND time_axis = $2 AND run_id = $3 AND status NOT IN ('completed', 'provisional')
    ORDER BY window_start_utc, window_end_utc";

const FAIL: &str = "
    WITH change AS (
        SELECT window_start_utc, window_end_utc, CASE WHEN run_id = $3 THEN status END AS closed_as
        FROM unnest($4::timestamptz[], $5::timestamptz[]) AS asked (start_utc, end_utc)
        JOIN backfill_log AS line ON window_start_utc = start_utc AND window_end_utc = end_utc
        WHERE entity_name = $1 AND time_axis = $2
        ORDER BY window_start_utc, window_end_utc
        FOR UPDATE OF line
    ), changed AS (
        UPDATE backfill_log AS line
        SET status = 'failed', error_message = $6, finished_at_utc = $7, run_id = $3
        FROM change
        WHERE line.entity_name = $1 AND line.time_axis = $2
          AND line.window_start_utc = change.window_start_utc AND line.window_end_utc = change.window_end_utc
        RETURNING 1
    ), totals AS (
        UPDATE backfill_run_pipeline SET
            windows_failed = windows_failed + failed,
            windows_completed = windows_completed - completed,
            windows_provisional = windows_provisional - provisional
        FROM (
            SELECT count(*) FILTER (WHERE closed_as IS DISTINCT FROM 'failed') AS failed,
                count(*) FILTER (WHERE closed_as = 'completed') AS completed,
                count(*) FILTER (WHERE closed_as = 'provisional') AS provisional
            FROM change
        ) AS asked
        WHERE run_id = $3 AND entity_name = $1
    )
    SELECT count(*) FROM changed";

const LINES: &str = "
    SELECT entity_name, time_axis, window_start_utc, window_end_utc, status, records_read, records_inserted,
        records_updated, records_unchanged, records_quarantined, pages_read, duration_seconds, started_at_utc,
        finished_at_utc, error_message, run_id, attempts
    FROM backfill_log
    WHERE ($1::text IS NULL OR entity_name = $1)
      AND ($2::text IS NULL OR run_id = $2)
      AND ($3::text IS NULL OR status = $3)
      AND ($4::timestamptz IS NULL OR window_end_utc > $4)
      AND ($5::timestamptz IS NULL OR window_start_utc < $5)
    ORDER BY entity_name, time_axis, window_start_utc, window_end_utc";

/// Windows of one pipeline, asked about by a run.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    run: &'a str,
    entity_name: &'a str,
    time_axis: &'a str,
    starts: Vec<OffsetDateTime>,
    ends: Vec<OffsetDateTime>,
}

impl<'a> Asked<'a> {
    /// Sorts the windows and drops repeated ones.
    pub(super) fn new(run: &'a RunId, pipeline: &'a Pipeline, windows: &[Window]) -> Self {
        let mut windows = windows.to_vec();
        windows.sort_unstable();
        windows.dedup();
        Self {
            run: run.as_str(),
            entity_name: &pipeline.entity_name,
            time_axis: &pipeline.time_axis,
            starts: windows.iter().map(|window| window.start()).collect(),
            ends: windows.iter().map(|window| window.end()).collect(),
        }
    }
}

/// Adds a page to the ledger.
pub(super) async fn advance(
    transaction: &Transaction<'_>,
    page: &PageCommit,
    outcome: &PageOutcome,
) -> Result<(), StoreErrorKind> {
    let statement = transaction.prepare_cached(ADVANCE).await?;
    let (entity_name, time_axis, run) = (
        &*page.pipeline.entity_name,
        &*page.pipeline.time_axis,
        page.run.as_str(),
    );
    let windows = &page.windows;
    let starts: Vec<OffsetDateTime> = windows.iter().map(|change| change.window.start()).collect();
    let ends: Vec<OffsetDateTime> = windows.iter().map(|change| change.window.end()).collect();
    let states: Vec<&str> = windows.iter().map(|change| change.state.as_str()).collect();
    let per_window: Vec<[i64; 4]> = outcome.windows.iter().map(counts).collect();
    let [inserted, updated, unchanged, quarantined] = [0, 1, 2, 3].map(|which| {
        per_window
            .iter()
            .map(|counts| counts[which])
            .collect::<Vec<i64>>()
    });
    let seconds: Vec<f64> = windows
        .iter()
        .map(|change| change.duration.as_secs_f64())
        .collect();
    let cursors: Vec<Option<OffsetDateTime>> = windows
        .iter()
        .map(|change| change.cursor.as_ref().map(|cursor| cursor.at))
        .collect();
    let seen: Vec<Option<Vec<u8>>> = windows
        .iter()
        .map(|change| change.cursor.as_ref().map(seen_ids))
        .collect();
    let seen: Vec<Option<Jsonb<'_>>> = seen.iter().map(|text| text.as_deref().map(Jsonb)).collect();
    let row = transaction
        .query_one(
            &statement,
            &[
                &entity_name,
                &time_axis,
                &run,
                &starts,
                &ends,
                &states,
                &inserted,
                &updated,
                &unchanged,
                &quarantined,
                &seconds,
                &cursors,
                &seen,
                &page.started_at,
                &page.ingested_at,
            ],
        )
        .await?;
    check_lines(row.try_get(0)?, windows.len())?;
    check_totals(row.try_get(1)?)
}

/// The ids of a cursor as a JSON array. One with a NUL character can be no row either; left out, it comes again
/// and goes to quarantine again.
fn seen_ids(cursor: &ScanCursor) -> Vec<u8> {
    let ids: Vec<&str> = cursor
        .seen
        .iter()
        .map(|id| &**id)
        .filter(|id| !id.contains('\0'))
        .collect();
    serde_json::to_vec(&ids).expect("texts are always JSON")
}

/// Makes sure of the lines, and returns the windows to read.
pub(super) async fn open(
    client: &mut Object,
    asked: &Asked<'_>,
    reopen: Reopen,
) -> Result<Vec<OpenWindow>, StoreErrorKind> {
    let Asked {
        run,
        entity_name,
        time_axis,
        starts,
        ends,
    } = asked;
    let all = reopen == Reopen::All;
    let transaction = client.transaction().await?;
    let totals = transaction
        .query_one(OPEN, &[entity_name, time_axis, run, starts, ends, &all])
        .await?;
    check_totals(totals.try_get(0)?)?;
    let rows = transaction
        .query(TO_READ, &[entity_name, time_axis, run, starts, ends])
        .await?;
    let open = rows.iter().map(open_window).collect::<Result<_, _>>()?;
    transaction.commit().await?;
    Ok(open)
}

/// Marks windows as failed.
pub(super) async fn fail(
    client: &Client,
    asked: &Asked<'_>,
    failure: &WindowFailure,
) -> Result<(), StoreErrorKind> {
    let Asked {
        run,
        entity_name,
        time_axis,
        starts,
        ends,
    } = asked;
    let row = client
        .query_one(
            FAIL,
            &[
                entity_name,
                time_axis,
                run,
                starts,
                ends,
                &&*failure.message,
                &failure.at,
            ],
        )
        .await?;
    check_lines(row.try_get(0)?, starts.len())
}

/// Lists log lines.
pub(super) async fn lines(client: &Client, filter: &LogFilter) -> Result<Vec<LogLine>, StoreErrorKind> {
    let run = filter.run.as_ref().map(RunId::as_str);
    let state = filter.state.map(WindowState::as_str);
    let (start, end) = (filter.span.map(Window::start), filter.span.map(Window::end));
    let rows = client
        .query(
            LINES,
            &[&filter.entity_name.as_deref(), &run, &state, &start, &end],
        )
        .await?;
    rows.iter().map(line).collect()
}

fn open_window(row: &Row) -> Result<OpenWindow, StoreErrorKind> {
    let at: Option<OffsetDateTime> = row.try_get(2)?;
    let seen: Option<Vec<String>> = row.try_get(3)?;
    let seen = seen.into_iter().flatten().map(Into::into).collect();
    Ok(OpenWindow {
        window: window(row, 0)?,
        cursor: at.map(|at| ScanCursor { at, seen }),
    })
}

fn line(row: &Row) -> Result<LogLine, StoreErrorKind> {
    let text = |at| row.try_get::<_, String>(at).map(Into::into);
    let count = |at| row.try_get::<_, i64>(at).map(i64::cast_unsigned);
    Ok(LogLine {
        entity_name: text(0)?,
        time_axis: text(1)?,
        window: window(row, 2)?,
        state: row
            .try_get::<_, &str>(4)?
            .parse()
            .map_err(|_| unexpected("a status of backfill_log"))?,
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
    })
}

/// A window from two neighbouring columns.
pub(super) fn window(row: &Row, at: usize) -> Result<Window, StoreErrorKind> {
    Window::new(row.try_get(at)?, row.try_get(at + 1)?).map_err(|_| unexpected("a window"))
}

fn run_id(text: Option<&str>) -> Result<Option<RunId>, StoreErrorKind> {
    text.map(|text| text.parse().map_err(|_| unexpected("a run_id")))
        .transpose()
}

fn check_lines(found: i64, wanted: usize) -> Result<(), StoreErrorKind> {
    if usize::try_from(found) == Ok(wanted) {
        Ok(())
    } else {
        Err(StoreErrorKind::Differs(
            "a window has no line in backfill_log; it was not opened, or the line is gone".into(),
        ))
    }
}

fn check_totals(found: i64) -> Result<(), StoreErrorKind> {
    if found == 1 {
        Ok(())
    } else {
        Err(StoreErrorKind::Configuration(
            "the run has not begun with this pipeline".into(),
        ))
    }
}

/// Something in the ledger that this program has not written.
pub(super) fn unexpected(what: &str) -> StoreErrorKind {
    StoreErrorKind::Differs(format!("{what} cannot be read").into())
}
