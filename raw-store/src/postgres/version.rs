//! Reads the version of the schema and checks that this program can use it.

use tokio_postgres::{Client, GenericClient};

use super::scripts::KNOWN;
use crate::{SchemaName, StoreErrorKind};

/// Checks that the schema exists, may be used, and has the version that this program needs.
pub(super) async fn check_version(client: &Client, schema: &SchemaName) -> Result<(), StoreErrorKind> {
    match found_version(client).await? {
        Some(KNOWN) => Ok(()),
        Some(found) if found > KNOWN => Err(StoreErrorKind::Newer { found, known: KNOWN }),
        Some(found) => Err(StoreErrorKind::Older { found, wanted: KNOWN }),
        None => {
            // A schema that the role may not use looks like one that does not exist.
            let usable = "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = $1";
            match client
                .query_opt(usable, &[&schema.as_str()])
                .await?
                .map(|row| row.try_get(0))
                .transpose()?
            {
                Some(false) => Err(StoreErrorKind::Forbidden(format!("schema {schema}").into())),
                _ => Err(StoreErrorKind::NotSetUp(schema.as_str().into())),
            }
        }
    }
}

/// The schema's version; `None` if it has none.
pub(super) async fn found_version(client: &impl GenericClient) -> Result<Option<i32>, StoreErrorKind> {
    if !exists(client, "schema_version").await? {
        return Ok(None);
    }
    Ok(client.query_one("SELECT max(version) FROM schema_version", &[]).await?.try_get(0)?)
}

/// Whether the schema has a table. The search path holds our schema alone. Not by `to_regclass`: after a wait for an advisory
/// lock it uses what the session knew of schemas before, until a query opens a table, as this one does.
pub(super) async fn exists(client: &impl GenericClient, table: &str) -> Result<bool, StoreErrorKind> {
    const EXISTS: &str = "
        SELECT EXISTS (
            SELECT FROM pg_class WHERE relname = $1::text AND relnamespace = to_regnamespace(current_schema()))";
    Ok(client.query_one(EXISTS, &[&table]).await?.try_get(0)?)
}
