//! Changes the state of windows in the backfill log: opens, confirms, and closes them as failed or unavailable.

use std::iter;

use deadpool_postgres::{Object, Transaction};
use failpoint::point;
use time::OffsetDateTime;
use tokio_postgres::Row;

use crate::postgres::lease;
use crate::postgres::rows::{kept, of_a_run, window};
use crate::{
    Confirmation, Lease, OpenWindow, Owner, Reopen, ScanCursor, StoreErrorKind, Window, WindowFailure,
    WindowState, WindowUpdate,
};

// Lines are found by `LATERAL (… OFFSET 0)` or `LATERAL (… FOR UPDATE)`, which the planner does not turn into a
// join, and changed by `ON CONFLICT`: one look-up by primary key per window, whatever the planner believes of a
// table that has just been filled and not been analysed. Joined, 20,000 windows took over a minute.

/// The line of each requested window, locked, with the state in which this run has closed it before: that is what the totals of
/// the run must subtract when the state changes, and it says whether the line is this run's at all.
macro_rules! locked_line {
    () => {
        "LATERAL (
            SELECT status, CASE WHEN run_id = $3 THEN status END AS closed_as,
                run_id IS NOT DISTINCT FROM $3 AS is_own, page_number AS at_page,
                records_read AS read
            FROM backfill_log
            WHERE entity_name = $1 AND time_axis = $2 AND window_start_utc = start_utc AND window_end_utc = end_utc
            FOR UPDATE
        ) AS line"
    };
}
pub(in crate::postgres) use locked_line;

/// How many lines were found and how many of them changed, and the same for the run's totals.
macro_rules! entered {
    () => {
        "SELECT (SELECT count(*) FROM change), (SELECT count(*) FROM changed),
            (SELECT count(*) FROM backfill_run_pipeline WHERE run_id = $3 AND entity_name = $1),
            (SELECT count(*) FROM totals)"
    };
}
pub(in crate::postgres) use entered;

/// Assigns windows to a run: new lines, and lines that it has not opened yet. A window that resumes at a cursor keeps its
/// counts (`kept` is 1); everything else starts from zero.
const OPEN: &str = "
    WITH opened AS (
        INSERT INTO backfill_log AS line (entity_name, time_axis, window_start_utc, window_end_utc, run_id, attempts,
            all_fields)
        SELECT $1, $2, start_utc, end_utc, $3, 1, true
        FROM unnest($4::timestamptz[], $5::timestamptz[]) AS asked (start_utc, end_utc)
        LEFT JOIN LATERAL (
            SELECT run_id, status
            FROM backfill_log
            WHERE entity_name = $1 AND time_axis = $2 AND window_start_utc = start_utc AND window_end_utc = end_utc
            OFFSET 0
        ) AS known ON true
        WHERE known.status IS NULL OR (known.run_id IS DISTINCT FROM $3 AND ($6 OR known.status <> 'completed'))
        ON CONFLICT (entity_name, time_axis, window_start_utc, window_end_utc) DO UPDATE SET
            (status, records_read, records_inserted, records_updated, records_unchanged, records_quarantined,
                pages_read, duration_seconds, started_at_utc, cursor_utc, cursor_ids, all_fields) = (
                SELECT CASE kept WHEN 1 THEN 'running' ELSE 'pending' END, line.records_read * kept,
                    line.records_inserted * kept, line.records_updated * kept, line.records_unchanged * kept,
                    line.records_quarantined * kept, line.pages_read * kept, line.duration_seconds * kept,
                    CASE kept WHEN 1 THEN line.started_at_utc END, CASE kept WHEN 1 THEN line.cursor_utc END,
                    CASE kept WHEN 1 THEN line.cursor_ids END, line.all_fields OR kept = 0
                FROM (SELECT (NOT $6 AND line.cursor_utc IS NOT NULL
                    AND line.status IN ('running', 'failed'))::int AS kept) AS _),
            finished_at_utc = NULL,
            error_message = NULL,
            error_code = NULL,
            counted_at_utc = NULL,
            run_id = excluded.run_id,
            attempts = line.attempts + 1,
            page_number = 0
        RETURNING 1
    ), totals AS (
        UPDATE backfill_run_pipeline SET windows_opened = windows_opened + (SELECT count(*) FROM opened)
        WHERE run_id = $3 AND entity_name = $1
        RETURNING 1
    )
    SELECT count(*) FROM totals";

