//! The rate limiter of one company: decides when the next request may be sent, according to QBO's
//! per-second and per-minute limits. It does no I/O and reads no clock.

use std::collections::VecDeque;
use std::time::Duration;

use super::RatePolicy;
use super::ramp::SlowStart;
use super::streak::Refusals;

/// How long a permit is valid. A request that is sent later needs a new permit: a machine that slept must not send its backlog
/// in one burst.
const GOOD_FOR: Duration = Duration::from_millis(250);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// The rate limiter of one company: a state machine that never waits. Every point in time, such as `now`, is given as the
/// duration since one fixed start, which the caller chooses.
///
/// It enforces the limits as the *server* counts them. Two requests sent a second apart can arrive closer together, so a
/// request counts from the latest time at which it can have arrived: when its response came, or `arrival_slack` after it was
/// sent, whichever is earlier.
#[derive(Debug)]
pub struct Throttle {
    policy: RatePolicy,
    /// Whether the per-second and per-minute limits are enforced.
    is_limited: bool,
    /// The requests that may still count against a limit, in the order of their permits.
    slots: VecDeque<Slot>,
    /// The number of the last permit.
    last_ticket: u64,
    /// No request is permitted before this point in time.
    paused_until: Duration,
    slow_start: SlowStart,
    refusals: Refusals,
}

/// One permitted request. Its times are points in time, measured like `now`.
#[derive(Debug)]
struct Slot {
    ticket: u64,
    /// When the permit was given.
    admitted: Duration,
    /// The time by which the server has certainly counted the request.
    arrived_by: Duration,
}

/// The permit to send one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Ticket(u64);

impl Throttle {
    /// Creates a limiter with this policy, or without limits if there is none (for a test server on loopback).
    pub fn new(policy: Option<RatePolicy>) -> Self {
        Self {
            policy: policy.unwrap_or(RatePolicy::QBO),
            is_limited: policy.is_some(),
            slots: VecDeque::new(),
            last_ticket: 0,
            paused_until: Duration::ZERO,
            slow_start: SlowStart::default(),
            refusals: Refusals::default(),
        }
    }

    /// Asks for a permit to send one request now.
    ///
    /// `Err` means not yet, and holds the earliest time at which to call this again: a point in time like `now`, not a delay.
    pub fn admit(&mut self, now: Duration) -> Result<Ticket, Duration> {
        if now < self.paused_until {
            return Err(self.paused_until);
        }
        self.slots.retain(|slot| slot.arrived_by + MINUTE > now);
        if self.is_limited {
            let per_minute = self.slow_start.of(self.policy.per_minute, &self.policy, now);
            let per_second = self.slow_start.of(self.policy.per_second, &self.policy, now);
            let until = self.free_at(MINUTE, per_minute, now).max(self.free_at(SECOND, per_second, now));
            if now < until {
                return Err(until);
            }
        }
        self.last_ticket += 1;
        let arrived_by = now + GOOD_FOR + self.policy.arrival_slack;
        self.slots.push_back(Slot { ticket: self.last_ticket, admitted: now, arrived_by });
        Ok(Ticket(self.last_ticket))
    }

    /// Reports that the request is about to be sent. Returns `false` if its permit has expired: then the request must not be
    /// sent.
    pub fn leave(&mut self, ticket: Ticket, now: Duration) -> bool {
        let arrived_by = now + self.policy.arrival_slack;
        let Some(slot) = self.slot(ticket) else { return false };
        let good = now.saturating_sub(slot.admitted) <= GOOD_FOR;
        if good {
            slot.arrived_by = arrived_by;
        }
        good
    }

    /// Gives back the permit of a request that was never sent.
    pub fn unsent(&mut self, ticket: Ticket) {
        self.slots.retain(|slot| slot.ticket != ticket.0);
    }

    /// Reports that the response to the request has arrived: the server has counted the request by now.
    pub fn answered(&mut self, ticket: Ticket, now: Duration) {
        if !self.is_limited {
            self.slots.clear();
        }
        if let Some(slot) = self.slot(ticket) {
            slot.arrived_by = slot.arrived_by.min(now);
        }
    }

    /// Reports a successful response, which ends a series of refusals.
    pub fn served(&mut self) {
        self.refusals.answered();
    }

    /// Reports a refusal (HTTP 429): issues no permit for `pause`, and resumes at a lower rate. Returns for how long every
    /// request has been refused.
    pub fn throttled(&mut self, now: Duration, pause: Duration) -> Duration {
        let resumes = self.paused_until.max(now + pause);
        // A request that is refused during a pause was sent before it, so it does not lower the rate again.
        if now >= self.paused_until {
            self.slow_start.refused(&self.policy, now, resumes);
        } else {
            self.slow_start.prolonged(resumes);
        }
        self.paused_until = resumes;
        self.refusals.refused(&self.policy, now)
    }

