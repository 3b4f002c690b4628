//! The circuit breaker that stops calls to a company after repeated failures. Pure.

use std::time::Duration;

use super::RatePolicy;

/// Failures in a row that open the breaker.
const TRIP_AFTER: u32 = 8;

/// How long the breaker stays open: while the source is down, one probe per company and half minute.
pub(crate) const COOL_DOWN: Duration = RatePolicy::QBO.probe_interval;

/// The circuit breaker of one company: a pure state machine. Time is an argument, as the duration since any fixed start.
///
/// After several failures in a row, no call is made for a while; then one probe is sent, and its outcome decides. Refusals of a
/// single query and throttling are answers, not failures.
#[derive(Debug, Default)]
pub struct Breaker {
    state: State,
}

/// The state of the breaker, with what decides when it changes.
#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Duration },
    HalfOpen { probe_until: Duration },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// State of the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls are allowed.
    Closed,
    /// No call is made.
    Open,
    /// One probe is in flight.
    HalfOpen,
}

impl Breaker {
    /// Whether a call would be allowed now, without asking for it. `Err` holds the earliest time worth asking, on the scale of
    /// `now`.
    pub fn would_admit(&self, now: Duration) -> Result<(), Duration> {
        match self.state {
            State::Open { until } if now < until => Err(until),
            State::HalfOpen { probe_until } if now < probe_until => Err(probe_until),
            State::Closed { .. } | State::Open { .. } | State::HalfOpen { .. } => Ok(()),
        }
    }

    /// Asks for permission to call. `Err` holds the earliest time worth asking again, on the scale of `now`.
    pub fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        self.would_admit(now)?;
        if !matches!(self.state, State::Closed { .. }) {
            // The cool-down is over, or the probe never reported its outcome (its caller was cancelled).
            self.state = State::HalfOpen { probe_until: now + COOL_DOWN };
        }
        Ok(())
    }

    /// Reports an answer of any kind. Returns the new state if it changed.
    pub fn succeeded(&mut self) -> Option<BreakerState> {
        let was = self.state();
        self.state = State::default();
        (was != BreakerState::Closed).then_some(BreakerState::Closed)
    }

    /// Reports a failure. Returns the new state if it changed.
    pub fn failed(&mut self, now: Duration) -> Option<BreakerState> {
        match &mut self.state {
            State::Closed { failures } if *failures + 1 < TRIP_AFTER => {
                *failures += 1;
                None
            }
            State::Open { .. } => None,
            State::Closed { .. } | State::HalfOpen { .. } => {
                self.state = State::Open { until: now + COOL_DOWN };
                Some(BreakerState::Open)
            }
        }
    }

    /// The present state.
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 1..TRIP_AFTER {
            assert_eq!(breaker.failed(Duration::ZERO), None);
            assert_eq!(breaker.admit(Duration::ZERO), Ok(()));
        }
        assert_eq!(breaker.failed(Duration::ZERO), Some(BreakerState::Open));
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_probe_closes_it() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(Duration::from_secs(29)), Err(COOL_DOWN));
        assert_eq!(breaker.admit(COOL_DOWN), Ok(()));
        assert_eq!(breaker.admit(COOL_DOWN), Err(COOL_DOWN * 2), "the probe is out");
        assert_eq!(breaker.succeeded(), Some(BreakerState::Closed));
        assert_eq!(breaker.admit(COOL_DOWN), Ok(()));
    }

    #[test]
    fn a_failed_probe_opens_it_again_and_a_lost_one_does_not_keep_it_shut() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(COOL_DOWN), Ok(()));
        assert_eq!(breaker.failed(COOL_DOWN), Some(BreakerState::Open));
        assert_eq!(breaker.admit(COOL_DOWN * 2), Ok(()));
        assert_eq!(breaker.admit(COOL_DOWN * 3), Ok(()), "the probe never reported back");
    }

    #[test]
    fn a_success_in_between_starts_the_count_again() {
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            assert_eq!(breaker.failed(Duration::ZERO), None);
            assert_eq!(breaker.succeeded(), None);
        }
    }
}