/// Lines of the same run that will be read once more, such as when it resumes after their failure: no page has changed them
/// since. A window read from its start would count twice what the run has counted earlier. The state stays, because the totals
/// need it.
const START_OVER: &str = "
    INSERT INTO backfill_log AS line (entity_name, time_axis, window_start_utc, window_end_utc, run_id)
    SELECT $1, $2, start_utc, end_utc, $3
    FROM unnest($4::timestamptz[], $5::timestamptz[]) AS asked (start_utc, end_utc),
    LATERAL (
        SELECT FROM backfill_log
        WHERE entity_name = $1 AND time_axis = $2 AND window_start_utc = start_utc AND window_end_utc = end_utc
          AND run_id = $3 AND (page_number > 0 OR cursor_utc IS NULL) AND status IN ('running', 'failed')
        OFFSET 0
    ) AS again
    ON CONFLICT (entity_name, time_axis, window_start_utc, window_end_utc) DO UPDATE SET
        (records_read, records_inserted, records_updated, records_unchanged, records_quarantined, pages_read,
            duration_seconds, started_at_utc, page_number, all_fields) = (
            SELECT line.records_read * kept, line.records_inserted * kept, line.records_updated * kept,
                line.records_unchanged * kept, line.records_quarantined * kept, line.pages_read * kept,
                line.duration_seconds * kept, CASE kept WHEN 1 THEN line.started_at_utc END, 0,
                line.all_fields OR kept = 0
            FROM (SELECT (line.cursor_utc IS NOT NULL)::int AS kept) AS _)";

const TO_READ: &str = "
    SELECT start_utc, end_utc, cursor_utc, cursor_ids
    FROM unnest($4::timestamptz[], $5::timestamptz[]) AS asked (start_utc, end_utc),
    LATERAL (
        SELECT run_id, status, cursor_utc, cursor_ids
        FROM backfill_log
        WHERE entity_name = $1 AND time_axis = $2 AND window_start_utc = start_utc AND window_end_utc = end_utc
        OFFSET 0
    ) AS line
    WHERE run_id = $3 AND status NOT IN ('completed', 'provisional', 'unavailable')
    ORDER BY start_utc, end_utc";

/// Closes windows without a page: as `failed` or `unavailable` ($8).
const GIVE_UP: &str = concat!(
    "WITH change AS (
        SELECT asked.*, line.closed_as
        FROM unnest($4::timestamptz[], $5::timestamptz[]) AS asked (start_utc, end_utc), ",
    locked_line!(),
    "), changed AS (
        INSERT INTO backfill_log AS line (entity_name, time_axis, window_start_utc, window_end_utc, status,
            error_message, finished_at_utc, run_id, error_code)
        SELECT $1, $2, start_utc, end_utc, $8, $6, $7, $3, $9 FROM change
        ON CONFLICT (entity_name, time_axis, window_start_utc, window_end_utc) DO UPDATE SET
            status = excluded.status,
            error_message = excluded.error_message,
            error_code = excluded.error_code,
            finished_at_utc = excluded.finished_at_utc,
            run_id = excluded.run_id
        RETURNING 1
    ), totals AS (
        UPDATE backfill_run_pipeline SET
            windows_failed = windows_failed + failed,
            windows_unavailable = windows_unavailable + unavailable,
            windows_completed = windows_completed - completed,
            windows_provisional = windows_provisional - provisional
        FROM (
            SELECT count(*) FILTER (WHERE $8 = 'failed') - count(*) FILTER (WHERE closed_as = 'failed') AS failed,
                count(*) FILTER (WHERE $8 = 'unavailable')
                    - count(*) FILTER (WHERE closed_as = 'unavailable') AS unavailable,
                count(*) FILTER (WHERE closed_as = 'completed') AS completed,
                count(*) FILTER (WHERE closed_as = 'provisional') AS provisional
            FROM change
        ) AS asked
        WHERE run_id = $3 AND entity_name = $1
        RETURNING 1
    )
    ",
    entered!(),
);

