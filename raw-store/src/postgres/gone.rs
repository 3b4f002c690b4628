//! Marks rows whose records the source no longer has, and removes marks when records come back.

use deadpool_postgres::{Object, Transaction};
use time::OffsetDateTime;

use super::{lease, version};
use crate::{GoneRecord, Lease, StoreErrorKind, TableName};

fn mark_sql(table: &TableName) -> String {
    format!(
        "UPDATE \"{table}\" AS stored SET gone_found_at_utc = $3, source_deleted_at_utc = gone.deleted_at
         FROM unnest($1::text[], $2::timestamptz[]) AS gone (id, deleted_at)
         WHERE stored.id = gone.id AND stored.gone_found_at_utc IS NULL"
    )
}

/// Rows that a trigger, a rule or a row policy kept from being marked.
fn unmarked_sql(table: &TableName) -> String {
    format!("SELECT count(*) FROM \"{table}\" WHERE id = ANY($1) AND gone_found_at_utc IS NULL")
}

fn restore_sql(table: &TableName) -> String {
    format!(
        "UPDATE \"{table}\" SET gone_found_at_utc = NULL, source_deleted_at_utc = NULL
         WHERE id = ANY($1) AND gone_found_at_utc IS NOT NULL"
    )
}

/// Marks rows as gone, in one transaction of the pipeline's owner.
pub(super) async fn mark(
    client: &mut Object,
    (table, lease): (&TableName, &Lease),
    gone: &[GoneRecord],
    found_at: OffsetDateTime,
) -> Result<u64, StoreErrorKind> {
    let transaction = client.transaction().await?;
    lease::fence(&transaction, lease).await?;
    if !version::exists(&*transaction, table.as_str()).await? {
        return Ok(0);
    }
    let ids: Vec<&str> = gone.iter().map(|one| &*one.id).collect();
    let deleted: Vec<Option<OffsetDateTime>> = gone.iter().map(|one| one.deleted_at).collect();
    let marked = transaction.execute(&mark_sql(table), &[&ids, &deleted, &found_at]).await?;
    let unmarked: i64 = transaction.query_one(&unmarked_sql(table), &[&ids]).await?.try_get(0)?;
    if unmarked > 0 {
        return Err(altered(table, unmarked.cast_unsigned()));
    }
    transaction.commit().await?;
    Ok(marked)
}

/// Removes the marks of records that came back.
pub(super) async fn restore(
    transaction: &Transaction<'_>,
    table: &TableName,
    ids: &[&str],
) -> Result<(), StoreErrorKind> {
    if ids.is_empty() {
        return Ok(());
    }
    let restored = transaction.execute(&restore_sql(table), &[&ids]).await?;
    match (ids.len() as u64).saturating_sub(restored) {
        0 => Ok(()),
        rows => Err(altered(table, rows)),
    }
}

fn altered(table: &TableName, rows: u64) -> StoreErrorKind {
    StoreErrorKind::RowsAltered { table: table.as_str().into(), rows }
}
