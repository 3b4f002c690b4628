//! One call budget for all processes of a company: adapts the ledger in the database to the client's `CallBudget`.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use failpoint::point;
use qbo_auth::Clock;
use qbo_client::{Admission, BudgetError, CallBudget, CallEnd, CallPermit, MonthlyCalls, RatePolicy};
use raw_store::{Advice, CallAdmission, CallLedger, CallLimits, CallSlot, StoreError};
use time::OffsetDateTime;

/// Shortest validity of a permit: an admitted call leaves at most this long after it was asked for, where the database answers
/// quickly. A longer validity costs a little of the rate, because a call counts until it must have arrived.
const SHORTEST: Duration = Duration::from_millis(250);

/// Longest validity of a permit, where the database answers slowly.
const LONGEST: Duration = Duration::from_secs(5);

/// The call budget that all processes of a company share through the database. It holds a weak reference, so it does not keep
/// the store alive.
#[derive(Debug)]
pub struct SharedBudget {
    ledger: Weak<dyn CallLedger>,
    limits: CallLimits,
    clock: Arc<dyn Clock>,
    good_for: Arc<Mutex<Duration>>,
}

/// The permit to send one request, backed by a call slot of the ledger.
#[derive(Debug)]
struct Permit {
    ledger: Weak<dyn CallLedger>,
    slot: Option<CallSlot>,
    month: Option<MonthlyCalls>,
    clock: Arc<dyn Clock>,
    asked: (Duration, OffsetDateTime),
    good_for: Duration,
    next_good_for: Arc<Mutex<Duration>>,
}

impl SharedBudget {
    /// Creates a budget by this policy and, if given, within `monthly_calls` calls a month.
    pub fn new(
        ledger: Weak<dyn CallLedger>,
        policy: &RatePolicy,
        monthly_calls: Option<u64>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let limits = limits(policy, monthly_calls);
        let good_for = Arc::new(Mutex::new(SHORTEST));
        Self { ledger, limits, clock, good_for }
    }
}

#[async_trait]
impl CallBudget for SharedBudget {
    async fn admit(&self) -> Result<Admission, BudgetError> {
        let ledger = self.ledger.upgrade().ok_or_else(gone)?;
        let good_for = *self.good_for.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = (self.clock.elapsed(), self.clock.now_utc());
        let admission = ledger.admit(&self.limits, good_for).await.map_err(unavailable)?;
        match admission {
            CallAdmission::Go { slot, used } => Ok(Admission::Go(Box::new(Permit {
                ledger: Weak::clone(&self.ledger),
                slot: Some(slot),
                month: self.limits.per_month.map(|allowance| MonthlyCalls { used, allowance }),
                clock: Arc::clone(&self.clock),
                asked,
                good_for,
                next_good_for: Arc::clone(&self.good_for),
            }))),
            CallAdmission::Wait(time) => Ok(Admission::Wait(time)),
            CallAdmission::UsedUp { until } => {
                Err(BudgetError::UsedUp { allowance: self.limits.per_month.unwrap_or_default(), until })
            }
        }
    }

    async fn throttled(&self, pause: Duration) -> Result<Duration, BudgetError> {
        let ledger = self.ledger.upgrade().ok_or_else(gone)?;
        ledger.pause(&self.limits, pause).await.map_err(unavailable)
    }

    async fn failing(&self, apart: Duration) {
        if let Some(ledger) = self.ledger.upgrade()
            && let Err(error) = ledger.failing(apart).await
        {
            // This process's breaker holds, and each other process finds out by itself.
            tracing::debug!(%error, "others could not be told that QuickBooks keeps failing");
        }
    }
}

#[async_trait]
impl CallPermit for Permit {
    /// Ages the permit by both of the host's clocks: one stands still while the host sleeps, the other can be set.
    fn leave(&mut self) -> bool {
        let (elapsed, wall) = self.asked;
        let wall = (self.clock.now_utc() - wall).try_into().unwrap_or_default();
        let age = self.clock.elapsed().saturating_sub(elapsed).max(wall);
        let good = age <= self.good_for;
        let next =
            if good { (age * 4).clamp(SHORTEST, self.good_for) } else { (self.good_for * 2).min(LONGEST) };
        *self.next_good_for.lock().unwrap_or_else(PoisonError::into_inner) = next;
        point!("call.leaves");
        good
    }

