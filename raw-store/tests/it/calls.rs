//! Many processes at once ask for calls, and some of them die.

#![cfg(feature = "pg")]

use std::time::Duration;

use futures_util::future::join_all;
use raw_store::contract::USUAL_LIMITS;
use raw_store::{CallAdmission, CallEnd, CallLedger, CallLimits, PgStore, StoreErrorKind};

use crate::support::{connection, database, store};

const LIMITS: CallLimits = CallLimits { per_minute: 40, per_second: 40, in_flight: 1000, ..USUAL_LIMITS };

/// How long calls count as under way.
const LEFT: &str =
    "SELECT extract(epoch FROM max(in_flight_until_utc) - clock_timestamp())::float8 FROM raw.call_slot";

async fn ask(store: &PgStore, limits: &CallLimits) -> CallAdmission {
    store.admit(limits, Duration::from_millis(250)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_ask_at_once_exactly_the_limit_is_let_in() {
    let database = database().await;
    let stores = join_all((0..6).map(|_| store(&database))).await;
    let asking = stores.iter().flat_map(|store| (0..12).map(move |_| ask(store, &LIMITS)));
    let let_in = join_all(asking).await.into_iter();
    assert_eq!(let_in.filter(|answer| matches!(answer, CallAdmission::Go { .. })).count(), 40);
    let used = stores[0].month().await.unwrap().used;
    assert_eq!(used, 40);
}

#[tokio::test]
async fn places_of_a_process_that_died_are_free_ten_seconds_later() {
    let database = database().await;
    let (dying, heir) = (store(&database).await, store(&database).await);
    let limits = CallLimits { in_flight: 1, ..LIMITS };
    assert!(matches!(ask(&dying, &limits).await, CallAdmission::Go { .. }));
    assert!(matches!(ask(&heir, &limits).await, CallAdmission::Wait(_)));
    drop(dying);
    let observer = connection(&database).await;
    loop {
        assert!(matches!(ask(&heir, &limits).await, CallAdmission::Wait(_)));
        let left: f64 = observer.query_one(LEFT, &[]).await.unwrap().get(0);
        if left < 11.0 {
            assert!(left > 5.0, "{left}");
            return;
        }
    }
}

#[tokio::test]
async fn a_connection_that_was_cut_is_made_again() {
    let database = database().await;
    let store = store(&database).await;
    let CallAdmission::Go { slot, .. } = ask(&store, &LIMITS).await else {
        panic!("nothing stands against it")
    };
    let observer = connection(&database).await;
    let kill = "SELECT pg_terminate_backend(backend_pid, 10000) FROM raw.call_slot";
    assert!(observer.query_one(kill, &[]).await.unwrap().get::<_, bool>(0));
    while let Err(error) = store.conclude(&slot, CallEnd::Served).await {
        assert!(matches!(error.kind, StoreErrorKind::Unavailable(_)), "{error}");
    }
    assert!(matches!(ask(&store, &LIMITS).await, CallAdmission::Go { .. }));
}

#[tokio::test]
async fn calls_under_way_keep_their_places_when_the_connection_is_cut() {
    let database = database().await;
    let (cut, other) = (store(&database).await, store(&database).await);
    let limits = CallLimits { in_flight: 1, ..LIMITS };
    let CallAdmission::Go { slot, .. } = ask(&cut, &limits).await else {
        panic!("nothing stands against it")
    };
    let observer = connection(&database).await;
    let kill = "SELECT pg_terminate_backend(backend_pid, 10000) FROM raw.call_slot";
    assert!(observer.query_one(kill, &[]).await.unwrap().get::<_, bool>(0));
    // The other one buries them.
    assert!(matches!(ask(&other, &limits).await, CallAdmission::Wait(_)));
    // Nobody asks over the connection that was cut, and it comes back by itself.
    let adopted = "SELECT backend_pid IN (SELECT pid FROM pg_stat_activity) FROM raw.call_slot";
    while observer.query_one(adopted, &[]).await.unwrap().get::<_, Option<bool>>(0) != Some(true) {}
    let left: f64 = observer.query_one(LEFT, &[]).await.unwrap().get(0);
    assert!(left > 100.0, "{left}");
    cut.conclude(&slot, CallEnd::Served).await.unwrap();
    assert!(matches!(ask(&other, &limits).await, CallAdmission::Go { .. }));
}

#[tokio::test]
async fn a_clock_that_was_set_back_stops_nobody() {
    let database = database().await;
    let store = store(&database).await;
    let observer = connection(&database).await;
    let limits = CallLimits { per_second: 1, ..LIMITS };
    assert!(matches!(ask(&store, &limits).await, CallAdmission::Go { .. }));
    store.pause(&LIMITS, Duration::from_mins(1)).await.unwrap();
    // All times as they are an hour after the clock was set back by an hour.
    observer
        .batch_execute(
            "UPDATE raw.call_slot SET arrived_by_utc = arrived_by_utc + interval '1 hour',
                in_flight_until_utc = in_flight_until_utc + interval '1 hour';
            UPDATE raw.call_budget SET paused_until_utc = paused_until_utc + interval '1 hour',
                refused_at_utc = refused_at_utc + interval '1 hour'",
        )
        .await
        .unwrap();
    let CallAdmission::Wait(time) = ask(&store, &limits).await else { panic!("it is paused") };
    assert!((55..=60).contains(&time.as_secs()), "{time:?}");
    let left: f64 = observer.query_one(LEFT, &[]).await.unwrap().get(0);
    assert!(left < 141.0, "{left}");
}

/// The very first answer after the clock was set back is what the mended times say.
#[tokio::test]
async fn nobody_waits_for_as_long_as_a_clock_was_set_back_by() {
    let database = database().await;
    let store = store(&database).await;
    let observer = connection(&database).await;
    let limits = CallLimits { per_second: 1, ..LIMITS };
    for harm in [
        "UPDATE raw.call_slot SET arrived_by_utc = arrived_by_utc + interval '3 hours',
            in_flight_until_utc = in_flight_until_utc + interval '3 hours'",
        "UPDATE raw.call_budget SET down_until_utc = clock_timestamp() + interval '3 hours'",
        "UPDATE raw.call_budget SET paused_until_utc = clock_timestamp() + interval '3 hours'",
    ] {
        let first = ask(&store, &limits).await;
        assert!(matches!(first, CallAdmission::Go { .. } | CallAdmission::Wait(_)));
        observer.batch_execute(harm).await.unwrap();
        match ask(&store, &limits).await {
            CallAdmission::Go { .. } => {}
            CallAdmission::Wait(time) => assert!(time <= Duration::from_secs(95), "{harm}: {time:?}"),
            other @ CallAdmission::UsedUp { .. } => panic!("{other:?}"),
        }
        observer.batch_execute("TRUNCATE raw.call_slot; TRUNCATE raw.call_budget").await.unwrap();
    }
    // A refusal before anybody asked for a call.
    store.pause(&LIMITS, Duration::from_mins(1)).await.unwrap();
    observer
        .batch_execute(
            "UPDATE raw.call_budget SET paused_until_utc = paused_until_utc + interval '3 hours',
                refused_at_utc = refused_at_utc + interval '3 hours'",
        )
        .await
        .unwrap();
    store.pause(&LIMITS, Duration::from_mins(1)).await.unwrap();
    let CallAdmission::Wait(time) = ask(&store, &limits).await else { panic!("it is paused") };
    assert!(time <= Duration::from_mins(1), "{time:?}");
}

#[tokio::test]
async fn a_source_is_noted_as_down_also_after_the_clock_was_set_back() {
    let database = database().await;
    let store = store(&database).await;
    let CallAdmission::Go { slot, .. } = ask(&store, &LIMITS).await else {
        panic!("nothing stands against it")
    };
    store.conclude(&slot, CallEnd::Served).await.unwrap();
    let observer = connection(&database).await;
    let later = "UPDATE raw.call_slot SET served_at_utc = served_at_utc + interval '3 hours'";
    observer.batch_execute(later).await.unwrap();
    store.failing(Duration::from_secs(30)).await.unwrap();
    assert!(matches!(ask(&store, &LIMITS).await, CallAdmission::Wait(_)));
}
