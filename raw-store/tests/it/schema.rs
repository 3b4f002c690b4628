//! Setting up, checking, and what is said when something is missing.

#![cfg(feature = "pg")]

use std::process::Command;

use raw_store::{
    Advice, BackfillLog, DatabaseOptions, GoneMarks as _, GoneRecord, LogFilter, PageSink, PgStore,
    SchemaName, StoreError, StoreErrorKind, StoreIdentity, Tables,
};

use crate::support::{NOW, Work, bare_store, connection, database, options, pipeline, row, store};

async fn refusal(options: DatabaseOptions) -> StoreError {
    let error = PgStore::connect(options, SchemaName::default()).await.expect_err("a refusal");
    assert!(!format!("{error} {error:?}").contains("fake-1"), "{error:?}");
    error
}

#[tokio::test]
async fn setting_up_is_idempotent_and_several_may_do_it_at_once() {
    let database = database().await;
    let (one, two) = (bare_store(&database).await, bare_store(&database).await);
    let (first, second) = futures_util::join!(one.migrate(), two.migrate());
    first.unwrap();
    second.unwrap();
    one.migrate().await.unwrap();
    // Who came second changed nothing: its locks could meet those of a run that has begun.
    let by_one = "SELECT bool_and(pg_proc.xmin = pg_namespace.xmin)
        FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE nspname = 'raw'";
    assert!(connection(&database).await.query_one(by_one, &[]).await.unwrap().get::<_, bool>(0));
    assert_eq!(one.check().await.unwrap(), []);
    let status = one.schema_status().await.unwrap();
    assert_eq!((status.found, status.known, status.identity), (Some(22), 22, None));
    assert_eq!(status.tables.len(), 28);
}

#[tokio::test]
async fn who_looks_meanwhile_sees_no_schema_or_all_of_it() {
    let database = database().await;
    let (maker, other) = (bare_store(&database).await, bare_store(&database).await);
    let looks = async {
        loop {
            match other.ensure_loadable().await {
                Ok(()) => break,
                Err(error) => assert!(matches!(error.kind, StoreErrorKind::NotSetUp(_)), "{error}"),
            }
        }
    };
    let (made, ()) = futures_util::join!(maker.migrate(), looks);
    made.unwrap();
}