/// Reopens windows that the run has closed, which its totals then subtract, or that an earlier run has closed.
const REOPEN: &str = concat!(
    "WITH change AS (
        SELECT asked.*, line.closed_as, line.is_own
        FROM unnest($4::timestamptz[], $5::timestamptz[]) AS asked (start_utc, end_utc), ",
    locked_line!(),
    "), changed AS (
        INSERT INTO backfill_log AS line (entity_name, time_axis, window_start_utc, window_end_utc, run_id)
        SELECT $1, $2, start_utc, end_utc, $3 FROM change
        ON CONFLICT (entity_name, time_axis, window_start_utc, window_end_utc) DO UPDATE SET
            (status, records_read, records_inserted, records_updated, records_unchanged, records_quarantined,
                pages_read, duration_seconds) = ('pending', 0, 0, 0, 0, 0, 0, 0),
            (started_at_utc, finished_at_utc, error_message, error_code, cursor_utc, cursor_ids, counted_at_utc)
                = (NULL, NULL, NULL, NULL, NULL, NULL, NULL),
            run_id = excluded.run_id,
            attempts = line.attempts + 1,
            page_number = 0,
            all_fields = true
        RETURNING 1
    ), totals AS (
        UPDATE backfill_run_pipeline SET
            windows_opened = windows_opened + opened,
            windows_failed = windows_failed - failed,
            windows_unavailable = windows_unavailable - unavailable,
            windows_completed = windows_completed - completed,
            windows_provisional = windows_provisional - provisional
        FROM (
            SELECT count(*) FILTER (WHERE NOT is_own) AS opened, count(*) FILTER (WHERE closed_as = 'failed') AS failed,
                count(*) FILTER (WHERE closed_as = 'unavailable') AS unavailable,
                count(*) FILTER (WHERE closed_as = 'completed') AS completed,
                count(*) FILTER (WHERE closed_as = 'provisional') AS provisional
            FROM change
        ) AS asked
        WHERE run_id = $3 AND entity_name = $1
        RETURNING 1
    )
    ",
    entered!(),
);

/// Closes what the run has read to its end, and records for all completed windows when a count confirmed them ($7).
const CLOSE: &str = concat!(
    "WITH change AS (
        SELECT asked.*, line.closed_as, line.read
        FROM unnest($4::timestamptz[], $5::timestamptz[]) AS asked (start_utc, end_utc), ",
    locked_line!(),
    "   WHERE line.status = 'completed' OR line.closed_as = 'running'
    ), changed AS (
        INSERT INTO backfill_log AS line (entity_name, time_axis, window_start_utc, window_end_utc, run_id)
        SELECT $1, $2, start_utc, end_utc, $3 FROM change
        ON CONFLICT (entity_name, time_axis, window_start_utc, window_end_utc) DO UPDATE SET
            status = 'completed',
            finished_at_utc = CASE line.status WHEN 'running' THEN $6 ELSE line.finished_at_utc END,
            (cursor_utc, cursor_ids) = (NULL, NULL),
            counted_at_utc = coalesce($7, line.counted_at_utc)
        RETURNING 1
    ), totals AS (
        UPDATE backfill_run_pipeline SET windows_completed = windows_completed + closed
        FROM (SELECT count(*) FILTER (WHERE closed_as = 'running') AS closed FROM change) AS asked
        WHERE run_id = $3 AND entity_name = $1
        RETURNING 1
    )
    ",
    entered!(),
    ", (SELECT coalesce(sum(read), 0)::bigint FROM change)",
);

const STANDS_AT: &str = "
    SELECT count(*)
    FROM unnest($4::timestamptz[], $5::timestamptz[], $6::int[]) AS asked (start_utc, end_utc, page)
    JOIN backfill_log AS line ON line.entity_name = $1 AND line.time_axis = $2
        AND line.window_start_utc = start_utc AND line.window_end_utc = end_utc
    WHERE line.run_id = $3 AND line.page_number = page";

