//! The privileges that a loading role needs, and those that it lacks.

use tokio_postgres::Client;

use crate::{SchemaName, StoreErrorKind};

/// The ledger tables that need other privileges than all three of reading, inserting and updating.
const FEWER: [(&str, &[&str]); 2] =
    [("schema_version", &["SELECT"]), ("source_identity", &["SELECT", "INSERT"])];

/// From the catalog, so that it works for a role that may not even use the schema. To these functions, the owner of an object
/// has all privileges on it.
const MISSING: &str = "
    WITH relation AS (
        SELECT class.oid, class.relname::text AS name
        FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
        WHERE namespace.nspname = $1 AND class.relkind IN ('r', 'p')
    ), needed AS (
        SELECT relation.oid, relation.name, privilege, number
        FROM relation, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) WITH ORDINALITY AS right_ (privilege, number)
        WHERE (relation.name = ANY($2) OR EXISTS (
                SELECT FROM pg_attribute AS column_
                WHERE column_.attrelid = relation.oid AND column_.attname = 'payload_digest'))
          AND NOT EXISTS (
                SELECT FROM unnest($3::text[], $4::text[]) AS spared (name, privilege)
                WHERE spared.name = relation.name AND spared.privilege = right_.privilege)
    )
    SELECT format('GRANT USAGE ON SCHEMA %I TO %I', $1, current_user)
    FROM pg_namespace WHERE nspname = $1 AND NOT has_schema_privilege(oid, 'USAGE')
    UNION ALL
    (SELECT format('GRANT %s ON %I.%I TO %I', string_agg(privilege, ', ' ORDER BY number), $1, name, current_user)
     FROM needed WHERE NOT has_table_privilege(oid, privilege)
     GROUP BY name ORDER BY name)
    UNION ALL
    SELECT format('GRANT EXECUTE ON FUNCTION %I.%s(text) TO %I', $1, proname, current_user)
    FROM pg_proc
    WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND proname = 'create_raw_table'
      AND NOT has_function_privilege(oid, 'EXECUTE')";

/// The statements that grant the present role what loading needs and it lacks.
pub(super) async fn missing(
    client: &Client,
    schema: &SchemaName,
    ledger: &[&str],
) -> Result<Vec<Box<str>>, StoreErrorKind> {
    let spared = FEWER.iter().flat_map(|(name, has)| {
        let others = ["SELECT", "INSERT", "UPDATE"].into_iter().filter(|right| !has.contains(right));
        others.map(move |right| (*name, right))
    });
    let (names, rights): (Vec<&str>, Vec<&str>) = spared.unzip();
    let rows = client.query(MISSING, &[&schema.as_str(), &ledger, &names, &rights]).await?;
    rows.iter().map(|row| Ok(row.try_get::<_, String>(0)?.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::schema;

    #[test]
    fn every_table_of_the_ledger_is_named_in_the_script_of_the_roles() {
        let script = include_str!("../../sql/roles/roles.sql");
        let (_, names) = script.split_once("ledger text[] := ARRAY[").unwrap();
        let (names, _) = names.split_once(']').unwrap();
        let names: Vec<_> = names.split(',').map(|name| name.trim().trim_matches('\'')).collect();
        let mut expected = schema::ledger();
        expected.retain(|table| !names.contains(table));
        assert!(expected.is_empty(), "{expected:?}");
    }
}
