//! Sums up raw tables.

use std::pin::pin;

use deadpool_postgres::Object;
use futures_util::TryStreamExt as _;

use super::version;
use crate::prepare::TableSum;
use crate::{StoreErrorKind, TableDigest, TableName};

/// One statement, so that it sees one moment. Ids compare bytewise, whatever the database's collation.
fn rows_sql(table: &TableName) -> String {
    format!(
        "SELECT id, payload_digest, gone_found_at_utc IS NOT NULL FROM \"{table}\" ORDER BY id COLLATE \"C\""
    )
}

/// Sums up a table, row by row.
pub(super) async fn sum(client: &Object, table: &TableName) -> Result<TableDigest, StoreErrorKind> {
    let mut sum = TableSum::default();
    if !version::exists(&***client, table.as_str()).await? {
        return Ok(sum.finish());
    }
    let none: [&str; 0] = [];
    let mut rows = pin!(client.query_raw(&rows_sql(table), none).await?);
    while let Some(row) = rows.try_next().await? {
        sum.add(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    }
    Ok(sum.finish())
}
