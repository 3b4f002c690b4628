//! Leases live as long as their process.

#![cfg(feature = "pg")]

mod support;

use raw_store::{MemoryStore, RawStore, StoreErrorKind};
use support::{connection, database, pipeline, store};

#[tokio::test]
async fn a_holder_whose_connection_is_killed_is_free_for_others_and_can_come_back() {
    let database = database().await;
    let (dying, heir) = (store(&database).await, store(&database).await);
    let lost = dying.acquire(&pipeline(), "the dying").await.unwrap();
    assert!(heir.acquire(&pipeline(), "the heir").await.is_err());

    let observer = connection(&database).await;
    let kill = "SELECT pg_terminate_backend(backend_pid, 10000) FROM raw.backfill_lease";
    assert!(observer.query_one(kill, &[]).await.unwrap().get::<_, bool>(0));
    let taken = heir.acquire(&pipeline(), "the heir").await.unwrap();
    assert_eq!(taken.epoch, lost.epoch + 1);

    let error = dying.acquire(&pipeline(), "the dying").await.unwrap_err();
    assert!(
        matches!(&error.kind, StoreErrorKind::LeaseHeld { holder, .. } if **holder == *"the heir"),
        "{error}"
    );
    heir.release(&taken).await.unwrap();
    assert_eq!(dying.acquire(&pipeline(), "the dying").await.unwrap().epoch, taken.epoch + 1);
}

#[tokio::test]
async fn a_store_that_is_dropped_gives_up_its_leases() {
    let database = database().await;
    let (dying, heir) = (store(&database).await, store(&database).await);
    let lost = dying.acquire(&pipeline(), "the dying").await.unwrap();
    drop(dying);
    let taken = loop {
        match heir.acquire(&pipeline(), "the heir").await {
            Ok(lease) => break lease,
            Err(error) => assert!(matches!(error.kind, StoreErrorKind::LeaseHeld { .. }), "{error}"),
        }
    };
    assert_eq!(taken.epoch, lost.epoch + 1);
}

#[tokio::test]
async fn a_holder_of_another_role_is_seen_to_live() {
    let database = database().await;
    let holder = store(&database).await;
    let lease = holder.acquire(&pipeline(), "the holder").await.unwrap();
    let owner = connection(&database).await;
    let role = format!("loader_{}", database.name());
    owner
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'fake-1';
             GRANT USAGE ON SCHEMA raw TO {role};
             GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA raw TO {role}"
        ))
        .await
        .unwrap();
    let options = raw_store::DatabaseOptions::new("127.0.0.1", database.port(), database.name(), &role);
    let other =
        raw_store::PgStore::connect(options.with_password("fake-1"), raw_store::SchemaName::default());
    let other = other.await.unwrap();
    assert!(other.acquire(&pipeline(), "the other").await.is_err());
    other.prepare(&pipeline()).await.expect("a table that is there needs no right to create");
    holder.release(&lease).await.unwrap();
    other.acquire(&pipeline(), "the other").await.unwrap();
}

#[tokio::test]
async fn a_memory_store_that_is_dropped_gives_up_its_leases() {
    let heir = MemoryStore::new();
    let dying = heir.another_process();
    dying.acquire(&pipeline(), "the dying").await.unwrap();
    assert!(heir.acquire(&pipeline(), "the heir").await.is_err());
    drop(dying);
    assert_eq!(heir.acquire(&pipeline(), "the heir").await.unwrap().epoch, 2);
}