#[tokio::test]
async fn every_column_of_a_fresh_schema_is_expected() {
    let database = database().await;
    let store = store(&database).await;
    let owner = connection(&database).await;
    // The one table that begins with a row, which has nulls.
    owner.batch_execute("TRUNCATE raw.call_budget").await.unwrap();
    // A column that nobody expects shows as a difference once it has neither a default nor null.
    let columns = owner
        .query(
            "SELECT format('ALTER TABLE raw.%I ALTER COLUMN %I SET NOT NULL, ALTER COLUMN %I DROP %s', table_name,
                column_name, column_name, CASE is_identity WHEN 'YES' THEN 'IDENTITY' ELSE 'DEFAULT' END)
             FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
             WHERE table_schema = 'raw' AND table_type = 'BASE TABLE'",
            &[],
        )
        .await
        .unwrap();
    for column in columns {
        owner.batch_execute(column.get(0)).await.unwrap();
    }
    let unexpected: Vec<_> = store
        .check()
        .await
        .unwrap()
        .into_iter()
        .filter(|found| found.found.as_deref() == Some("neither"))
        .collect();
    assert_eq!(unexpected, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_may_bind_a_schema_at_once() {
    let database = database().await;
    bare_store(&database).await.migrate().await.unwrap();
    let owner = connection(&database).await;
    let mut stores = Vec::new();
    for _ in 0..8 {
        stores.push(std::sync::Arc::new(bare_store(&database).await));
    }
    let identity = StoreIdentity { realm_id: "1".into(), environment: "sandbox".into() };
    // Two keys of the row can be the one that is met first; it takes many rounds to meet the other.
    for _ in 0..300 {
        owner.batch_execute("DELETE FROM raw.source_identity").await.unwrap();
        let mut binding = tokio::task::JoinSet::new();
        for store in &stores {
            let (store, identity) = (std::sync::Arc::clone(store), identity.clone());
            binding.spawn(async move { store.bind(&identity).await });
        }
        while let Some(bound) = binding.join_next().await {
            bound.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn the_script_serves_psql_too() {
    let database = database().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/sql");
    let scripts = [
        "0001_ledger.sql",
        "0002_consent.sql",
        "0003_grants.sql",
        "0004_unavailable.sql",
        "0005_quarantine.sql",
        "0006_sharing.sql",
        "0007_quarantine_axis.sql",
        "0008_counted.sql",
        "0009_triggers.sql",
        "0010_findings.sql",
        "0011_outage.sql",
        "0012_looked_over.sql",
        "0013_accepted.sql",
        "0014_chain.sql",
        "0015_guards.sql",
        "0016_gone.sql",
        "0017_refusals.sql",
        "0018_verifications.sql",
        "0019_reports.sql",
        "0020_attachments.sql",
        "0021_console.sql",
        "0022_exactness.sql",
    ];
    for script in scripts.map(|name| format!("{folder}/{name}")).iter().cycle().take(42) {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", script]);
        psql.args(["-p", &database.port().to_string(), "-U", database.user(), "-d", database.name()]);
        psql.args(["-h", "127.0.0.1"]).env("PGPASSWORD", database.password());
        match psql.output() {
            Ok(ran) => assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(bare_store(&database).await.check().await.unwrap(), []);
}

/// The indexes of a table by the time of the last change: whether each is valid.
async fn indexes(owner: &tokio_postgres::Client, table: &str) -> Vec<bool> {
    let sql = "
        SELECT indisvalid FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
        WHERE indrelid = to_regclass('raw.' || $1) AND attname = 'source_updated_at_utc'";
    let rows = owner.query(sql, &[&table]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn every_raw_table_has_its_index_by_time_also_one_that_was_there_before() {
    let database = database().await;
    let store = store(&database).await;
    let owner = connection(&database).await;
    let mut work = Work::begin(&store).await.pipeline;
    work.table = "qb_bills".parse().unwrap();
    store.prepare(&work).await.unwrap();
    for table in ["qb_invoices", "qb_bills"] {
        assert_eq!(indexes(&owner, table).await, [true], "{table}");
    }
    // A table of an older version, and one whose index was never built to its end.
    let older = "
        DROP INDEX raw.qb_invoices_by_update;
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'raw.qb_bills_by_update'::regclass";
    owner.batch_execute(older).await.unwrap();
    store.migrate().await.unwrap();
    for table in ["qb_invoices", "qb_bills"] {
        assert_eq!(indexes(&owner, table).await, [true], "{table}");
    }
    // Another index that serves as well is enough.
    owner
        .batch_execute(
            "DROP INDEX raw.qb_bills_by_update; CREATE INDEX own ON raw.qb_bills (source_updated_at_utc, id)",
        )
        .await
        .unwrap();
    store.migrate().await.unwrap();
    assert_eq!(indexes(&owner, "qb_bills").await, [true]);
}

#[tokio::test]
async fn a_log_of_the_version_before_learns_what_is_unavailable() {
    let database = database().await;
    let owner = connection(&database).await;
    for script in [
        include_str!("../../sql/0001_ledger.sql"),
        include_str!("../../sql/0002_consent.sql"),
        include_str!("../../sql/0003_grants.sql"),
    ] {
        owner.batch_execute(script).await.unwrap();
    }
    let line = |status: &str| {
        format!(
            "INSERT INTO raw.backfill_log (entity_name, time_axis, window_start_utc, window_end_utc, status)
             VALUES ('{status}', 'updated', '2024-01-01Z', '2024-01-02Z', '{status}')"
        )
    };
    owner.batch_execute(&line("failed")).await.unwrap();
    owner.batch_execute(&line("unavailable")).await.unwrap_err();
    let store = bare_store(&database).await;
    store.migrate().await.unwrap();
    assert_eq!(store.check().await.unwrap(), []);
    owner.batch_execute(&line("unavailable")).await.unwrap();
    owner.batch_execute(&line("undecided")).await.unwrap_err();
    assert_eq!(store.lines(&LogFilter::default()).await.unwrap().len(), 2);
}

/// A table of the version before gets columns, index and view; its rows count as live.
#[tokio::test]
async fn a_raw_table_of_the_version_before_learns_what_is_gone() {
    let database = database().await;
    let store = store(&database).await;
    let owner = connection(&database).await;
    let work = Work::begin(&store).await;
    let before = "SET search_path TO raw;
        ALTER TABLE qb_invoices DROP COLUMN gone_found_at_utc CASCADE, DROP COLUMN source_deleted_at_utc CASCADE;
        INSERT INTO qb_invoices VALUES ('7', '{}', now(), '2024-01-01Z', '2024-01-02Z', 1, 1, '{}', '2024-01-01Z', 0, now(), '');
        CREATE TABLE qb_parts (LIKE qb_items INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY HASH (id);
        ALTER TABLE qb_parts DROP COLUMN gone_found_at_utc, DROP COLUMN source_deleted_at_utc;
        CREATE TABLE qb_parts_0 PARTITION OF qb_parts FOR VALUES WITH (MODULUS 1, REMAINDER 0)";
    owner.batch_execute(before).await.unwrap();
    let told: Vec<String> = store.check().await.unwrap().iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|one| one.starts_with("qb_invoices.gone_found_at_utc: expected")), "{told:?}");
    assert!(told.iter().any(|one| one.starts_with("v_qb_invoices_live: expected a view")), "{told:?}");
    store.migrate().await.unwrap();
    assert_eq!(store.check().await.unwrap(), []);
    let live = async |table: &str| -> i64 {
        let count = format!("SELECT count(*) FROM raw.v_{table}_live");
        owner.query_one(&count, &[]).await.unwrap().get(0)
    };
    assert_eq!((live("qb_invoices").await, live("qb_parts").await), (1, 0));
    let gone = [GoneRecord { id: "7".into(), deleted_at: None }];
    assert_eq!(store.mark_gone(&work.pipeline, &work.lease, &gone, NOW).await.unwrap(), 1);
    assert_eq!((live("qb_invoices").await, store.count_rows(&work.pipeline).await.unwrap()), (0, 1));
}

/// A table of the version before learns of its rows to what day they are exact.
#[tokio::test]
async fn a_raw_table_of_the_version_before_learns_how_exact_its_times_are() {
    let database = database().await;
    let store = store(&database).await;
    let owner = connection(&database).await;
    let rows = [
        ("1", "2024-02-29", None),
        ("2", "2024-02-28T10:00:00", None),
        ("3", "2023-02-29", None),
        ("4", "last week", None),
        ("5", "2024-02-29T10:00:00Z", Some("2024-02-29 10:00Z")),
    ];
    let values = rows.map(|(id, said, at)| {
        let at = at.map_or("NULL".to_owned(), |at| format!("'{at}'"));
        format!(
            "('{id}', '{{\"MetaData\": {{\"LastUpdatedTime\": \"{said}\"}}}}', now(), '2024-01-01Z', '2024-01-02Z', 1, 1, '{{}}', \
             {at}, 0, now(), '')"
        )
    });
    let before = format!(
        "SET search_path TO raw;
         ALTER TABLE qb_invoices DROP COLUMN source_updated_on CASCADE;
         CREATE VIEW v_qb_invoices_live AS SELECT * FROM qb_invoices WHERE gone_found_at_utc IS NULL;
         INSERT INTO qb_invoices VALUES {}",
        values.join(", ")
    );
    owner.batch_execute(&before).await.unwrap();
    let told: Vec<String> = store.check().await.unwrap().iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|one| one.starts_with("qb_invoices.source_updated_on: expected")), "{told:?}");
    store.migrate().await.unwrap();
    assert_eq!(store.check().await.unwrap(), []);
    let days =
        "SELECT string_agg(id || ' ' || source_updated_on, ', ' ORDER BY id) FROM raw.v_qb_invoices_live";
    let days: String = owner.query_one(days, &[]).await.unwrap().get(0);
    assert_eq!(days, "1 2024-02-29, 2 2024-02-28");
}

/// A view of live records that somebody has changed stays as it is, and so do the options of one that nobody has.
#[tokio::test]
async fn a_view_of_live_records_that_is_somebodys_own_outlives_the_upgrade() {
    let database = database().await;
    let store = store(&database).await;
    let owner = connection(&database).await;
    let before = "SET search_path TO raw;
        DELETE FROM schema_version WHERE version = 22;
        ALTER TABLE qb_invoices DROP COLUMN source_updated_on CASCADE;
        ALTER TABLE qb_customers DROP COLUMN source_updated_on CASCADE;
        ALTER TABLE qb_items DROP COLUMN source_updated_on CASCADE;
        CREATE VIEW v_qb_invoices_live AS SELECT *, payload ->> 'DocNumber' AS number FROM qb_invoices
            WHERE gone_found_at_utc IS NULL;
        CREATE VIEW v_qb_customers_live AS SELECT id FROM qb_customers WHERE gone_found_at_utc IS NULL;
        CREATE VIEW v_qb_items_live WITH (security_barrier = true) AS SELECT * FROM qb_items WHERE gone_found_at_utc IS NULL;
        CREATE VIEW of_mine AS SELECT id FROM v_qb_items_live";
    owner.batch_execute(before).await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(store.check().await.unwrap(), []);
    let columns = "SELECT string_agg(relname || ' ' || coalesce(reloptions::text, '') || ' ' ||
            (SELECT max(attname::text) FILTER (WHERE attname IN ('number', 'source_updated_on')) FROM pg_attribute WHERE attrelid = class.oid),
            '; ' ORDER BY relname)
        FROM pg_class AS class WHERE relname IN ('v_qb_invoices_live', 'v_qb_items_live')";
    let columns: String = owner.query_one(columns, &[]).await.unwrap().get(0);
    assert_eq!(
        columns,
        "v_qb_invoices_live  number; v_qb_items_live {security_barrier=true} source_updated_on"
    );
    owner.batch_execute("SELECT id FROM raw.of_mine").await.unwrap();
}

#[tokio::test]
async fn schemas_of_other_names_stand_side_by_side() {
    let database = database().await;
    // One name is a word of SQL.
    for (name, rows) in [("acme_2024", 1), ("user", 2)] {
        let schema: SchemaName = name.parse().unwrap();
        let store = PgStore::connect(options(&database), schema).await.unwrap();
        store.migrate().await.unwrap();
        let work = Work::begin(&store).await;
        let mut other = work.page(1, (0..rows).map(|n| row(&n.to_string(), "{}")).collect());
        other.pipeline.table = "qb_vendors".parse().unwrap();
        store.prepare(&other.pipeline).await.unwrap();
        store.commit_page(&other).await.unwrap();
        assert_eq!(store.count_rows(&other.pipeline).await.unwrap(), rows);
        assert_eq!(store.check().await.unwrap(), []);
    }
    assert_eq!(bare_store(&database).await.schema_status().await.unwrap().found, None);
}

#[tokio::test]
async fn a_schema_of_another_version_is_refused() {
    let database = database().await;
    let bare = bare_store(&database).await;
    let error = bare.identity().await.unwrap_err();
    assert_eq!(error.to_string(), "reading the schema's company: schema raw is not set up");
    assert!(matches!(&error.kind, StoreErrorKind::NotSetUp(schema) if **schema == *"raw"), "{error}");

    bare.migrate().await.unwrap();
    let owner = connection(&database).await;
    owner.batch_execute("INSERT INTO raw.schema_version (version, name) VALUES (99, 'later')").await.unwrap();
    let newer = bare_store(&database).await;
    let error = newer.lines(&LogFilter::default()).await.unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::Newer { found: 99, known: 22 }), "{error}");
    assert!(matches!(newer.migrate().await.unwrap_err().kind, StoreErrorKind::Newer { .. }));

    owner.batch_execute("UPDATE raw.schema_version SET version = version - 99").await.unwrap();
    owner.batch_execute("DELETE FROM raw.schema_version WHERE version < 0").await.unwrap();
    let older = bare_store(&database).await;
    let error = older.runs(1).await.unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::Older { found: 0, wanted: 22 }), "{error}");
    older.migrate().await.unwrap();
    assert!(older.runs(1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_schema_changed_by_hand_is_told_point_by_point() {
    let database = database().await;
    let store = store(&database).await;
    let owner = connection(&database).await;
    owner
        .batch_execute(
            "SET search_path TO raw;
             ALTER TABLE qb_invoices DROP COLUMN page_size CASCADE, ADD COLUMN note text, ADD COLUMN must text NOT NULL;
             DROP VIEW v_qb_items_live;
             ALTER TABLE qb_items ALTER COLUMN payload TYPE text;
             ALTER TABLE qb_customers DROP CONSTRAINT qb_customers_pkey;
             ALTER TABLE backfill_log ALTER COLUMN attempts DROP NOT NULL;
             DROP TABLE quarantine;
             SELECT create_raw_table('qb_vendors');
             ALTER TABLE qb_vendors DROP COLUMN payload_digest CASCADE;",
        )
        .await
        .unwrap();
    let told: Vec<String> = store.check().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "backfill_log.attempts: expected integer not null, found integer",
            "qb_customers: expected primary key (id), found keys ()",
            "qb_invoices.must: expected a default, or null, found neither",
            "qb_invoices.page_size: expected integer not null, found nothing",
            "qb_items.payload: expected jsonb not null, found text not null",
            "qb_vendors.payload_digest: expected bytea not null, found nothing",
            "quarantine: expected a table, found nothing",
            "v_qb_invoices_live: expected a view, found nothing",
            "v_qb_items_live: expected a view, found nothing",
        ],
    );
    let work = Work::begin(&store).await;
    let error = store.commit_page(&work.page(1, vec![row("1", "{}")])).await.unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::Differs(_)), "{error}");

    store.migrate().await.unwrap();
    assert!(
        store.check().await.unwrap().iter().all(|found| &*found.table != "quarantine"),
        "the table is back"
    );
}

