use deadpool_postgres::{Object, Transaction};
use tokio_postgres::{Client, GenericClient};

use super::schema;
use crate::{SchemaName, StoreErrorKind, TableName};

/// One numbered script of `sql/`. It can be run again at any time.
struct Script {
    version: i32,
    sql: &'static str,
}

const SCRIPTS: [Script; 15] = [
    Script { version: 1, sql: include_str!("../../sql/0001_ledger.sql") },
    Script { version: 2, sql: include_str!("../../sql/0002_consent.sql") },
    Script { version: 3, sql: include_str!("../../sql/0003_grants.sql") },
    Script { version: 4, sql: include_str!("../../sql/0004_unavailable.sql") },
    Script { version: 5, sql: include_str!("../../sql/0005_quarantine.sql") },
    Script { version: 6, sql: include_str!("../../sql/0006_sharing.sql") },
    Script { version: 7, sql: include_str!("../../sql/0007_quarantine_axis.sql") },
    Script { version: 8, sql: include_str!("../../sql/0008_counted.sql") },
    Script { version: 9, sql: include_str!("../../sql/0009_triggers.sql") },
    Script { version: 10, sql: include_str!("../../sql/0010_findings.sql") },
    Script { version: 11, sql: include_str!("../../sql/0011_outage.sql") },
    Script { version: 12, sql: include_str!("../../sql/0012_looked_over.sql") },
    Script { version: 13, sql: include_str!("../../sql/0013_accepted.sql") },
    Script { version: 14, sql: include_str!("../../sql/0014_chain.sql") },
    Script { version: 15, sql: GUARDS },
];

/// Puts back keys and columns that somebody has dropped. The other scripts rely on them.
const GUARDS: &str = include_str!("../../sql/0015_guards.sql");

/// Roles, and what each may do. Not a numbered script: only an administrator can run it.
const ROLES: &str = include_str!("../../sql/roles.sql");

/// The version of the schema that this program needs.
pub(super) const KNOWN: i32 = SCRIPTS[SCRIPTS.len() - 1].version;

/// How a script names its schema; see its head.
const PLACEHOLDER: &str = "raw /*schema*/";

/// Lets one process at a time change a schema. The first number is ours alone among the users of advisory locks.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('qbo-backfill'), hashtext($1))";

/// Runs the scripts in one transaction, unless all is there already: whoever looks meanwhile sees no schema, or all of it.
pub(super) async fn migrate(client: &mut Object, schema: &SchemaName) -> Result<(), StoreErrorKind> {
    if is_complete(&***client).await? {
        return Ok(());
    }
    let quoted = format!("\"{schema}\"");
    let transaction = locked(client, schema).await?;
    let found = found_version(&*transaction).await?;
    match found {
        Some(found) if found > KNOWN => return Err(StoreErrorKind::Newer { found, known: KNOWN }),
        // Somebody else did it while this one waited.
        _ if is_complete(&*transaction).await? => return Ok(()),
        _ => {}
    }
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

/// Runs the script of the roles.
pub(super) async fn create_roles(client: &mut Object, schema: &SchemaName) -> Result<(), StoreErrorKind> {
    let quoted = format!("\"{schema}\"");
    let transaction = locked(client, schema).await?;
    transaction.batch_execute(&ROLES.replace(PLACEHOLDER, &quoted)).await?;
    transaction.commit().await?;
    Ok(())
}

/// Raw tables of ours without an index by the time of the last change. One that was left half built is not valid.
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

/// One process at a time builds indexes; another one leaves it to it.
const BUILD_LOCK: &str = "SELECT pg_try_advisory_lock(hashtext('qbo-backfill index'), hashtext($1))";

/// Builds what is missing beside the work of others: no table is locked against them, and it takes as long as it takes.
/// Interrupted, it begins again with the next call.
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

/// Creates a raw table where it is missing. The right to create is needed only then.
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

/// Checks that the schema is there, may be used, and has the version that this program needs.
pub(super) async fn check_version(client: &Client, schema: &SchemaName) -> Result<(), StoreErrorKind> {
    match found_version(client).await? {
        Some(KNOWN) => Ok(()),
        Some(found) if found > KNOWN => Err(StoreErrorKind::Newer { found, known: KNOWN }),
        Some(found) => Err(StoreErrorKind::Older { found, wanted: KNOWN }),
        None => {
            // A schema without the right to use it looks like one that is not there.
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

/// Whether the schema has a table. The search path holds our schema alone. Not by `to_regclass`: after a wait for an
/// advisory lock it goes by what the session knew of schemas before, until a query opens a table, as this one does.
pub(super) async fn exists(client: &impl GenericClient, table: &str) -> Result<bool, StoreErrorKind> {
    const EXISTS: &str = "
        SELECT EXISTS (
            SELECT FROM pg_class WHERE relname = $1::text AND relnamespace = to_regnamespace(current_schema()))";
    Ok(client.query_one(EXISTS, &[&table]).await?.try_get(0)?)
}

async fn locked<'c>(client: &'c mut Object, schema: &SchemaName) -> Result<Transaction<'c>, StoreErrorKind> {
    let transaction = client.transaction().await?;
    transaction.execute(LOCK, &[&schema.as_str()]).await?;
    point!("migrate.locked");
    Ok(transaction)
}

#[cfg(test)]
mod tests {
    use super::{PLACEHOLDER, SCRIPTS};

    #[test]
    fn scripts_are_numbered_from_one_and_name_their_schema_only_where_it_is_replaced() {
        for (at, script) in SCRIPTS.iter().enumerate() {
            assert_eq!(usize::try_from(script.version).unwrap(), at + 1);
            assert_eq!(script.sql.matches(PLACEHOLDER).count(), 2);
            let code = script.sql.lines().filter(|line| !line.trim_start().starts_with("--"));
            let named = code.filter(|line| !line.contains(PLACEHOLDER) && line.contains("raw."));
            assert_eq!(named.collect::<Vec<_>>(), Vec::<&str>::new());
        }
    }
}
