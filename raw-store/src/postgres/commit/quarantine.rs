//! Stores, lists, accepts and resolves documents in quarantine.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use deadpool_postgres::{Object, Transaction};
use failpoint::point;
use time::OffsetDateTime;
use tokio_postgres::{Client, Row};

use super::jsonb::Jsonb;
use crate::digest::Digest;
use crate::postgres::lease;
use crate::postgres::rows::{self, run_id, window};
use crate::prepare::QuarantinedDoc;
use crate::{Acceptance, Owner, PageCommit, Pipeline, Quarantined, StoreErrorKind, Window};

/// Keeps documents once per content: for one that comes again, only when and where it was last seen is updated.
const KEEP: &str = "
    INSERT INTO quarantine (digest, record_id, reason, raw, window_start_utc, window_end_utc, has_row, entity_name, run_id,
        page_number, request_payload, first_seen_at_utc, last_seen_at_utc, time_axis)
    SELECT kept.*, $8, $9, $10, $11, $12, $12, $13
    FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[], $6::timestamptz[], $7::boolean[]) AS kept
    ON CONFLICT (entity_name, digest) DO UPDATE SET
        record_id = excluded.record_id,
        reason = excluded.reason,
        window_start_utc = excluded.window_start_utc,
        window_end_utc = excluded.window_end_utc,
        has_row = excluded.has_row,
        run_id = excluded.run_id,
        page_number = excluded.page_number,
        request_payload = excluded.request_payload,
        last_seen_at_utc = excluded.last_seen_at_utc,
        time_axis = excluded.time_axis,
        resolved_at_utc = NULL";

/// The columns that describe a document in quarantine, without its bytes.
macro_rules! shown_columns {
    () => {
        "entity_name, window_start_utc, window_end_utc, encode(digest, 'hex'), record_id, reason, run_id,
        first_seen_at_utc, last_seen_at_utc, resolved_at_utc, time_axis, accepted_at_utc, accepted_by, accepted_reason, has_row"
    };
}
pub(in crate::postgres) const SHOWN_COLUMNS: &str = shown_columns!();

const LIST: &str = concat!(
    "SELECT ",
    shown_columns!(),
    "
    FROM quarantine
    WHERE ($1::text IS NULL OR entity_name = $1) AND ($2::text IS NULL OR encode(digest, 'hex') = $2)
    ORDER BY entity_name, window_start_utc, window_end_utc, digest"
);

const BYTES: &str = "SELECT raw FROM quarantine WHERE entity_name = $1 AND encode(digest, 'hex') = $2";

const KNOWN: &str =
    "SELECT digest FROM quarantine WHERE entity_name = $1 AND digest = ANY($2) AND resolved_at_utc IS NULL";

/// What [`crate::Quarantined::is_open`] says, for the given pipelines and span.
const OPEN: &str = "
    SELECT count(*)
    FROM quarantine AS kept
    WHERE kept.resolved_at_utc IS NULL AND kept.accepted_at_utc IS NULL AND NOT kept.has_row
      AND EXISTS (
        SELECT FROM unnest($1::text[], $2::text[]) AS asked (entity_name, time_axis)
        WHERE asked.entity_name = kept.entity_name
          AND ($3::timestamptz IS NULL OR kept.time_axis IS DISTINCT FROM asked.time_axis
            OR (kept.window_start_utc < $4 AND kept.window_end_utc > $3)))";

/// The first decision stays.
const ACCEPT: &str = "
    UPDATE quarantine SET accepted_at_utc = clock_timestamp(), accepted_by = $3, accepted_reason = $4
    WHERE entity_name = $1 AND encode(digest, 'hex') = $2
      AND accepted_at_utc IS NULL AND resolved_at_utc IS NULL AND NOT has_row";

const RESOLVE: &str = "
    UPDATE quarantine AS kept SET resolved_at_utc = line.finished_at_utc
    FROM backfill_log AS line
    WHERE kept.entity_name = $1 AND kept.resolved_at_utc IS NULL
      AND coalesce(kept.time_axis, $2) = $2
      AND line.entity_name = $1 AND line.time_axis = $2 AND line.window_start_utc = kept.window_start_utc
      AND line.window_end_utc = kept.window_end_utc AND line.run_id = $3 AND line.status = 'completed'
      -- A window that was only gone on with began before: what lies in front of its cursor was not read again.
      AND kept.last_seen_at_utc < line.started_at_utc";

/// Lists the documents in quarantine.
pub(in crate::postgres) async fn list(
    client: &Client,
    entity_name: Option<&str>,
) -> Result<Vec<Quarantined>, StoreErrorKind> {
    let rows = client.query(LIST, &[&entity_name, &None::<&str>]).await?;
    rows.iter().map(shown).collect()
}

/// Counts the open documents.
pub(in crate::postgres) async fn open(
    client: &Client,
    pipelines: &[Pipeline],
    span: Option<Window>,
) -> Result<u64, StoreErrorKind> {
    let names: Vec<&str> = pipelines.iter().map(|one| &*one.entity_name).collect();
    let axes: Vec<&str> = pipelines.iter().map(|one| &*one.time_axis).collect();
    let (start, end) = (span.map(Window::start), span.map(Window::end));
    let count: i64 = client.query_one(OPEN, &[&names, &axes, &start, &end]).await?.try_get(0)?;
    Ok(count.cast_unsigned())
}

