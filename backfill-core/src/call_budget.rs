//! One call budget for all processes of a company: adapts the ledger in the database to the client's `CallBudget`.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use qbo_auth::Clock;
use qbo_auth::planted::is_planted;
use qbo_client::{Admission, BudgetError, CallBudget, CallEnd, CallPermit, Limits, MonthlyCalls};
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
    /// Creates a budget within `limits` and, if given, `monthly_calls` calls a month.
    pub fn new(
        ledger: Weak<dyn CallLedger>,
        limits: Limits,
        monthly_calls: Option<u64>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let limits = CallLimits {
            per_minute: limits.per_minute,
            per_second: limits.per_second,
            in_flight: Limits::IN_FLIGHT,
            per_month: monthly_calls,
        };
        let good_for = Arc::new(Mutex::new(SHORTEST));
        Self { ledger, limits, clock, good_for }
    }
}

#[async_trait]
impl CallBudget for SharedBudget {
    async fn admit(&self) -> Result<Admission, BudgetError> {
        let ledger = self.ledger.upgrade().ok_or_else(gone)?;
        let good_for = *self.good_for.lock().unwrap_or_else(PoisonError::into_inner);
        let now = || (self.clock.elapsed(), self.clock.now_utc());
        let asked = now();
        let admission = ledger.admit(&self.limits, good_for).await.map_err(unavailable)?;
        // A permit as old as its transaction would not be used; this mutation makes it look new.
        let asked = if is_planted("time of the transaction's start") { now() } else { asked };
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
        ledger.pause(pause).await.map_err(unavailable)
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
        let good = age <= self.good_for || is_planted("slots kept over sleep");
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
    use raw_store::MemoryStore;
    use time::macros::datetime;

    use super::*;

    fn budget(monthly_calls: Option<u64>) -> (SharedBudget, Arc<MemoryStore>, Arc<ManualClock>) {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(ManualClock::auto(datetime!(2026-11-22 10:00 UTC)));
        let ledger: Arc<dyn CallLedger> = store.clone();
        let budget = SharedBudget::new(Arc::downgrade(&ledger), Limits::QBO, monthly_calls, clock.clone());
        (budget, store, clock)
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
