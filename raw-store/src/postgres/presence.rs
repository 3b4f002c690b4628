//! Looks up rows by id, and lists them by a member of their documents.

use deadpool_postgres::Object;

use super::version;
use crate::{MemberRange, Presence, StoreErrorKind, TableName};

/// Without a member, no document is read.
fn presence_sql(table: &TableName) -> String {
    format!(
        "SELECT stored.id IS NOT NULL, stored.gone_found_at_utc IS NOT NULL,
             CASE WHEN $2::text <> '' THEN stored.payload ->> $2 END
         FROM unnest($1::text[]) WITH ORDINALITY AS asked (id, place)
         LEFT JOIN \"{table}\" AS stored ON stored.id = asked.id
         ORDER BY asked.place"
    )
}

/// The order of bytes, whatever the database's own order is.
fn ids_sql(table: &TableName) -> String {
    format!(
        "SELECT id FROM \"{table}\"
         WHERE (payload ->> $1) COLLATE \"C\" >= $2 AND (payload ->> $1) COLLATE \"C\" <= $3 AND id > $4
           AND gone_found_at_utc IS NULL
         ORDER BY id LIMIT $5"
    )
}

/// Says of each id what is stored under it.
pub(super) async fn presence(
    client: &Object,
    table: &TableName,
    ids: &[Box<str>],
    member: &str,
) -> Result<Vec<Presence>, StoreErrorKind> {
    if !version::exists(&***client, table.as_str()).await? {
        return Ok(vec![Presence::Absent; ids.len()]);
    }
    let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
    let statement = client.prepare_cached(&presence_sql(table)).await?;
    let rows = client.query(&statement, &[&ids, &member]).await?;
    rows.iter()
        .map(|row| {
            Ok(match (row.try_get(0)?, row.try_get(1)?) {
                (false, _) => Presence::Absent,
                (true, false) => Presence::Live(row.try_get::<_, Option<String>>(2)?.map(Into::into)),
                (true, true) => Presence::Gone,
            })
        })
        .collect()
}

/// Lists ids of rows without a mark by a member of their documents, in the order of the primary key.
pub(super) async fn ids_between(
    client: &Object,
    table: &TableName,
    between: &MemberRange,
    (after, limit): (&str, u32),
) -> Result<Vec<Box<str>>, StoreErrorKind> {
    if !version::exists(&***client, table.as_str()).await? {
        return Ok(Vec::new());
    }
    let statement = client.prepare_cached(&ids_sql(table)).await?;
    let MemberRange { member, first, last } = between;
    let rows =
        client.query(&statement, &[&&**member, &&**first, &&**last, &after, &i64::from(limit)]).await?;
    rows.iter().map(|row| Ok(row.try_get::<_, String>(0)?.into())).collect()
}
