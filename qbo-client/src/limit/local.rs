//! A call budget for a single process: the throttle, plus one permit per request in flight.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use qbo_auth::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Admission, BudgetError, CallBudget, CallEnd, CallPermit, RatePolicy, Throttle, Ticket};

/// A budget for this process alone. If several processes call one company, share one budget instead.
#[derive(Debug)]
pub struct LocalBudget {
    shared: Arc<Shared>,
    in_flight: Arc<Semaphore>,
}

/// The throttle that the budget and its permits share.
#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    throttle: Mutex<Throttle>,
}

/// The permit to send one request; dropping it frees its place among the requests in flight.
#[derive(Debug)]
struct Permit {
    shared: Arc<Shared>,
    ticket: Ticket,
    _place: OwnedSemaphorePermit,
}

impl LocalBudget {
    /// Creates a budget by this policy. `None`, for no limits, only makes sense for an emulator.
    pub fn new(policy: Option<RatePolicy>, clock: Arc<dyn Clock>) -> Self {
        let throttle = Mutex::new(Throttle::new(policy));
        let in_flight = policy.unwrap_or(RatePolicy::QBO).in_flight;
        Self {
            shared: Arc::new(Shared { clock, throttle }),
            in_flight: Arc::new(Semaphore::new(in_flight as usize)),
        }
    }
}

impl Shared {
    /// The throttle, and the present time of its clock.
    fn now(&self) -> (MutexGuard<'_, Throttle>, Duration) {
        (self.throttle.lock().unwrap_or_else(PoisonError::into_inner), self.clock.elapsed())
    }
}

#[async_trait]
impl CallBudget for LocalBudget {
    async fn admit(&self) -> Result<Admission, BudgetError> {
        let place = Arc::clone(&self.in_flight).acquire_owned().await.expect("it is never closed");
        let (mut throttle, now) = self.shared.now();
        Ok(match throttle.admit(now) {
            Err(until) => Admission::Wait(until.saturating_sub(now)),
            Ok(ticket) => {
                Admission::Go(Box::new(Permit { shared: Arc::clone(&self.shared), ticket, _place: place }))
            }
        })
    }

    async fn throttled(&self, pause: Duration) -> Result<Duration, BudgetError> {
        let (mut throttle, now) = self.shared.now();
        Ok(throttle.throttled(now, pause))
    }
}

#[async_trait]
impl CallPermit for Permit {
    fn leave(&mut self) -> bool {
        let (mut throttle, now) = self.shared.now();
        throttle.leave(self.ticket, now)
    }

    async fn conclude(self: Box<Self>, end: CallEnd) {
        let (mut throttle, now) = self.shared.now();
        match end {
            CallEnd::Unsent => throttle.unsent(self.ticket),
            CallEnd::Failed => throttle.answered(self.ticket, now),
            CallEnd::Served => {
                throttle.answered(self.ticket, now);
                throttle.served();
            }
        }
    }
}
