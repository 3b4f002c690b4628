//! Leases live as long as their process.

#![cfg(feature = "pg")]

use std::time::Duration;

use raw_store::{Leases, MemoryStore, PgStore, Pipeline, SchemaName, StoreErrorKind, Tables};

use crate::support::{connection, database, options, pipeline, store};

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

/// Tasks of one process that ask at once for what nobody has had yet: one has it, and the others are told so.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_tasks_of_one_process_one_has_a_new_pipeline() {
    let database = database().await;
    let store = store(&database).await;
    for round in 0..20 {
        let pipeline = Pipeline { entity_name: format!("entity_{round}").into(), ..pipeline() };
        let tries = (0..4).map(|_| store.acquire(&pipeline, "a task"));
        let (taken, refused): (Vec<_>, Vec<_>) =
            futures_util::future::join_all(tries).await.into_iter().partition(Result::is_ok);
        assert_eq!(taken.len(), 1);
        for error in refused.into_iter().map(Result::unwrap_err) {
            assert!(matches!(error.kind, StoreErrorKind::LeaseHeld { .. }), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_first_owners_one_has_it_and_the_others_are_told() {
    let database = database().await;
    let mut stores = Vec::new();
    for _ in 0..6 {
        stores.push(std::sync::Arc::new(store(&database).await));
    }
    for round in 0..40 {
        let pipeline = Pipeline { entity_name: format!("entity_{round}").into(), ..pipeline() };
        let tries = stores.iter().map(|store| {
            let (store, pipeline) = (std::sync::Arc::clone(store), pipeline.clone());
            tokio::spawn(async move { store.acquire(&pipeline, "one of many").await })
        });
        let mut taken = 0;
        for tried in futures_util::future::join_all(tries).await {
            match tried.unwrap() {
                Ok(lease) => taken += lease.epoch,
                Err(error) => assert!(matches!(error.kind, StoreErrorKind::LeaseHeld { .. }), "{error}"),
            }
        }
        assert_eq!(taken, 1);
    }
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

/// A store whose leases last so long without a heartbeat.
async fn store_with(database: &fixtures::TempDatabase, lease_time: Duration) -> PgStore {
    store(database).await;
    let options = options(database).with_lease_time(lease_time);
    PgStore::connect(options, SchemaName::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_keep_a_lease_beyond_its_time() {
    let database = database().await;
    let holder = store_with(&database, Duration::from_secs(1)).await;
    let heir = store(&database).await;
    let lease = holder.acquire(&pipeline(), "the holder").await.unwrap();
    let observer = connection(&database).await;
    let kept = "SELECT lease_until_utc > taken_at_utc + interval '2.5 seconds' FROM raw.backfill_lease";
    while !observer.query_one(kept, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(heir.acquire(&pipeline(), "the heir").await.is_err());
    }
    holder.release(&lease).await.unwrap();
    heir.acquire(&pipeline(), "the heir").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_overtaken_is_told_by_its_next_heartbeat() {
    let database = database().await;
    let holder = store_with(&database, Duration::from_secs(1)).await;
    let heir = store(&database).await;
    let lease = holder.acquire(&pipeline(), "the holder").await.unwrap();
    let observer = connection(&database).await;
    let past = "UPDATE raw.backfill_lease SET lease_until_utc = clock_timestamp() - interval '1 second'";
    // A heartbeat may come in between.
    let taken = loop {
        observer.execute(past, &[]).await.unwrap();
        if let Ok(taken) = heir.acquire(&pipeline(), "the heir").await {
            break taken;
        }
    };
    let lost = holder.lost(&lease).await;
    assert!(matches!(&lost.kind, StoreErrorKind::LeaseLost(name) if **name == *"invoices"), "{lost}");
    assert!(taken.epoch > lease.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_cut_off_gives_up_before_its_lease_is_given_away() {
    let database = database().await;
    let holder = store_with(&database, Duration::from_secs(2)).await;
    let lease = holder.acquire(&pipeline(), "the holder").await.unwrap();
    let observer = crate::support::connection(&database).await;
    // Nobody is let in any more, and what is there is cut.
    let (admin, connection) =
        database.config().dbname("postgres").connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    admin
        .batch_execute(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", database.name()))
        .await
        .unwrap();
    let until = "SELECT lease_until_utc FROM raw.backfill_lease";
    let until: time::OffsetDateTime = observer.query_one(until, &[]).await.unwrap().get(0);
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    observer.execute(others, &[]).await.unwrap();
    let lost = holder.lost(&lease).await;
    assert!(matches!(lost.kind, StoreErrorKind::LeaseLost(_)), "{lost}");
    let in_time = observer.query_one("SELECT clock_timestamp() < $1", &[&until]).await.unwrap();
    assert!(in_time.get::<_, bool>(0), "it was still its own");
}

#[tokio::test]
async fn pages_under_way_hold_up_a_new_owner_and_no_heartbeat() {
    let database = database().await;
    let holder = store(&database).await;
    holder.acquire(&pipeline(), "the holder").await.unwrap();
    let page = connection(&database).await;
    page.batch_execute("BEGIN; SELECT FROM raw.backfill_lease WHERE epoch = 1 FOR KEY SHARE").await.unwrap();
    let other = connection(&database).await;
    other.batch_execute("SET lock_timeout = '100ms'").await.unwrap();
    let beat = "UPDATE raw.backfill_lease SET lease_until_utc = clock_timestamp()";
    other.batch_execute(beat).await.unwrap();
    other.batch_execute("SELECT FROM raw.backfill_lease WHERE epoch = 1 FOR KEY SHARE").await.unwrap();
    let new_owner = "UPDATE raw.backfill_lease SET epoch = epoch + 1";
    let error = other.batch_execute(new_owner).await.unwrap_err();
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("55P03"));
    page.batch_execute("COMMIT").await.unwrap();
    other.batch_execute(new_owner).await.unwrap();
}

/// The server's clock was set back while somebody is frozen: whoever asks in vain puts the lease right.
#[tokio::test]
async fn a_lease_never_lies_further_ahead_than_a_lease_lasts() {
    let database = database().await;
    let (frozen, other) = (store(&database).await, store(&database).await);
    frozen.acquire(&pipeline(), "the frozen").await.unwrap();
    let observer = connection(&database).await;
    let later = "UPDATE raw.backfill_lease SET lease_until_utc = lease_until_utc + interval '3 hours'";
    assert_eq!(observer.execute(later, &[]).await.unwrap(), 1);
    let error = other.acquire(&pipeline(), "the other").await.unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::LeaseHeld { .. }), "{error}");
    let left = "SELECT lease_until_utc <= clock_timestamp() + interval '1 minute' FROM raw.backfill_lease";
    assert!(observer.query_one(left, &[]).await.unwrap().get::<_, bool>(0));
}