    fn month(&self) -> Option<MonthlyCalls> {
        self.month
    }

    async fn conclude(mut self: Box<Self>, end: CallEnd) {
        let end = match end {
            CallEnd::Unsent => raw_store::CallEnd::Unsent,
            CallEnd::Served => raw_store::CallEnd::Served,
            CallEnd::Failed => raw_store::CallEnd::Failed,
        };
        point!("call.answered");
        if let (Some(ledger), Some(slot)) = (self.ledger.upgrade(), self.slot.take()) {
            conclude(&*ledger, &slot, end).await;
        }
        point!("call.noted");
    }
}

/// Concludes the call as abandoned: the run was stopped while the request was in flight.
impl Drop for Permit {
    fn drop(&mut self) {
        if let (Some(ledger), Some(slot)) = (self.ledger.upgrade(), self.slot.take())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { conclude(&*ledger, &slot, raw_store::CallEnd::Abandoned).await });
        }
    }
}

/// Converts the client's policy to the ledger's limits: all of it, so that no number of the policy has a second place.
fn limits(policy: &RatePolicy, per_month: Option<u64>) -> CallLimits {
    let RatePolicy {
        per_minute,
        per_second,
        in_flight,
        arrival_slack,
        share_after_refusal,
        share_gain_per_minute,
        least_share,
        refusals_apart,
        counted_silence,
        probe_interval,
    } = *policy;
    CallLimits {
        per_minute,
        per_second,
        in_flight,
        per_month,
        arrival_slack,
        share_after_refusal,
        share_gain_per_minute,
        least_share,
        refusals_apart,
        counted_silence,
        probe_interval,
    }
}

async fn conclude(ledger: &dyn CallLedger, slot: &CallSlot, end: raw_store::CallEnd) {
    if let Err(error) = ledger.conclude(slot, end).await {
        // The slot becomes free by itself, and the month counts one call too many rather than one too few.
        tracing::debug!(%error, "the end of a call could not be noted");
    }
}

fn unavailable(error: StoreError) -> BudgetError {
    BudgetError::Unavailable { may_pass: error.advice() == Advice::Retry, source: Box::new(error) }
}

fn gone() -> BudgetError {
    BudgetError::Unavailable { may_pass: false, source: "the database is closed".into() }
}

#[cfg(test)]
mod tests {
    use qbo_auth::ManualClock;
    use qbo_client::Throttle;
    use raw_store::MemoryStore;
    use time::macros::datetime;

    use super::*;

    fn budget(monthly_calls: Option<u64>) -> (SharedBudget, Arc<MemoryStore>, Arc<ManualClock>) {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(ManualClock::auto(datetime!(2026-11-22 10:00 UTC)));
        let ledger: Arc<dyn CallLedger> = store.clone();
        let budget =
            SharedBudget::new(Arc::downgrade(&ledger), &RatePolicy::QBO, monthly_calls, clock.clone());
        (budget, store, clock)
    }

    /// Differs from QuickBooks' in every number, so that a number of the store's own would show.
    const STRANGE: RatePolicy = RatePolicy {
        per_minute: 40,
        per_second: 3,
        in_flight: 100_000,
        arrival_slack: Duration::from_millis(400),
        share_after_refusal: 0.25,
        share_gain_per_minute: 0.4,
        least_share: 0.1,
        refusals_apart: Duration::from_mins(3),
        counted_silence: Duration::from_secs(20),
        probe_interval: Duration::from_secs(7),
    };