#[tokio::test]
async fn the_ledger_is_no_place_for_documents() {
    let database = database().await;
    let store = store(&database).await;
    let mut pipeline = pipeline();
    pipeline.table = "backfill_log".parse().unwrap();
    assert_eq!(store.prepare(&pipeline).await.unwrap_err().advice(), Advice::FixRequest);
}

#[tokio::test]
async fn a_missing_right_is_told_from_a_missing_schema() {
    let database = database().await;
    store(&database).await;
    let owner = connection(&database).await;
    let role = format!("reader_{}", database.name());
    owner.batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'fake-1'")).await.unwrap();
    let options = || {
        let options = DatabaseOptions::new("127.0.0.1", database.port(), database.name(), &role);
        options.with_password("fake-1")
    };
    let store = PgStore::connect(options(), SchemaName::default()).await.unwrap();
    let identity = StoreIdentity { realm_id: "1".into(), environment: "sandbox".into() };
    let error = store.bind(&identity).await.unwrap_err();
    assert!(matches!(&error.kind, StoreErrorKind::Forbidden(what) if **what == *"schema raw"), "{error}");

    let grant =
        format!("GRANT USAGE ON SCHEMA raw TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA raw TO {role}");
    owner.batch_execute(&grant).await.unwrap();
    let error = store.bind(&identity).await.unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::Forbidden(_)), "{error}");
    assert_eq!(store.check().await.unwrap(), [], "looking needs no right to write");
    let missing = PgStore::connect(options(), "elsewhere".parse().unwrap()).await.unwrap();
    assert!(matches!(missing.bind(&identity).await.unwrap_err().kind, StoreErrorKind::NotSetUp(_)));
    assert!(matches!(missing.migrate().await.unwrap_err().kind, StoreErrorKind::Forbidden(_)));
}

