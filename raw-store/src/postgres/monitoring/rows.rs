//! Looks up single rows of raw tables, by id or by number, and their documents.

use deadpool_postgres::{Object, Transaction};
use tokio_postgres::Row;

use super::snapshot::Snapshot;
use crate::postgres::rows::{run_id, window};
use crate::postgres::version::exists;
use crate::{AsOf, NumberSearch, RowRecord, StoreErrorKind, TableName};

/// Columns that every role may read.
const COLUMNS: &str = "id, source_updated_at_utc, source_sync_token, source_answered_at_utc, ingested_at_utc,
    extract_window_start_utc, extract_window_end_utc, page_number, page_size, gone_found_at_utc, source_deleted_at_utc,
    source_updated_on";

/// Whether this role may read documents, and what belongs to them.
const MAY_READ: &str = "
    SELECT has_column_privilege(to_regclass($1), 'payload', 'SELECT')
        AND has_column_privilege(to_regclass($1), 'request_payload', 'SELECT')
        AND has_column_privilege(to_regclass($1), 'payload_digest', 'SELECT')";

/// A row is written when its page is committed: they have the time in common.
const RUN: &str = "
    SELECT run_id FROM backfill_page
    WHERE committed_at_utc = $1 AND entity_name = $2 AND page_number = $3
    ORDER BY run_id LIMIT 1";

/// The table has no index on numbers, so that a search reads all of it.
const GIVE_UP: &str = "SET LOCAL statement_timeout = '5s'";

fn select(table: &TableName, may_read: bool, condition: &str) -> String {
    let documents = if may_read {
        "payload ->> $1, request_payload::text, encode(payload_digest, 'hex')"
    } else {
        "CASE WHEN $1::text IS NULL THEN NULL::text END, NULL::text, NULL::text"
    };
    format!("SELECT {COLUMNS}, {documents} FROM \"{table}\" WHERE {condition}")
}

async fn may_read(transaction: &Transaction<'_>, table: &TableName) -> Result<bool, StoreErrorKind> {
    let quoted = format!("\"{table}\"");
    Ok(transaction.query_one(MAY_READ, &[&quoted]).await?.try_get::<_, Option<bool>>(0)?.unwrap_or(false))
}

pub(super) async fn row(
    client: &mut Object,
    search: &NumberSearch,
    id: &str,
) -> Result<AsOf<Option<RowRecord>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let (transaction, table) = (&snapshot.transaction, &search.pipeline.table);
    if !exists(&**transaction, table.as_str()).await? {
        return snapshot.end(None).await;
    }
    let sql = select(table, may_read(transaction, table).await?, "id = $2");
    let record = match transaction.query_opt(&sql, &[&&*search.member, &id]).await? {
        Some(row) => Some(record(transaction, search, &row).await?),
        None => None,
    };
    snapshot.end(record).await
}

pub(super) async fn by_number(
    client: &mut Object,
    searches: &[NumberSearch],
    number: &str,
    limit: u32,
) -> Result<AsOf<Vec<RowRecord>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let transaction = &snapshot.transaction;
    transaction.batch_execute(GIVE_UP).await?;
    let mut found = Vec::new();
    for search in searches {
        let left = i64::from(limit).saturating_sub_unsigned(found.len() as u64);
        let table = &search.pipeline.table;
        if left <= 0 || !exists(&**transaction, table.as_str()).await? {
            continue;
        }
        let sql = select(table, true, "payload ->> $1 = $2 ORDER BY id COLLATE \"C\" LIMIT $3");
        for row in transaction.query(&sql, &[&&*search.member, &number, &left]).await? {
            found.push(record(transaction, search, &row).await?);
        }
    }
    snapshot.end(found).await
}

pub(super) async fn document(
    client: &mut Object,
    table: &TableName,
    id: &str,
) -> Result<AsOf<Option<Box<str>>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    if !exists(&*snapshot.transaction, table.as_str()).await? {
        return snapshot.end(None).await;
    }
    let sql = format!("SELECT payload::text FROM \"{table}\" WHERE id = $1");
    let row = snapshot.transaction.query_opt(&sql, &[&id]).await?;
    let text = row.map(|row| row.try_get::<_, &str>(0).map(Into::into)).transpose()?;
    snapshot.end(text).await
}

async fn record(
    transaction: &Transaction<'_>,
    search: &NumberSearch,
    row: &Row,
) -> Result<RowRecord, StoreErrorKind> {
    let text = |at: usize| row.try_get::<_, Option<&str>>(at).map(|text| text.map(Box::<str>::from));
    let (ingested_at, page_number): (_, i32) = (row.try_get(4)?, row.try_get(7)?);
    let entity_name = &search.pipeline.entity_name;
    let ingested: time::OffsetDateTime = ingested_at;
    let run = transaction.query_opt(RUN, &[&ingested, &&**entity_name, &page_number]).await?;
    Ok(RowRecord {
        entity_name: entity_name.clone(),
        id: row.try_get::<_, &str>(0)?.into(),
        number: text(12)?,
        updated_at: row.try_get(1)?,
        updated_on: row.try_get(11)?,
        sync_token: row.try_get(2)?,
        answered_at: row.try_get(3)?,
        ingested_at,
        window: window(row, 5)?,
        run: match run {
            Some(run) => run_id(run.try_get(0)?)?,
            None => None,
        },
        page_number: page_number.cast_unsigned(),
        page_size: row.try_get::<_, i32>(8)?.cast_unsigned(),
        request: text(13)?,
        digest: text(14)?,
        gone_found_at: row.try_get(9)?,
        deleted_at: row.try_get(10)?,
    })
}
