//! Records each committed page with its outcome, so that committing it again changes nothing.

use deadpool_postgres::Transaction;
use tokio_postgres::{Client, Statement};

use super::jsonb::Jsonb;
use crate::postgres::rows::{kept, of_a_run};
use crate::{PageCommit, PageOutcome, RunId, StoreErrorKind, WindowCounts};

/// Claims a page's identity. Of two transactions with one page, the second waits here for the first.
pub(in crate::postgres) const CLAIM: &str = "
    INSERT INTO backfill_page (run_id, entity_name, page_number, request_payload, records_inserted, records_updated,
        records_unchanged, records_quarantined, outcome, answered_at_utc, committed_at_utc)
    VALUES ($1, $2, $3, $4, 0, 0, 0, 0, '[]', $5, $6)
    ON CONFLICT (run_id, entity_name, page_number) DO NOTHING";

const CONCLUDE: &str = "
    UPDATE backfill_page SET records_inserted = $4, records_updated = $5, records_unchanged = $6,
        records_quarantined = $7, outcome = $8
    WHERE run_id = $1 AND entity_name = $2 AND page_number = $3";

const OUTCOME: &str =
    "SELECT outcome::text FROM backfill_page WHERE run_id = $1 AND entity_name = $2 AND page_number = $3";

const LAST: &str =
    "SELECT coalesce(max(page_number), 0) FROM backfill_page WHERE run_id = $1 AND entity_name = $2";

/// The number of the last page.
pub(in crate::postgres) async fn last(
    client: &Client,
    run: &RunId,
    entity_name: &str,
) -> Result<u32, StoreErrorKind> {
    let row = client.query_one(LAST, &[&run.as_str(), &entity_name]).await?;
    Ok(row.try_get::<_, i32>(0)?.cast_unsigned())
}

/// Claims the page's identity; false if it has been committed before.
pub(in crate::postgres) async fn claim(
    transaction: &Transaction<'_>,
    statement: &Statement,
    page: &PageCommit,
) -> Result<bool, StoreErrorKind> {
    let request = Jsonb(page.request.as_bytes());
    let (run, entity_name, number) = name(page);
    let claimed = transaction
        .execute(statement, &[&run, &entity_name, &number, &request, &page.answered_at, &page.ingested_at])
        .await;
    match claimed {
        Ok(claimed) => Ok(claimed == 1),
        Err(error) => Err(of_a_run(error, entity_name)),
    }
}

/// Records the outcome of the page.
pub(in crate::postgres) async fn conclude(
    transaction: &Transaction<'_>,
    page: &PageCommit,
    outcome: &PageOutcome,
) -> Result<(), StoreErrorKind> {
    let statement = transaction.prepare_cached(CONCLUDE).await?;
    let (run, entity_name, number) = name(page);
    let windows: Vec<[u64; 4]> =
        outcome.windows.iter().map(|w| [w.inserted, w.updated, w.unchanged, w.quarantined]).collect();
    let text = serde_json::to_vec(&windows).map_err(|_| unreadable())?;
    let [inserted, updated, unchanged, quarantined] = counts(&outcome.total);
    let concluded = transaction
        .execute(
            &statement,
            &[&run, &entity_name, &number, &inserted, &updated, &unchanged, &quarantined, &Jsonb(&text)],
        )
        .await?;
    kept("backfill_page", concluded, 1)
}

/// The outcome of a page that was committed before.
pub(in crate::postgres) async fn outcome(
    transaction: &Transaction<'_>,
    page: &PageCommit,
) -> Result<PageOutcome, StoreErrorKind> {
    let (run, entity_name, number) = name(page);
    // It was not claimed, and does not exist either.
    let row = transaction.query_opt(OUTCOME, &[&run, &entity_name, &number]).await?;
    let row = row.ok_or_else(|| StoreErrorKind::RowsAltered { table: "backfill_page".into(), rows: 1 })?;
    let text: String = row.try_get(0)?;
    let windows: Vec<[u64; 4]> = serde_json::from_str(&text).map_err(|_| unreadable())?;
    let counts = |[inserted, updated, unchanged, quarantined]: [u64; 4]| WindowCounts {
        inserted,
        updated,
        unchanged,
        quarantined,
    };
    Ok(PageOutcome::from_windows(windows.into_iter().map(counts).collect()))
}

/// Inserted, updated, unchanged, quarantined, as PostgreSQL counts.
pub(in crate::postgres) fn counts(counts: &WindowCounts) -> [i64; 4] {
    [counts.inserted, counts.updated, counts.unchanged, counts.quarantined].map(u64::cast_signed)
}

fn name(page: &PageCommit) -> (&str, &str, i32) {
    (page.run.as_str(), &page.pipeline.entity_name, page.page_number.cast_signed())
}

fn unreadable() -> StoreErrorKind {
    StoreErrorKind::Differs("the outcome of a page in backfill_page cannot be read".into())
}