/// Windows of one pipeline that a run asks about.
#[derive(Debug)]
pub(in crate::postgres) struct Asked<'a> {
    run: &'a str,
    entity_name: &'a str,
    time_axis: &'a str,
    lease: &'a Lease,
    fence: Option<&'a Lease>,
    starts: Vec<OffsetDateTime>,
    ends: Vec<OffsetDateTime>,
}

impl<'a> Asked<'a> {
    /// Sorts the windows and drops duplicates.
    pub(in crate::postgres) fn new(owner: Owner<'a>, windows: &[Window]) -> Self {
        let Owner { run, pipeline, lease, fence } = owner;
        let mut windows = windows.to_vec();
        windows.sort_unstable();
        windows.dedup();
        Self {
            run: run.as_str(),
            entity_name: &pipeline.entity_name,
            time_axis: &pipeline.time_axis,
            lease,
            fence,
            starts: windows.iter().map(|window| window.start()).collect(),
            ends: windows.iter().map(|window| window.end()).collect(),
        }
    }
}

/// Makes sure that the lines exist, and returns the windows to read.
pub(in crate::postgres) async fn open(
    client: &mut Object,
    asked: &Asked<'_>,
    reopen: Reopen,
) -> Result<Vec<OpenWindow>, StoreErrorKind> {
    let Asked { run, entity_name, time_axis, lease, fence, starts, ends } = asked;
    let all = reopen == Reopen::All;
    let transaction = client.transaction().await?;
    for lease in iter::once(lease).chain(fence) {
        lease::fence(&transaction, lease).await?;
    }
    let totals = transaction.query_one(OPEN, &[entity_name, time_axis, run, starts, ends, &all]).await;
    let totals = totals.map_err(|error| of_a_run(error, entity_name))?;
    check_totals(entity_name, totals.try_get(0)?)?;
    transaction.execute(START_OVER, &[entity_name, time_axis, run, starts, ends]).await?;
    let rows = transaction.query(TO_READ, &[entity_name, time_axis, run, starts, ends]).await?;
    let open = rows.iter().map(open_window).collect::<Result<_, _>>()?;
    point!("windows.opened");
    transaction.commit().await?;
    Ok(open)
}

/// What an update does, for the error if it fails.
pub(in crate::postgres) fn operation(entity_name: &str, update: WindowUpdate<'_>) -> String {
    match update {
        WindowUpdate::Reopen => format!("opening windows of {entity_name} again"),
        WindowUpdate::Counted(_) => format!("noting counted windows of {entity_name}"),
        WindowUpdate::Confirmed(_) => format!("closing windows of {entity_name}"),
        WindowUpdate::Failed(_) => format!("marking windows of {entity_name} as failed"),
        WindowUpdate::Unavailable(_) => format!("marking windows of {entity_name} as unavailable"),
    }
}

/// Changes windows without a page.
pub(in crate::postgres) async fn update(
    client: &mut Object,
    asked: &Asked<'_>,
    update: WindowUpdate<'_>,
) -> Result<(), StoreErrorKind> {
    match update {
        WindowUpdate::Reopen => reopen(client, asked).await,
        WindowUpdate::Counted(by) => close(client, asked, by, Some(by.at)).await,
        WindowUpdate::Confirmed(by) => close(client, asked, by, None).await,
        WindowUpdate::Failed(why) => give_up(client, asked, WindowState::Failed, why).await,
        WindowUpdate::Unavailable(why) => give_up(client, asked, WindowState::Unavailable, why).await,
    }
}

/// Reopens windows that the run has closed.
async fn reopen(client: &mut Object, asked: &Asked<'_>) -> Result<(), StoreErrorKind> {
    let Asked { run, entity_name, time_axis, lease, starts, ends, .. } = asked;
    let transaction = client.transaction().await?;
    lease::fence(&transaction, lease).await?;
    let row = transaction.query_one(REOPEN, &[entity_name, time_axis, run, starts, ends]).await;
    let row = row.map_err(|error| of_a_run(error, entity_name))?;
    check_entered(&row, (entity_name, starts.len()))?;
    Ok(transaction.commit().await?)
}

