//! The database behind a pooler: one that drops what is said at the login changes nothing, and one that hands sessions to
//! others is refused.

#![cfg(feature = "pg")]

use fixtures::{Pooler, Pooling, Settings, TempDatabase};
use raw_store::{
    Advice, DatabaseOptions, PageSink as _, PgStore, SchemaName, SealedRow, StoreErrorKind, WindowState,
};

use crate::support::{Work, bare_store, connection, database, options, row};

async fn pooler(database: &TempDatabase, pooling: Pooling, settings: Settings) -> (Pooler, DatabaseOptions) {
    let direct = options(database);
    let pooler = Pooler::start(direct.port(), pooling, settings).await.unwrap();
    let through = DatabaseOptions::new("127.0.0.1", pooler.port(), direct.database(), direct.user());
    (pooler, through.with_password(database.password()))
}

#[tokio::test]
async fn a_pooler_that_drops_or_refuses_settings_changes_nothing() {
    for settings in [Settings::Dropped, Settings::Refused] {
        let database = database().await;
        // What a database says for all of its sessions is another schema, and commits that are not waited for.
        bare_store(&database).await.migrate().await.unwrap();
        let owner = connection(&database).await;
        let defaults =
            ["search_path = raw", "synchronous_commit = off", "default_transaction_isolation = serializable"];
        for default in defaults {
            let set = format!(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {default}', current_database()); END $$"
            );
            owner.batch_execute(&set).await.unwrap();
        }
        let (_pooler, through) = pooler(&database, Pooling::Session, settings).await;
        let acme: SchemaName = "acme".parse().unwrap();
        let store = PgStore::connect(through, acme).await.unwrap();
        store.migrate().await.unwrap();
        owner
            .batch_execute(
                "CREATE TABLE public.said (setting text);
                 CREATE FUNCTION public.say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    INSERT INTO public.said SELECT current_setting(name) FROM unnest(ARRAY['synchronous_commit',
                        'statement_timeout', 'lock_timeout', 'transaction_isolation', 'search_path']) AS name;
                    RETURN NULL; END $$;
                 CREATE TRIGGER say AFTER INSERT ON acme.backfill_page FOR EACH ROW EXECUTE FUNCTION public.say()",
            )
            .await
            .unwrap();
        let work = Work::begin(&store).await;
        let mut page = work.page(1, vec![row("1", "{}")]);
        page.windows[0].state = WindowState::Completed;
        store.commit_page(&page).await.unwrap();
        let said = owner.query("SELECT setting FROM public.said", &[]).await.unwrap();
        let said: Vec<String> = said.iter().map(|row| row.get(0)).collect();
        assert_eq!(said[..4], ["on", "1min", "10s", "read committed"], "{settings:?}");
        assert!(said[4].starts_with("acme"), "{said:?}");
        let rows = "SELECT (SELECT count(*) FROM raw.qb_invoices), (SELECT count(*) FROM acme.qb_invoices)";
        let rows = owner.query_one(rows, &[]).await.unwrap();
        assert_eq!((rows.get::<_, i64>(0), rows.get::<_, i64>(1)), (0, 1), "{settings:?}");
    }
}

#[tokio::test]
async fn a_pooler_that_hands_sessions_to_others_is_refused_before_anything_is_written() {
    let database = database().await;
    bare_store(&database).await.migrate().await.unwrap();
    for settings in [Settings::Dropped, Settings::Refused] {
        let (_pooler, through) = pooler(&database, Pooling::Transaction, settings).await;
        // Also the second time, when what was said before still stands in the session that all share.
        for _ in 0..2 {
            let error = PgStore::connect(through.clone(), SchemaName::default()).await.unwrap_err();
            assert!(
                matches!(&error.kind, StoreErrorKind::Session(why) if why.contains("transaction pooling")),
                "{error}"
            );
            assert_eq!((error.advice(), error.code()), (Advice::FixDatabase, "store.session"));
        }
        let vault = SealedRow::new(&through, SchemaName::default()).unwrap();
        let error = vault.read().await.unwrap_err();
        assert!(matches!(error.kind, StoreErrorKind::Session(_)), "{error}");
    }
}

#[tokio::test]
async fn a_database_that_is_reached_directly_is_asked_over_one_connection() {
    let database = database().await;
    bare_store(&database).await.migrate().await.unwrap();
    let _store = bare_store(&database).await;
    let mine = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'qbo-backfill'";
    let observer = connection(&database).await;
    // The connection of the store that is gone may take a moment to go.
    while observer.query_one(mine, &[]).await.unwrap().get::<_, i64>(0) > 1 {}
}
