//! The rights of roles to read the views of a schema.

use deadpool_postgres::Transaction;
use tokio_postgres::error::SqlState;

use crate::{SchemaName, StoreErrorKind};

/// The views call the functions with the rights of the reader, so the reader needs these too where the database's defaults give
/// them to nobody.
const GRANTS: &str = "
    SELECT format(
        'GRANT USAGE ON SCHEMA %1$I TO %2$I; GRANT SELECT ON %3$s TO %2$I; GRANT EXECUTE ON FUNCTION %4$s TO %2$I',
        $1::text, $2::text,
        (SELECT string_agg(format('%I.%I', $1::text, name), ', ') FROM unnest($3::text[]) AS view_ (name)),
        (SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc
         WHERE pronamespace = to_regnamespace($1) AND proname = ANY ($4)))";

/// The roles that may read the table of installed sets, as each role that was named to [`give`] may.
const READERS: &str = "
    SELECT pg_get_userbyid(entry.grantee)::text FROM pg_class AS class CROSS JOIN aclexplode(class.relacl) AS entry
    WHERE class.relnamespace = to_regnamespace($1) AND class.relname = 'qbo_backfill_views'
      AND entry.privilege_type = 'SELECT' AND entry.grantee NOT IN (0, class.relowner)";

/// Lets a role read relations of the schema and call its functions.
pub(super) async fn give(
    transaction: &Transaction<'_>,
    target: &SchemaName,
    reader: &str,
    (relations, functions): (&[&str], &[&str]),
) -> Result<(), StoreErrorKind> {
    let row = transaction.query_one(GRANTS, &[&target.as_str(), &reader, &relations, &functions]).await?;
    let given = transaction.batch_execute(row.try_get(0)?).await;
    given.map_err(|error| match error.code() {
        Some(code) if *code == SqlState::UNDEFINED_OBJECT => {
            StoreErrorKind::Configuration(format!("there is no role {reader}").into())
        }
        _ => error.into(),
    })
}

/// Lets the roles that may read the other views read those that were added. What was taken from a role is not given back.
pub(super) async fn repeat(
    transaction: &Transaction<'_>,
    target: &SchemaName,
    added: &[&str],
    functions: &[&str],
) -> Result<(), StoreErrorKind> {
    if added.is_empty() {
        return Ok(());
    }
    for row in transaction.query(READERS, &[&target.as_str()]).await? {
        give(transaction, target, row.try_get(0)?, (added, functions)).await?;
    }
    Ok(())
}
