//! Contract cases: processes share the limits, the pauses and the monthly allowance of API calls.

use std::time::Duration;

use crate::{CallAdmission, CallEnd, CallLedger, CallLimits, CallSlot, StoreError};

/// Limits as a source may have them, for tests.
pub const USUAL_LIMITS: CallLimits = CallLimits {
    per_minute: 500,
    per_second: 10,
    in_flight: 10,
    per_month: None,
    arrival_slack: Duration::from_millis(250),
    share_after_refusal: 0.5,
    share_gain_per_minute: 0.05,
    least_share: 0.05,
    refusals_apart: Duration::from_mins(20),
    counted_silence: Duration::from_mins(5),
    probe_interval: Duration::from_secs(30),
};

/// More than any case needs.
const PLENTY: CallLimits = CallLimits { per_second: 100, in_flight: 50, ..USUAL_LIMITS };

/// How long after its admission a call leaves.
const GOOD_FOR: Duration = Duration::from_millis(250);

async fn go(ledger: &dyn CallLedger, limits: &CallLimits) -> Result<CallSlot, StoreError> {
    match ledger.admit(limits, GOOD_FOR).await? {
        CallAdmission::Go { slot, .. } => Ok(slot),
        other => panic!("a call is refused: {other:?}"),
    }
}

async fn wait(ledger: &dyn CallLedger, limits: &CallLimits) -> Result<Duration, StoreError> {
    match ledger.admit(limits, GOOD_FOR).await? {
        CallAdmission::Wait(time) => Ok(time),
        other => panic!("a call does not wait: {other:?}"),
    }
}

/// Calls of one process count for the other; a call that was never made does not count.
pub async fn a_minute_is_shared(store: &dyn CallLedger, other: &dyn CallLedger) -> Result<(), StoreError> {
    let limits = CallLimits { per_minute: 3, ..PLENTY };
    let first = go(store, &limits).await?;
    let second = go(other, &limits).await?;
    let third = go(store, &limits).await?;
    store.conclude(&first, CallEnd::Served).await?;
    other.conclude(&second, CallEnd::Failed).await?;
    for ledger in [store, other] {
        let time = wait(ledger, &limits).await?;
        assert!((50..=60).contains(&time.as_secs()), "{time:?}");
    }
    store.conclude(&third, CallEnd::Unsent).await?;
    go(other, &limits).await?;
    wait(store, &limits).await?;
    Ok(())
}

/// A call is in flight until it is answered, and an abandoned one a little longer.
pub async fn calls_under_way_are_shared(
    store: &dyn CallLedger,
    other: &dyn CallLedger,
) -> Result<(), StoreError> {
    let limits = CallLimits { in_flight: 2, ..PLENTY };
    let first = go(store, &limits).await?;
    let second = go(other, &limits).await?;
    wait(store, &limits).await?;
    wait(other, &limits).await?;
    other.conclude(&second, CallEnd::Served).await?;
    other.conclude(&second, CallEnd::Served).await?;
    let third = go(store, &limits).await?;
    wait(other, &limits).await?;
    store.conclude(&first, CallEnd::Abandoned).await?;
    wait(other, &limits).await?;
    store.conclude(&third, CallEnd::Failed).await?;
    go(other, &limits).await?;
    Ok(())
}

/// A refusal holds back all processes, is never shortened, and leaves half the rate.
pub async fn a_refusal_is_for_all(store: &dyn CallLedger, other: &dyn CallLedger) -> Result<(), StoreError> {
    let limits = CallLimits { per_minute: 4, ..PLENTY };
    assert_eq!(store.pause(&limits, Duration::ZERO).await?, Duration::ZERO);
    go(other, &limits).await?;
    let served = go(store, &limits).await?;
    wait(other, &limits).await?;

    let refused = store.pause(&limits, Duration::from_mins(15)).await?;
    assert!(refused > Duration::ZERO && refused < Duration::from_mins(1), "{refused:?}");
    other.pause(&limits, Duration::from_mins(1)).await?;
    for ledger in [store, other] {
        let time = wait(ledger, &PLENTY).await?;
        assert!((840..=900).contains(&time.as_secs()), "{time:?}");
    }
    store.conclude(&served, CallEnd::Served).await?;
    assert_eq!(other.pause(&limits, Duration::ZERO).await?, Duration::ZERO, "a success ends the count");
    Ok(())
}

/// A source that is down is probed by one call at a time, over all processes, until a call is served. A caller that fails while
/// others are served holds back none of them.
pub async fn a_source_that_is_down_is_tried_by_one(
    store: &dyn CallLedger,
    other: &dyn CallLedger,
) -> Result<(), StoreError> {
    let apart = Duration::from_secs(30);
    let first = go(store, &PLENTY).await?;
    store.conclude(&first, CallEnd::Failed).await?;
    store.failing(Duration::ZERO).await?;
    // The interval is over, and one call may try.
    let probe = go(other, &PLENTY).await?;
    for ledger in [store, other] {
        let time = wait(ledger, &PLENTY).await?;
        assert!((25..=30).contains(&time.as_secs()), "{time:?}");
    }
    other.conclude(&probe, CallEnd::Failed).await?;
    store.failing(apart).await?;
    let time = wait(other, &PLENTY).await?;
    assert!((25..=30).contains(&time.as_secs()), "{time:?}");
    other.conclude(&probe, CallEnd::Served).await?;
    let served = go(store, &PLENTY).await?;
    store.conclude(&served, CallEnd::Served).await?;
    other.failing(apart).await?;
    go(other, &PLENTY).await?;
    Ok(())
}

/// A month has a limited number of served calls; a call that was not served does not count.
pub async fn a_month_is_shared(store: &dyn CallLedger, other: &dyn CallLedger) -> Result<(), StoreError> {
    let limits = CallLimits { per_month: Some(3), ..PLENTY };
    let month = store.month().await?;
    assert_eq!((month.used, month.until.day(), month.until.to_hms()), (0, 1, (0, 0, 0)));
    for end in [CallEnd::Served, CallEnd::Failed, CallEnd::Unsent, CallEnd::Abandoned] {
        let slot = go(store, &limits).await?;
        store.conclude(&slot, end).await?;
    }
    assert_eq!(other.month().await?.used, 2, "nobody knows that an abandoned call was not served");
    go(other, &limits).await?;
    let until = month.until;
    assert_eq!(store.admit(&limits, GOOD_FOR).await?, CallAdmission::UsedUp { until });
    let more = CallLimits { per_month: Some(4), ..limits };
    assert!(matches!(store.admit(&more, GOOD_FOR).await?, CallAdmission::Go { used: 4, .. }));
    Ok(())
}