/// Records a decision about one document.
pub(in crate::postgres) async fn accept(
    client: &Client,
    (entity_name, digest): (&str, &str),
    (by, reason): (&str, &str),
) -> Result<Option<Quarantined>, StoreErrorKind> {
    client.execute(ACCEPT, &[&entity_name, &digest, &by, &reason]).await?;
    client.query_opt(LIST, &[&Some(entity_name), &Some(digest)]).await?.as_ref().map(shown).transpose()
}

/// Reads a document's description.
pub(in crate::postgres) fn shown(row: &Row) -> Result<Quarantined, StoreErrorKind> {
    let text = |at| row.try_get::<_, String>(at).map(Into::into);
    let accepted = match row.try_get(11)? {
        Some(at) => Some(Acceptance {
            at,
            by: row.try_get::<_, Option<String>>(12)?.unwrap_or_default().into(),
            reason: row.try_get::<_, Option<String>>(13)?.unwrap_or_default().into(),
        }),
        None => None,
    };
    Ok(Quarantined {
        entity_name: text(0)?,
        window: window(row, 1)?,
        digest: text(3)?,
        record_id: row.try_get::<_, Option<String>>(4)?.map(Into::into),
        reason: text(5)?,
        run: run_id(row.try_get(6)?)?,
        first_seen_at: row.try_get(7)?,
        last_seen_at: row.try_get(8)?,
        resolved_at: row.try_get(9)?,
        time_axis: row.try_get::<_, Option<String>>(10)?.map(Into::into),
        accepted,
        has_row: row.try_get(14)?,
    })
}

/// Which of these documents are in quarantine and not resolved.
pub(in crate::postgres) async fn known(
    client: &Client,
    entity_name: &str,
    digests: &[Digest],
) -> Result<HashSet<Digest>, StoreErrorKind> {
    if digests.is_empty() {
        return Ok(HashSet::new());
    }
    let asked: Vec<&[u8]> = digests.iter().map(Digest::as_bytes).collect();
    let rows = client.query(KNOWN, &[&entity_name, &asked]).await?;
    let known: HashSet<Vec<u8>> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok(digests.iter().copied().filter(|digest| known.contains(digest.as_bytes())).collect())
}

/// The bytes of one document.
pub(in crate::postgres) async fn bytes(
    client: &Client,
    entity_name: &str,
    digest: &str,
) -> Result<Option<Bytes>, StoreErrorKind> {
    let row = client.query_opt(BYTES, &[&entity_name, &digest]).await?;
    Ok(row.map(|row| row.try_get::<_, Vec<u8>>(0)).transpose()?.map(Bytes::from))
}

/// Resolves the documents that a run did not see again.
pub(in crate::postgres) async fn resolve(
    client: &mut Object,
    owner: Owner<'_>,
) -> Result<u64, StoreErrorKind> {
    let Owner { run, pipeline, lease, .. } = owner;
    let (entity_name, time_axis) = (&*pipeline.entity_name, &*pipeline.time_axis);
    let transaction = client.transaction().await?;
    lease::fence(&transaction, lease).await?;
    let resolved = transaction.execute(RESOLVE, &[&entity_name, &time_axis, &run.as_str()]).await?;
    point!("quarantine.resolved");
    transaction.commit().await?;
    Ok(resolved)
}

/// Keeps the documents of a page that cannot be rows.
pub(in crate::postgres) async fn keep(
    transaction: &Transaction<'_>,
    page: &PageCommit,
    kept: &BTreeMap<Digest, QuarantinedDoc<'_>>,
) -> Result<(), StoreErrorKind> {
    if kept.is_empty() {
        return Ok(());
    }
    let statement = transaction.prepare_cached(KEEP).await?;
    let window = |kept: &QuarantinedDoc<'_>| page.windows[kept.window].window;
    let digests: Vec<&[u8]> = kept.keys().map(Digest::as_bytes).collect();
    let ids: Vec<Option<&str>> = kept.values().map(|kept| kept.id).collect();
    let reasons: Vec<&str> = kept.values().map(|kept| &*kept.reason).collect();
    let raw: Vec<&[u8]> = kept.values().map(QuarantinedDoc::stored_bytes).collect();
    let starts: Vec<OffsetDateTime> = kept.values().map(|kept| window(kept).start()).collect();
    let ends: Vec<OffsetDateTime> = kept.values().map(|kept| window(kept).end()).collect();
    let has_row: Vec<bool> = kept.values().map(|kept| kept.has_row).collect();
    let (entity_name, time_axis) = (&*page.pipeline.entity_name, &*page.pipeline.time_axis);
    let run = page.run.as_str();
    let (number, request) = (page.page_number.cast_signed(), Jsonb(page.request.as_bytes()));
    let written = transaction
        .execute(
            &statement,
            &[
                &digests,
                &ids,
                &reasons,
                &raw,
                &starts,
                &ends,
                &has_row,
                &entity_name,
                &run,
                &number,
                &request,
                &page.ingested_at,
                &time_axis,
            ],
        )
        .await?;
    rows::kept("quarantine", written, kept.len())
}
