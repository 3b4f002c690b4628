//! Adds the counts of a page to the lines of its windows and to the totals of its run.

use deadpool_postgres::Transaction;
use time::OffsetDateTime;

use super::jsonb::Jsonb;
use super::pages::counts;
use crate::postgres::log::windows::{check_entered, entered, locked_line};
use crate::{PageCommit, PageOutcome, ScanCursor, StoreErrorKind};

/// Adds a page to its windows' lines and to the run's totals, after the page before it. A window that the same run has closed
/// before in another state moves from one count of the totals to the other.
const ADVANCE: &str = concat!(
    "WITH change AS (
        SELECT new.*, line.closed_as, line.is_own, line.at_page
        FROM unnest($4::timestamptz[], $5::timestamptz[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[],
                $10::bigint[], $11::float8[], $12::timestamptz[], $13::jsonb[], $16::int4[])
            AS new (start_utc, end_utc, state, inserted, updated, unchanged, quarantined, seconds, cursor_at, seen, after), ",
    locked_line!(),
    "), changed AS (
        INSERT INTO backfill_log AS line (entity_name, time_axis, window_start_utc, window_end_utc, status,
            records_read, records_inserted, records_updated, records_unchanged, records_quarantined, pages_read,
            duration_seconds, started_at_utc, finished_at_utc, run_id, cursor_utc, cursor_ids,
            page_number, all_fields)
        SELECT $1, $2, start_utc, end_utc, state,
            inserted + updated + unchanged + quarantined, inserted, updated, unchanged, quarantined,
            (inserted + updated + unchanged + quarantined > 0)::int,
            seconds, $14, CASE WHEN state IN ('completed', 'provisional') THEN $15::timestamptz END, $3, cursor_at,
            CASE WHEN seen IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(seen)) END, $17, $18
        FROM change
        ON CONFLICT (entity_name, time_axis, window_start_utc, window_end_utc) DO UPDATE SET
            status = excluded.status,
            records_read = line.records_read + excluded.records_read,
            records_inserted = line.records_inserted + excluded.records_inserted,
            records_updated = line.records_updated + excluded.records_updated,
            records_unchanged = line.records_unchanged + excluded.records_unchanged,
            records_quarantined = line.records_quarantined + excluded.records_quarantined,
            pages_read = line.pages_read + excluded.pages_read,
            duration_seconds = line.duration_seconds + excluded.duration_seconds,
            started_at_utc = least(line.started_at_utc, excluded.started_at_utc),
            finished_at_utc = excluded.finished_at_utc,
            error_message = NULL,
            error_code = NULL,
            run_id = excluded.run_id,
            cursor_utc = excluded.cursor_utc,
            cursor_ids = excluded.cursor_ids,
            page_number = excluded.page_number,
            all_fields = line.all_fields AND excluded.all_fields
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
            windows_failed = windows_failed - failed,
            windows_unavailable = windows_unavailable - unavailable
        FROM (
            -- There may be no line at all any more.
            SELECT coalesce(sum(inserted), 0)::bigint AS inserted, coalesce(sum(updated), 0)::bigint AS updated,
                coalesce(sum(unchanged), 0)::bigint AS unchanged, coalesce(sum(quarantined), 0)::bigint AS quarantined,
                count(*) FILTER (WHERE state = 'completed')
                    - count(*) FILTER (WHERE closed_as = 'completed') AS completed,
                count(*) FILTER (WHERE state = 'provisional')
                    - count(*) FILTER (WHERE closed_as = 'provisional') AS provisional,
                count(*) FILTER (WHERE closed_as = 'failed') AS failed,
                count(*) FILTER (WHERE closed_as = 'unavailable') AS unavailable
            FROM change
        ) AS page
        WHERE run_id = $3 AND entity_name = $1
        RETURNING 1
    )
    ",
    entered!(),
    // Lines that another page has changed before than the one that this page follows.
    ", (SELECT count(*) FROM change WHERE after IS NOT NULL AND NOT (is_own AND at_page = after))",
);

/// Adds a page to the ledger.
pub(super) async fn advance(
    transaction: &Transaction<'_>,
    page: &PageCommit,
    outcome: &PageOutcome,
) -> Result<(), StoreErrorKind> {
    let statement = transaction.prepare_cached(ADVANCE).await?;
    let (entity_name, time_axis, run) =
        (&*page.pipeline.entity_name, &*page.pipeline.time_axis, page.run.as_str());
    let windows = &page.windows;
    let starts: Vec<OffsetDateTime> = windows.iter().map(|change| change.window.start()).collect();
    let ends: Vec<OffsetDateTime> = windows.iter().map(|change| change.window.end()).collect();
    let states: Vec<&str> = windows.iter().map(|change| change.state.as_str()).collect();
    let per_window: Vec<[i64; 4]> = outcome.windows.iter().map(counts).collect();
    let [inserted, updated, unchanged, quarantined] =
        [0, 1, 2, 3].map(|which| per_window.iter().map(|counts| counts[which]).collect::<Vec<i64>>());
    let seconds: Vec<f64> = windows.iter().map(|change| change.duration.as_secs_f64()).collect();
    let cursors: Vec<Option<OffsetDateTime>> =
        windows.iter().map(|change| change.cursor.as_ref().map(|cursor| cursor.at)).collect();
    let after: Vec<Option<i32>> = windows.iter().map(|change| change.after.map(u32::cast_signed)).collect();
    let seen: Vec<Option<Vec<u8>>> =
        windows.iter().map(|change| change.cursor.as_ref().map(seen_ids)).collect();
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
                &after,
                &page.page_number.cast_signed(),
                &page.all_fields,
            ],
        )
        .await?;
    if row.try_get::<_, i64>(4)? > 0 {
        return Err(StoreErrorKind::LogMoved(entity_name.into()));
    }
    check_entered(&row, (entity_name, windows.len()))
}

/// The ids of a cursor as a JSON array. An id with a NUL character cannot be a row either; left out, the record comes again and
/// goes to quarantine again.
fn seen_ids(cursor: &ScanCursor) -> Vec<u8> {
    let ids: Vec<&str> = cursor.seen.iter().map(|id| &**id).filter(|id| !id.contains('\0')).collect();
    serde_json::to_vec(&ids).expect("texts are always JSON")
}