#[tokio::test]
async fn a_login_that_cannot_succeed_says_why() {
    let database = database().await;
    let at = |host: &str, port, name: &str| DatabaseOptions::new(host, port, name, database.user());
    let port = database.port();

    let error = refusal(at("127.0.0.1", port, database.name()).with_password("fake-1")).await;
    assert!(matches!(&error.kind, StoreErrorKind::LoginRefused(code) if **code == *"28P01"), "{error}");
    let error = refusal(at("127.0.0.1", port, database.name())).await;
    assert!(matches!(&error.kind, StoreErrorKind::LoginRefused(code) if **code == *"28P01"), "{error}");
    let error = refusal(at("127.0.0.1", port, "nowhere").with_password(database.password())).await;
    assert!(matches!(&error.kind, StoreErrorKind::LoginRefused(code) if **code == *"3D000"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_reachable() {
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    for host in ["127.0.0.1", "/nowhere"] {
        let error = refusal(DatabaseOptions::new(host, closed, "d", "a").with_password("fake-1")).await;
        assert!(matches!(error.kind, StoreErrorKind::Unavailable(_)), "{error}");
        assert_eq!(error.advice(), Advice::Retry);
    }
}

#[tokio::test]
async fn tls_that_is_asked_for_is_not_done_without() {
    let database = database().await;
    let url = format!(
        "postgres://{}@127.0.0.1:{}/{}?sslmode=require",
        database.user(),
        database.port(),
        database.name(),
    );
    let options: DatabaseOptions = url.parse().unwrap();
    let error = refusal(options.with_password(database.password())).await;
    assert_eq!(
        error.to_string(),
        "connecting to the database: no secure connection to the database (the server does not offer TLS)",
    );
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    let database = database().await;
    let owner = connection(&database).await;
    let name = format!("{}_ascii", database.name());
    let create = format!("CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0");
    owner.batch_execute(&create).await.unwrap();
    let options = DatabaseOptions::new("127.0.0.1", database.port(), &name, database.user());
    let error = refusal(options.with_password(database.password())).await;
    assert!(matches!(error.kind, StoreErrorKind::Differs(_)), "{error}");
}

/// What was dropped is named by a check, and comes back.
async fn comes_back(harm: &str, named: &str) {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    store.commit_page(&work.page(1, vec![row("1", "{}")])).await.unwrap();
    let owner = connection(&database).await;
    owner.batch_execute(&format!("SET search_path TO raw; {harm}")).await.unwrap();
    let found: Vec<String> = store.check().await.unwrap().iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|one| one.contains(named)), "{harm}: {found:?}");
    store.migrate().await.unwrap();
    assert_eq!(store.check().await.unwrap(), [], "{harm}");
    store.commit_page(&work.page(2, vec![row("2", "{}")])).await.unwrap();
    assert_eq!(store.count_rows(&pipeline()).await.unwrap(), 2);
}

#[tokio::test]
async fn whatever_a_run_needs_and_somebody_dropped_is_named_and_comes_back() {
    for (harm, named) in [
        ("DROP FUNCTION create_raw_table(text)", "create_raw_table: expected a function"),
        ("DROP FUNCTION grant_on_raw_table(text)", "grant_on_raw_table: expected a function"),
        ("DROP FUNCTION complete_raw_table(text)", "complete_raw_table: expected a function"),
        ("DROP VIEW v_qb_invoices_live", "v_qb_invoices_live: expected a view"),
        ("DROP VIEW v_backfill_daily", "v_backfill_daily: expected a view"),
        ("TRUNCATE call_budget", "call_budget: expected one line, found 0"),
        ("DROP INDEX backfill_lease_by_owner", "index backfill_lease_by_owner"),
        ("ALTER TABLE call_budget DROP CONSTRAINT call_budget_pkey", "call_budget: expected primary key"),
        (
            "ALTER TABLE schema_version DROP CONSTRAINT schema_version_pkey",
            "schema_version: expected primary key",
        ),
        ("ALTER TABLE backfill_run DROP CONSTRAINT backfill_run_pkey CASCADE", "backfill_log_run_id_fkey"),
        ("ALTER TABLE backfill_log DROP COLUMN records_read CASCADE", "backfill_log.records_read"),
        ("ALTER TABLE backfill_log DROP COLUMN page_number", "backfill_log.page_number"),
        ("ALTER TABLE backfill_log DROP COLUMN all_fields", "backfill_log.all_fields"),
        ("ALTER TABLE backfill_lease DROP COLUMN lease_until_utc", "backfill_lease.lease_until_utc"),
        ("DROP TABLE call_slot, call_month", "call_slot: expected a table"),
    ] {
        comes_back(harm, named).await;
    }
}

#[tokio::test]
async fn every_guard_of_a_fresh_schema_is_named_once_it_is_gone_and_comes_back() {
    let database = database().await;
    let store = store(&database).await;
    let owner = connection(&database).await;
    let guards = owner
        .query(
            "SELECT class.relname::text, constraint_.conname::text
             FROM pg_constraint AS constraint_ JOIN pg_class AS class ON class.oid = constraint_.conrelid
             WHERE class.relnamespace = 'raw'::regnamespace AND constraint_.contype IN ('p', 'u', 'c', 'f')
               AND class.relname NOT LIKE 'qb\\_%'",
            &[],
        )
        .await
        .unwrap();
    assert!(guards.len() >= 44, "{}", guards.len());
    for guard in guards {
        let (table, name): (String, String) = (guard.get(0), guard.get(1));
        let gone = format!("ALTER TABLE raw.{table} DROP CONSTRAINT {name} CASCADE");
        owner.batch_execute(&gone).await.unwrap();
        let found = store.check().await.unwrap();
        assert!(found.iter().any(|one| *one.table == *table), "{name}: {found:?}");
        store.migrate().await.unwrap();
        assert_eq!(store.check().await.unwrap(), [], "{name}");
    }
}

#[tokio::test]
async fn a_run_goes_on_where_the_budget_was_emptied_and_is_told_what_helps_where_a_function_is_gone() {
    let database = database().await;
    let store = store(&database).await;
    let owner = connection(&database).await;
    owner.batch_execute("TRUNCATE raw.call_budget; DROP FUNCTION raw.create_raw_table(text)").await.unwrap();
    let limits = raw_store::contract::USUAL_LIMITS;
    let admitted = raw_store::CallLedger::admit(&store, &limits, std::time::Duration::from_millis(250)).await;
    assert!(matches!(admitted.unwrap(), raw_store::CallAdmission::Go { .. }));
    let other = raw_store::Pipeline { table: "qb_others".parse().unwrap(), ..pipeline() };
    let error = store.prepare(&other).await.unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::Differs(_)), "{error}");
    store.migrate().await.unwrap();
    store.prepare(&other).await.unwrap();
}