    /// The limiter of one process and the ledger of many, over the same calls and refusals.
    #[tokio::test]
    async fn one_policy_makes_the_throttle_and_the_ledger_decide_alike() {
        let (store, mut throttle) = (MemoryStore::new(), Throttle::new(Some(STRANGE)));
        let limits = limits(&STRANGE, None);
        let begin = datetime!(2026-11-22 10:00 UTC);
        let (mut random, mut now) = (fastrand::Rng::with_seed(4711), Duration::ZERO);
        let (mut waits, mut refusals, mut paused_until) = (0, 0, Duration::ZERO);
        for step in 0..3000 {
            now += Duration::from_millis(random.u64(0..900));
            store.stand_at(begin + now);
            if random.u8(0..40) == 0 {
                let pause = Duration::from_secs(random.u64(1..300));
                let refused = store.pause(&limits, pause).await.unwrap();
                assert_eq!(throttle.throttled(now, pause), refused, "step {step}");
                refusals += 1;
                paused_until = paused_until.max(now + pause);
                now += Duration::from_secs(random.u64(0..400));
                continue;
            }
            match (throttle.admit(now), store.admit(&limits, Duration::ZERO).await.unwrap()) {
                (Err(until), CallAdmission::Wait(time)) => {
                    // In a pause, the throttle does not look behind its end.
                    let other = until.saturating_sub(now);
                    assert!(if now < paused_until { other <= time } else { other == time }, "step {step}");
                    waits += 1;
                }
                (Ok(ticket), CallAdmission::Go { slot, .. }) => {
                    assert!(throttle.leave(ticket, now));
                    if random.bool() {
                        now += Duration::from_millis(random.u64(0..300));
                        store.stand_at(begin + now);
                        throttle.answered(ticket, now);
                        throttle.served();
                        store.conclude(&slot, raw_store::CallEnd::Served).await.unwrap();
                    }
                }
                other => panic!("they differ in step {step}: {other:?}"),
            }
        }
        assert!(waits > 300 && refusals > 30, "{waits} waits, {refusals} refusals");
        // Only the ledger knows of probes: a process alone leaves them to its breaker.
        store.stand_at(begin + now + Duration::from_hours(1));
        store.failing(Duration::ZERO).await.unwrap();
        let probe = store.admit(&limits, Duration::ZERO).await.unwrap();
        assert!(matches!(probe, CallAdmission::Go { .. }), "{probe:?}");
        let next = store.admit(&limits, Duration::ZERO).await.unwrap();
        assert_eq!(next, CallAdmission::Wait(STRANGE.probe_interval));
    }

    async fn go(budget: &SharedBudget) -> Box<dyn CallPermit> {
        match budget.admit().await.unwrap() {
            Admission::Go(permit) => permit,
            Admission::Wait(time) => panic!("nothing stands against it: {time:?}"),
        }
    }

    #[tokio::test]
    async fn a_permit_that_was_slept_over_is_not_used_and_the_next_one_lasts_longer() {
        let (budget, store, clock) = budget(None);
        let mut permit = go(&budget).await;
        clock.advance(SHORTEST * 3 / 2);
        assert!(!permit.leave());
        permit.conclude(CallEnd::Unsent).await;
        assert_eq!(store.month().await.unwrap().used, 0);
        let mut permit = go(&budget).await;
        clock.advance(SHORTEST * 3 / 2);
        assert!(permit.leave());
        permit.conclude(CallEnd::Served).await;
        assert_eq!(store.month().await.unwrap().used, 1);
    }

    #[tokio::test]
    async fn every_permit_says_what_the_month_has_cost_and_its_end_refuses() {
        let (budget, _store, _clock) = budget(Some(5));
        for used in 1..=5 {
            let permit = go(&budget).await;
            assert_eq!(permit.month(), Some(MonthlyCalls { used, allowance: 5 }));
            permit.conclude(CallEnd::Served).await;
        }
        let refused = budget.admit().await.unwrap_err();
        assert!(matches!(refused, BudgetError::UsedUp { allowance: 5, .. }), "{refused}");
    }

    #[tokio::test]
    async fn a_request_that_was_abandoned_keeps_its_place_for_a_while_and_stays_counted() {
        let (budget, store, _clock) = budget(None);
        drop(go(&budget).await);
        tokio::task::yield_now().await;
        assert_eq!(store.month().await.unwrap().used, 1);
        drop(store);
        assert!(matches!(budget.admit().await, Err(BudgetError::Unavailable { may_pass: false, .. })));
    }
}
