//! The bytes of a vault that several hosts share.

#![cfg(feature = "pg")]

use std::time::Duration;

use raw_store::{SchemaName, SealedRow, SealedRowLock, StoreErrorKind};

use crate::support::{connection, database, options, store};

/// Ends the session that holds the vault's lock, as a failover or an administrator does.
const CUT_THE_HOLDER: &str = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND granted \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

#[tokio::test]
async fn bytes_replace_only_those_of_the_revision_they_were_made_from() {
    let database = database().await;
    let row = || SealedRow::new(&options(&database), SchemaName::default()).unwrap();
    let (one, other) = (row(), row());
    let error = one.read().await.unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::NotSetUp(_)), "{error}");

    store(&database).await;
    assert_eq!(one.read().await.unwrap(), None);
    assert!(one.create(b"first").await.unwrap());
    assert!(!other.create(b"second").await.unwrap());
    assert_eq!(other.read().await.unwrap(), Some((b"first".to_vec(), 1)));
    assert!(one.replace(1, b"third").await.unwrap());
    assert!(!other.replace(1, b"fourth").await.unwrap());
    assert_eq!(other.read().await.unwrap(), Some((b"third".to_vec(), 2)));
}

/// Waits for the server to notice that a connection is gone, which takes it a moment; not for ever.
async fn locked_within_a_moment(row: &SealedRow) -> SealedRowLock {
    let patience = Duration::from_secs(30);
    let waiting = async {
        loop {
            match row.try_lock().await.expect("ask for the lock") {
                Some(lock) => return lock,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(patience, waiting).await.expect("the lock never became free")
}

#[tokio::test]
async fn one_connection_holds_the_lock_until_it_goes() {
    let database = database().await;
    store(&database).await;
    let row = || SealedRow::new(&options(&database), SchemaName::default()).unwrap();
    let (one, other) = (row(), row());
    let held = one.try_lock().await.unwrap().unwrap();
    assert!(held.is_held().await);
    assert!(other.try_lock().await.unwrap().is_none());
    drop(held);
    let held = locked_within_a_moment(&other).await;

    // Cut from the other side: the holder finds out, and the next one gets the lock.
    connection(&database).await.execute(CUT_THE_HOLDER, &[]).await.unwrap();
    assert!(!held.is_held().await);
    assert!(locked_within_a_moment(&one).await.is_held().await);
}

#[tokio::test]
async fn whoever_waits_for_the_lock_keeps_one_connection() {
    let database = database().await;
    store(&database).await;
    let row = || SealedRow::new(&options(&database), SchemaName::default()).unwrap();
    let (one, other) = (row(), row());
    let _held = one.try_lock().await.unwrap().unwrap();
    let observer = connection(&database).await;
    let asked = "SELECT pid FROM pg_stat_activity \
                 WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()";
    let mut askers = std::collections::BTreeSet::new();
    for _ in 0..5 {
        assert!(other.try_lock().await.unwrap().is_none());
        askers.extend(observer.query(asked, &[]).await.unwrap().iter().map(|row| row.get::<_, i32>(0)));
    }
    assert_eq!(askers.len(), 2, "the holder and the one that waits");
}

#[tokio::test]
async fn a_written_vault_is_on_the_servers_disk_whatever_the_roles_default_is() {
    let database = database().await;
    store(&database).await;
    let owner = connection(&database).await;
    let name = database.name();
    owner
        .batch_execute(&format!(
            "ALTER DATABASE \"{name}\" SET synchronous_commit = off;
             CREATE TABLE raw.seen (how text);
             CREATE FUNCTION raw.look() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN INSERT INTO raw.seen VALUES (current_setting(''synchronous_commit'')); RETURN NEW; END';
             CREATE TRIGGER look AFTER INSERT OR UPDATE ON raw.sealed_vault FOR EACH ROW EXECUTE FUNCTION raw.look()"
        ))
        .await
        .unwrap();
    let row = SealedRow::new(&options(&database), SchemaName::default()).unwrap();
    assert!(row.create(b"first").await.unwrap());
    assert!(row.replace(1, b"second").await.unwrap());
    let seen = owner.query("SELECT how FROM raw.seen", &[]).await.unwrap();
    assert_eq!(seen.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>(), ["on", "on"]);
}
