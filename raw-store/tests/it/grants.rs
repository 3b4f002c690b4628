//! What the roles of `sql/roles/roles.sql` may do, and what becomes of a loader that lacks a right.

#![cfg(feature = "pg")]

use fixtures::TempDatabase;
use raw_store::{DatabaseOptions, PgStore, Pipeline, SchemaName, StoreErrorKind, Tables as _};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use crate::support::{connection, database, with_roles};

/// A plain connection as one of the roles.
async fn connected(options: &DatabaseOptions) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host(options.host()).port(options.port()).dbname(options.database()).user(options.user());
    let (client, connection) = config.password("fake-1").connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn assert_denied(client: &Client, statements: &[&str]) {
    for statement in statements {
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{statement}: {error:?}");
    }
}

#[tokio::test]
async fn a_loader_has_what_it_needs_and_nothing_more() {
    let database = database().await;
    let options = with_roles(&database, "qbo_loader").await;
    let store = PgStore::connect(options.clone(), SchemaName::default()).await.unwrap();
    store.ensure_loadable().await.unwrap();
    assert_eq!(store.check().await.unwrap(), []);
    // A table for a new pipeline, made by a role that may not create tables.
    let bills = Pipeline {
        entity_name: "bills".into(),
        table: "qb_bills".parse().unwrap(),
        ..crate::support::pipeline()
    };
    store.prepare(&bills).await.unwrap();
    assert_eq!(store.count_rows(&bills).await.unwrap(), 0);
    store.ensure_loadable().await.unwrap();

    let secret = format!("CREATE TABLE public.foreign_{0} (x int)", database.name());
    connection(&database).await.batch_execute(&secret).await.unwrap();
    assert_denied(
        &connected(&options).await,
        &[
            "DELETE FROM raw.qb_invoices",
            "TRUNCATE raw.qb_invoices",
            "DROP TABLE raw.qb_invoices",
            "ALTER TABLE raw.qb_invoices ADD COLUMN x int",
            "CREATE INDEX ON raw.qb_invoices (ingested_at_utc)",
            "CREATE TRIGGER t BEFORE INSERT ON raw.qb_bills EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "DELETE FROM raw.backfill_log",
            "DELETE FROM raw.sealed_vault",
            "UPDATE raw.source_identity SET realm_id = '1'",
            "INSERT INTO raw.schema_version (version, name) VALUES (99, 'x')",
            "CREATE TABLE raw.mine (x int)",
            "CREATE TABLE public.mine (x int)",
            "CREATE TEMP TABLE mine (x int)",
            "CREATE SCHEMA mine",
            "CREATE FUNCTION raw.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "SELECT raw.grant_on_raw_table('qb_items')",
            "CREATE ROLE mine",
            "SET ROLE qbo_owner",
            "GRANT qbo_owner TO qbo_loader",
            "COPY raw.qb_invoices TO PROGRAM 'cat'",
            "COPY raw.qb_invoices FROM '/etc/passwd'",
            "SELECT pg_read_file('/etc/passwd')",
            "SELECT * FROM pg_authid",
            "ALTER SYSTEM SET work_mem = '1GB'",
            &format!("SELECT * FROM public.foreign_{}", database.name()),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_reader_sees_the_log_and_no_payload() {
    let database = database().await;
    let reader = connected(&with_roles(&database, "qbo_reader").await).await;
    for allowed in [
        "SELECT * FROM raw.backfill_log",
        "SELECT * FROM raw.backfill_run, raw.backfill_run_pipeline, raw.backfill_page",
        "SELECT id, ingested_at_utc, source_updated_at_utc FROM raw.qb_invoices",
        "SELECT count(*) FROM raw.qb_items",
        "SELECT id, gone_found_at_utc, source_deleted_at_utc, source_updated_on FROM raw.qb_items",
        "SELECT id, source_updated_at_utc FROM raw.v_qb_items_live",
        "SELECT * FROM raw.backfill_validation, raw.backfill_finding",
        "SELECT * FROM raw.v_backfill_coverage",
        "SELECT * FROM raw.v_backfill_daily",
        "SELECT * FROM raw.v_backfill_findings",
        "SELECT * FROM raw.backfill_event, raw.backfill_worker, raw.call_budget",
        "SELECT digest, reason, record_id, run_id, accepted_by FROM raw.quarantine",
    ] {
        reader.batch_execute(allowed).await.expect(allowed);
    }
    reader.batch_execute("SET default_transaction_read_only = off").await.unwrap();
    assert_denied(
        &reader,
        &[
            "SELECT payload FROM raw.qb_invoices",
            "SELECT * FROM raw.qb_customers",
            "SELECT payload FROM raw.v_qb_customers_live",
            "SELECT raw FROM raw.quarantine",
            "SELECT request_payload FROM raw.quarantine",
            "SELECT raw.remove_old_events()",
            "SELECT * FROM raw.sealed_vault",
            "SELECT * FROM raw.consent_witness",
            "UPDATE raw.backfill_log SET status = 'completed'",
            "INSERT INTO raw.qb_items (id) VALUES ('1')",
            "SELECT raw.create_raw_table('qb_bills')",
        ],
    )
    .await;
}

/// Every right that the loader has, with the statement that takes it.
async fn rights(database: &TempDatabase) -> Vec<(String, String)> {
    let tables = "
        SELECT privilege_type, format('%I.%I', table_schema, table_name)
        FROM information_schema.role_table_grants
        WHERE grantee = 'qbo_loader' AND table_schema = 'raw' ORDER BY table_name, privilege_type";
    let rows = connection(database).await.query(tables, &[]).await.unwrap();
    let on = |row: &tokio_postgres::Row| (row.get::<_, String>(0), row.get::<_, String>(1));
    let mut rights: Vec<_> = rows.iter().map(on).collect();
    rights.push(("USAGE".into(), "SCHEMA raw".into()));
    rights.push(("EXECUTE".into(), "FUNCTION raw.create_raw_table(text)".into()));
    rights
}

#[tokio::test]
async fn each_missing_right_is_named_with_the_statement_that_gives_it() {
    let database = database().await;
    let options = with_roles(&database, "qbo_loader").await;
    let owner = connection(&database).await;
    let rights = rights(&database).await;
    assert!(rights.len() > 30, "{}", rights.len());
    for (right, thing) in rights {
        owner.batch_execute(&format!("REVOKE {right} ON {thing} FROM qbo_loader")).await.unwrap();
        let store = PgStore::connect(options.clone(), SchemaName::default()).await.unwrap();
        let error = store.ensure_loadable().await.unwrap_err();
        let statement = format!("GRANT {right} ON {thing} TO qbo_loader");
        assert_eq!(store.missing_grants().await.unwrap(), [statement.clone().into_boxed_str()]);
        assert!(matches!(&error.kind, StoreErrorKind::Lacks(lacks) if **lacks == *statement), "{error}");
        owner.batch_execute(&statement).await.unwrap();
        store.ensure_loadable().await.unwrap();
    }
}

#[tokio::test]
async fn the_script_of_the_roles_can_be_run_again_and_mends_what_was_changed() {
    let database = database().await;
    let options = with_roles(&database, "qbo_loader").await;
    let owner = connection(&database).await;
    let change =
        "GRANT DELETE ON raw.qb_items TO qbo_loader; REVOKE INSERT ON raw.quarantine FROM qbo_loader";
    owner.batch_execute(change).await.unwrap();
    with_roles(&database, "qbo_loader").await;
    PgStore::connect(options.clone(), SchemaName::default()).await.unwrap().ensure_loadable().await.unwrap();
    assert_denied(&connected(&options).await, &["DELETE FROM raw.qb_items"]).await;
}

#[tokio::test]
async fn the_scripts_run_again_leave_grants_to_readers_and_tables_of_others_alone() {
    let database = database().await;
    let reader = with_roles(&database, "qbo_reader").await;
    let owner = connection(&database).await;
    owner
        .batch_execute(
            "GRANT SELECT ON raw.qb_invoices TO qbo_reader; CREATE TABLE raw.somebodys (x int);
             DROP TABLE raw.qb_items CASCADE;
             CREATE TABLE raw.qb_items (LIKE raw.qb_invoices INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY HASH (id);
             CREATE TABLE raw.qb_items_0 PARTITION OF raw.qb_items FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        )
        .await
        .unwrap();
    let loader = with_roles(&database, "qbo_loader").await;
    connected(&reader).await.batch_execute("SELECT payload FROM raw.qb_invoices").await.unwrap();
    let loader = connected(&loader).await;
    loader.batch_execute("SELECT payload FROM raw.qb_items").await.unwrap();
    assert_denied(&loader, &["SELECT * FROM raw.somebodys"]).await;
    let theirs = "SELECT tableowner <> 'qbo_owner' FROM pg_tables WHERE tablename = 'somebodys'";
    assert!(owner.query_one(theirs, &[]).await.unwrap().get::<_, bool>(0));

    // As a container engine or an administrator does with psql, in order or only the first.
    let first = include_str!("../../sql/0001_ledger.sql").replace("raw /*schema*/", "raw");
    owner.batch_execute(&first).await.unwrap();
    let kept = "SELECT prosecdef AND proconfig::text LIKE '%search_path%' FROM pg_proc WHERE proname = 'create_raw_table'
                AND pronamespace = 'raw'::regnamespace";
    assert!(owner.query_one(kept, &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn a_login_without_the_right_to_connect_is_told_the_statement_that_gives_it() {
    let database = database().await;
    let options = with_roles(&database, "qbo_loader").await;
    let (owner, name) = (connection(&database).await, database.name());
    let revoke = format!("REVOKE CONNECT ON DATABASE \"{name}\" FROM PUBLIC, qbo_loader");
    owner.batch_execute(&revoke).await.unwrap();
    let statement = format!("GRANT CONNECT ON DATABASE \"{name}\" TO \"qbo_loader\"");
    let refused = PgStore::connect(options.clone(), SchemaName::default()).await.unwrap_err();
    assert!(matches!(&refused.kind, StoreErrorKind::Lacks(lacks) if **lacks == *statement), "{refused}");
    owner.batch_execute(&statement).await.unwrap();
    PgStore::connect(options, SchemaName::default()).await.unwrap();
}