/// Closes windows that were confirmed, by a count or by other means.
async fn close(
    client: &mut Object,
    asked: &Asked<'_>,
    confirmed: Confirmation<'_>,
    counted_at: Option<OffsetDateTime>,
) -> Result<(), StoreErrorKind> {
    let Asked { run, entity_name, time_axis, lease, starts, ends, .. } = asked;
    let transaction = client.transaction().await?;
    lease::fence(&transaction, lease).await?;
    let row = transaction
        .query_one(CLOSE, &[entity_name, time_axis, run, starts, ends, &confirmed.at, &counted_at])
        .await?;
    let closed: i64 = row.try_get(0)?;
    let read: i64 = row.try_get(4)?;
    let is_other = confirmed.records_read.is_some_and(|claimed| claimed != read.cast_unsigned());
    if is_other || !stands_at(&transaction, asked, confirmed.last_pages).await? {
        return Err(StoreErrorKind::LogMoved((*entity_name).into()));
    }
    check_entered(&row, (entity_name, usize::try_from(closed).unwrap_or_default()))?;
    point!("count.noted");
    transaction.commit().await?;
    point!("count.committed");
    Ok(())
}

/// Whether the given page of the run was the last to change each of these lines.
async fn stands_at(
    transaction: &Transaction<'_>,
    Asked { run, entity_name, time_axis, .. }: &Asked<'_>,
    last_pages: &[(Window, u32)],
) -> Result<bool, StoreErrorKind> {
    if last_pages.is_empty() {
        return Ok(true);
    }
    let starts: Vec<_> = last_pages.iter().map(|(window, _)| window.start()).collect();
    let ends: Vec<_> = last_pages.iter().map(|(window, _)| window.end()).collect();
    let pages: Vec<_> = last_pages.iter().map(|(_, page)| page.cast_signed()).collect();
    let found: i64 = transaction
        .query_one(STANDS_AT, &[entity_name, time_axis, run, &starts, &ends, &pages])
        .await?
        .try_get(0)?;
    Ok(found.cast_unsigned() == last_pages.len() as u64)
}

/// Marks windows as failed or unavailable.
async fn give_up(
    client: &mut Object,
    asked: &Asked<'_>,
    state: WindowState,
    reason: &WindowFailure,
) -> Result<(), StoreErrorKind> {
    let Asked { run, entity_name, time_axis, lease, starts, ends, .. } = asked;
    let transaction = client.transaction().await?;
    lease::fence(&transaction, lease).await?;
    let row = transaction
        .query_one(
            GIVE_UP,
            &[
                entity_name,
                time_axis,
                run,
                starts,
                ends,
                &&*reason.message,
                &reason.at,
                &state.as_str(),
                &reason.error_code.as_deref(),
            ],
        )
        .await
        .map_err(|error| of_a_run(error, entity_name))?;
    check_entered(&row, (entity_name, starts.len()))?;
    Ok(transaction.commit().await?)
}

fn open_window(row: &Row) -> Result<OpenWindow, StoreErrorKind> {
    let at: Option<OffsetDateTime> = row.try_get(2)?;
    let seen: Option<Vec<String>> = row.try_get(3)?;
    let seen = seen.into_iter().flatten().map(Into::into).collect();
    Ok(OpenWindow { window: window(row, 0)?, cursor: at.map(|at| ScanCursor { at, seen }) })
}

/// Every window must have had its line and the run its totals, otherwise the database has forgotten that they began; and the
/// database must have kept the changes.
pub(in crate::postgres) fn check_entered(
    row: &Row,
    (entity_name, windows): (&str, usize),
) -> Result<(), StoreErrorKind> {
    let count = |at| row.try_get::<_, i64>(at).map(i64::cast_unsigned);
    if count(0)? != windows as u64 {
        return Err(StoreErrorKind::LogMoved(entity_name.into()));
    }
    kept("backfill_log", count(1)?, windows)?;
    check_totals(entity_name, row.try_get(2)?)?;
    kept("backfill_run_pipeline", count(3)?, 1)
}

/// The run must have a line of totals for the pipeline.
fn check_totals(entity_name: &str, found: i64) -> Result<(), StoreErrorKind> {
    if found == 1 { Ok(()) } else { Err(StoreErrorKind::LogMoved(entity_name.into())) }
}