    fn slot(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        self.slots.iter_mut().rfind(|slot| slot.ticket == ticket.0)
    }

    /// The earliest time at which fewer than `limit` requests fall into the preceding `span`; zero if that is true already.
    fn free_at(&self, span: Duration, limit: u32, now: Duration) -> Duration {
        let mut arrivals: Vec<_> =
            self.slots.iter().map(|slot| slot.arrived_by).filter(|at| *at + span > now).collect();
        let limit = limit as usize;
        if arrivals.len() < limit {
            return Duration::ZERO;
        }
        arrivals.sort_unstable();
        arrivals[arrivals.len() - limit] + span
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Asks, and sends at once.
    fn send(throttle: &mut Throttle, now: Duration) -> Result<Ticket, Duration> {
        let ticket = throttle.admit(now)?;
        assert!(throttle.leave(ticket, now));
        Ok(ticket)
    }

    #[test]
    fn ten_go_at_once_and_the_eleventh_waits_a_second_after_the_first_arrived() {
        let mut throttle = Throttle::new(Some(RatePolicy::QBO));
        let tickets: Vec<_> = (0..10).map(|_| send(&mut throttle, Duration::ZERO).unwrap()).collect();
        assert_eq!(throttle.admit(Duration::ZERO), Err(1250 * MS));
        throttle.answered(tickets[0], 40 * MS);
        assert_eq!(throttle.admit(41 * MS), Err(1040 * MS));
        assert!(throttle.admit(1040 * MS).is_ok());
    }

    #[test]
    fn an_expired_ticket_is_refused_and_frees_its_slot() {
        let mut throttle = Throttle::new(Some(RatePolicy { per_second: 1, ..RatePolicy::QBO }));
        let ticket = throttle.admit(Duration::ZERO).unwrap();
        assert!(!throttle.leave(ticket, 8 * 60 * MINUTE));
        throttle.unsent(ticket);
        assert!(throttle.admit(8 * 60 * MINUTE).is_ok());
    }

    #[test]
    fn a_pause_holds_everybody_back_and_is_never_shortened() {
        let mut throttle = Throttle::new(None);
        assert_eq!(throttle.throttled(Duration::ZERO, 60_000 * MS), Duration::ZERO);
        assert_eq!(throttle.throttled(MS, 10_000 * MS), MS);
        assert_eq!(throttle.admit(Duration::ZERO), Err(60_000 * MS));
        assert!(throttle.admit(60_000 * MS).is_ok());
    }

    #[test]
    fn after_a_refusal_half_the_rate_is_left_however_many_requests_it_hit() {
        let mut throttle = Throttle::new(Some(RatePolicy::QBO));
        for _ in 0..10 {
            throttle.throttled(Duration::ZERO, MINUTE);
        }
        let at_once =
            std::iter::repeat_with(|| send(&mut throttle, MINUTE)).take_while(Result::is_ok).count();
        assert_eq!(at_once, 5);
    }

    proptest! {
        // Each case sends hundreds of requests; this many cases reach every limit.
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Each request arrives at a random time between its sending and its response (or the slack): the server never sees more
        /// than the limits in any second or minute, and the limiter always lets one through at the moment it names.
        #[test]
        fn no_window_at_the_server_is_ever_over_the_limit(
            steps in prop::collection::vec((0_u64..400, 0.0..1.0_f64, 0.0..1.1_f64), 600..900),
        ) {
            let mut throttle = Throttle::new(Some(RatePolicy::QBO));
            let mut now = Duration::ZERO;
            let mut arrivals = Vec::new();
            for (latency, when, mut delay) in steps {
                let ticket = loop {
                    match throttle.admit(now) {
                        Ok(ticket) => {
                            // The caller may have to wait for an access token before sending.
                            now += GOOD_FOR.mul_f64(delay);
                            if throttle.leave(ticket, now) {
                                break ticket;
                            }
                            throttle.unsent(ticket);
                            delay = 0.0;
                        }
                        Err(until) => {
                            prop_assert!(until > now);
                            now = until;
                        }
                    }
                };
                let on_the_way = Duration::from_millis(latency).min(RatePolicy::QBO.arrival_slack);
                arrivals.push(now + on_the_way.mul_f64(when));
                throttle.answered(ticket, now + Duration::from_millis(latency));
            }
            arrivals.sort_unstable();
            for (span, limit) in [(SECOND, 10), (MINUTE, 500)] {
                for pair in arrivals.windows(limit + 1) {
                    let apart = pair[limit].saturating_sub(pair[0]);
                    prop_assert!(apart >= span, "{apart:?}");
                }
            }
        }
    }
}
