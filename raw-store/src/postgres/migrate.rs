//! Creates and upgrades the schema by its numbered scripts, in one transaction under an advisory lock.

use deadpool_postgres::{Object, Transaction};
use failpoint::point;
use tokio_postgres::GenericClient;

use super::schema;
use super::scripts::{GUARDS, KNOWN, PLACEHOLDER, ROLES, SCRIPTS};
use super::version::{exists, found_version};
use crate::{SchemaName, StoreErrorKind, TableName};

/// Lets one process at a time change a schema. Among the users of advisory locks, the first number is ours alone.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('qbo-backfill'), hashtext($1))";

/// Runs the scripts in one transaction, unless the schema is complete: a concurrent reader sees no schema, or all of it.
pub(super) async fn migrate(client: &mut Object, schema: &SchemaName) -> Result<(), StoreErrorKind> {
    if is_complete(&***client).await? {
        return Ok(());
    }
    let quoted = format!("\"{schema}\"");
    let transaction = locked(client, schema).await?;
    let found = found_version(&*transaction).await?;
    match found {
        Some(found) if found > KNOWN => return Err(StoreErrorKind::Newer { found, known: KNOWN }),
        // Another process did it while this one waited.
        _ if is_complete(&*transaction).await? => return Ok(()),
        _ => {}
    }
    // A script may have to look at every row that is stored.
    transaction.batch_execute("SET LOCAL statement_timeout = 0").await?;
    if exists(&*transaction, "schema_version").await? {
        transaction.batch_execute(&GUARDS.replace(PLACEHOLDER, &quoted)).await?;
    }
    for script in &SCRIPTS {
        transaction.batch_execute(&script.sql.replace(PLACEHOLDER, &quoted)).await?;
        point!("migrate.script");
    }
    point!("migrate.commit", transaction.commit()).await?;
    point!("migrate.committed");
    Ok(())
}

async fn is_complete(client: &impl GenericClient) -> Result<bool, StoreErrorKind> {
    Ok(found_version(client).await? == Some(KNOWN) && schema::differences(client).await?.is_empty())
}

/// Runs the script that creates the roles.
pub(super) async fn create_roles(client: &mut Object, schema: &SchemaName) -> Result<(), StoreErrorKind> {
    let quoted = format!("\"{schema}\"");
    let transaction = locked(client, schema).await?;
    transaction.batch_execute(&ROLES.replace(PLACEHOLDER, &quoted)).await?;
    transaction.commit().await?;
    Ok(())
}

/// Raw tables of ours without an index on the time of the last change. An index that was left half built is not valid.
const UNINDEXED: &str = "
    SELECT class.relname::text, to_regclass(format('%I.%I', current_schema(), class.relname || '_by_update')) IS NOT NULL
    FROM pg_class AS class
    WHERE class.relnamespace = to_regnamespace(current_schema()) AND class.relkind = 'r'
      AND pg_has_role(class.relowner, 'USAGE')
      AND EXISTS (
          SELECT FROM pg_attribute WHERE attrelid = class.oid AND attname = 'payload_digest' AND NOT attisdropped)
      AND NOT EXISTS (
          SELECT FROM pg_index AS index
          JOIN pg_attribute AS column_ ON column_.attrelid = class.oid AND column_.attnum = index.indkey[0]
          WHERE index.indrelid = class.oid AND index.indisvalid AND column_.attname = 'source_updated_at_utc')
    ORDER BY class.relname";

/// One process at a time builds indexes; another one leaves the work to it.
const BUILD_LOCK: &str = "SELECT pg_try_advisory_lock(hashtext('qbo-backfill index'), hashtext($1))";

/// Builds missing indexes while others work: no table is locked against them, so it may take long. If interrupted, it begins
/// again at the next call.
pub(super) async fn build_indexes(client: &mut Object, schema: &SchemaName) -> Result<(), StoreErrorKind> {
    let unindexed = client.query(UNINDEXED, &[]).await?;
    if unindexed.is_empty()
        || !client.query_one(BUILD_LOCK, &[&schema.as_str()]).await?.try_get::<_, bool>(0)?
    {
        return Ok(());
    }
    client.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0").await?;
    for row in unindexed {
        let (table, is_half_built): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        tracing::info!(phase = "migrate", table, "the table gets its index by time");
        if is_half_built {
            client.batch_execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS \"{table}_by_update\"")).await?;
        }
        let build = format!(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS \"{table}_by_update\" ON \"{table}\" (source_updated_at_utc)"
        );
        client.batch_execute(&build).await?;
    }
    Ok(())
}

/// Creates a raw table where it is missing. The privilege to create is needed only then.
pub(super) async fn prepare(
    client: &mut Object,
    schema: &SchemaName,
    table: &TableName,
) -> Result<(), StoreErrorKind> {
    if schema::is_ledger_table(table) {
        let text = format!("{table} is a table of the ledger and cannot hold documents");
        return Err(StoreErrorKind::Configuration(text.into()));
    }
    if exists(&***client, table.as_str()).await? {
        return Ok(());
    }
    let transaction = locked(client, schema).await?;
    transaction.execute("SELECT create_raw_table($1)", &[&table.as_str()]).await?;
    point!("migrate.table");
    transaction.commit().await?;
    Ok(())
}

/// Begins a transaction that changes a schema.
pub(super) async fn locked<'c>(
    client: &'c mut Object,
    schema: &SchemaName,
) -> Result<Transaction<'c>, StoreErrorKind> {
    let transaction = client.transaction().await?;
    transaction.execute(LOCK, &[&schema.as_str()]).await?;
    point!("migrate.locked");
    Ok(transaction)
}
