//! A limit on the calls of one command.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::budget::{Admission, BudgetError, CallBudget};

/// A budget that gives at most so many permits of another budget, whatever becomes of them. For a command that promises how many
/// calls it makes at most.
#[derive(Debug)]
pub struct CallCap {
    inner: Arc<dyn CallBudget>,
    calls: u64,
    given: AtomicU64,
}

impl CallCap {
    /// Limits a budget to this many permits.
    pub fn new(inner: Arc<dyn CallBudget>, calls: u64) -> Self {
        Self { inner, calls, given: AtomicU64::new(0) }
    }
}

#[async_trait]
impl CallBudget for CallCap {
    async fn admit(&self) -> Result<Admission, BudgetError> {
        // Taken before the other budget is asked, so that two requests cannot take the last one.
        if self.given.fetch_add(1, Ordering::Relaxed) >= self.calls {
            self.given.fetch_sub(1, Ordering::Relaxed);
            return Err(BudgetError::Capped { calls: self.calls });
        }
        let admission = self.inner.admit().await;
        if !matches!(admission, Ok(Admission::Go(_))) {
            self.given.fetch_sub(1, Ordering::Relaxed);
        }
        admission
    }

    async fn throttled(&self, pause: Duration) -> Result<Duration, BudgetError> {
        self.inner.throttled(pause).await
    }

    async fn failing(&self, apart: Duration) {
        self.inner.failing(apart).await;
    }
}

#[cfg(test)]
mod tests {
    use qbo_auth::ManualClock;
    use time::macros::datetime;

    use super::*;
    use crate::limit::LocalBudget;

    #[tokio::test]
    async fn no_more_permits_are_given_than_promised_and_waits_cost_none() {
        let clock = Arc::new(ManualClock::auto(datetime!(2026-11-22 10:00 UTC)));
        let policy = crate::RatePolicy { per_second: 1, ..crate::RatePolicy::QBO };
        let cap = CallCap::new(Arc::new(LocalBudget::new(Some(policy), clock)), 1);
        let first = cap.admit().await.unwrap();
        assert!(matches!(first, Admission::Go(_)));
        drop(first);
        assert!(matches!(cap.admit().await, Err(BudgetError::Capped { calls: 1 })));
    }
}
