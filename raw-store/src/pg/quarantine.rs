use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use time::OffsetDateTime;

use super::jsonb::Jsonb;
use crate::digest::Digest;
use crate::landing::Kept;
use crate::{PageCommit, StoreErrorKind};

/// Keeps documents once per content: one that comes again only says when, and where, it was seen last.
const KEEP: &str = "
    INSERT INTO quarantine (digest, record_id, reason, raw, window_start_utc, window_end_utc, entity_name, run_id,
        page_number, request_payload, first_seen_at_utc, last_seen_at_utc)
    SELECT kept.*, $7, $8, $9, $10, $11, $11
    FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[], $6::timestamptz[]) AS kept
    ON CONFLICT (entity_name, digest) DO UPDATE SET
        record_id = excluded.record_id,
        reason = excluded.reason,
        window_start_utc = excluded.window_start_utc,
        window_end_utc = excluded.window_end_utc,
        run_id = excluded.run_id,
        page_number = excluded.page_number,
        request_payload = excluded.request_payload,
        last_seen_at_utc = excluded.last_seen_at_utc";

/// Keeps the documents of a page that cannot be rows.
pub(super) async fn keep(
    transaction: &Transaction<'_>,
    page: &PageCommit,
    kept: &BTreeMap<Digest, Kept<'_>>,
) -> Result<(), StoreErrorKind> {
    if kept.is_empty() {
        return Ok(());
    }
    let statement = transaction.prepare_cached(KEEP).await?;
    let window = |kept: &Kept<'_>| page.windows[kept.window].window;
    let digests: Vec<&[u8]> = kept.keys().map(Digest::as_bytes).collect();
    let ids: Vec<Option<&str>> = kept.values().map(|kept| kept.id).collect();
    let reasons: Vec<&str> = kept.values().map(|kept| &*kept.reason).collect();
    let raw: Vec<&[u8]> = kept.values().map(|kept| kept.raw).collect();
    let starts: Vec<OffsetDateTime> = kept.values().map(|kept| window(kept).start()).collect();
    let ends: Vec<OffsetDateTime> = kept.values().map(|kept| window(kept).end()).collect();
    let (entity_name, run) = (&*page.pipeline.entity_name, page.run.as_str());
    let (number, request) = (page.page_number.cast_signed(), Jsonb(page.request.as_bytes()));
    transaction
        .execute(
            &statement,
            &[
                &digests,
                &ids,
                &reasons,
                &raw,
                &starts,
                &ends,
                &entity_name,
                &run,
                &number,
                &request,
                &page.ingested_at,
            ],
        )
        .await?;
    Ok(())
}
