//! The state machine of the shared call budget in memory: slots, pauses, rate, and monthly counts. Pure.

use std::time::Duration;

use time::{Date, OffsetDateTime};

use crate::store::calls::{ASK_AGAIN, HUNG_UP, IN_FLIGHT, LONGEST_DOWN, LONGEST_GOOD_FOR};
use crate::{CallAdmission, CallBudget, CallEnd, CallLimits, CallSlot};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// The calls of all processes: what the tables `call_budget`, `call_slot` and `call_month` hold. A pure state machine.
#[derive(Debug)]
pub(super) struct Calls {
    slots: Vec<Slot>,
    /// When a pause was last requested.
    paused_at: OffsetDateTime,
    paused_until: OffsetDateTime,
    share: f64,
    refused: Option<(OffsetDateTime, OffsetDateTime)>,
    down_until: Option<OffsetDateTime>,
    served_at: Option<OffsetDateTime>,
    months: Vec<(Date, u64)>,
}

/// A call that counts against the limits or is in flight.
#[derive(Debug)]
struct Slot {
    uses: i64,
    arrived_by: OffsetDateTime,
    in_flight_until: OffsetDateTime,
    session: Option<u64>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            paused_at: OffsetDateTime::UNIX_EPOCH,
            paused_until: OffsetDateTime::UNIX_EPOCH,
            share: 1.0,
            refused: None,
            down_until: None,
            served_at: None,
            months: Vec::new(),
        }
    }
}

impl Calls {
    /// What people are shown of the budget.
    pub(super) fn shown(&self, now: OffsetDateTime) -> CallBudget {
        let month = month(now);
        CallBudget {
            used: self.used(month),
            until: end_of(month),
            paused_until: Some(self.paused_until).filter(|at| *at > now),
            down_until: self.down_until,
            share: self.share,
        }
    }

    pub(super) fn admit(
        &mut self,
        now: OffsetDateTime,
        session: u64,
        limits: &CallLimits,
        good_for: Duration,
    ) -> CallAdmission {
        self.mend(now, limits);
        let month = month(now);
        if limits.per_month.is_some_and(|calls| self.used(month) >= calls) {
            return CallAdmission::UsedUp { until: end_of(month) };
        }
        if self.slots.iter().filter(|slot| slot.in_flight_until > now).count() >= limits.in_flight as usize {
            return CallAdmission::Wait(ASK_AGAIN);
        }
        let free_at = [
            Some(self.paused_until),
            self.down_until,
            self.newest_but(self.limit(limits.per_minute, limits, now)).map(|at| at + MINUTE),
            self.newest_but(self.limit(limits.per_second, limits, now)).map(|at| at + SECOND),
        ];
        let free_at = free_at.into_iter().flatten().max().unwrap_or(now);
        if free_at > now {
            return CallAdmission::Wait((free_at - now).unsigned_abs());
        }
        self.down_until = self.down_until.map(|_| now + limits.probe_interval);
        let free =
            self.slots.iter().position(|slot| slot.arrived_by + MINUTE <= now && slot.in_flight_until <= now);
        let arrived_by = now + good_for.min(LONGEST_GOOD_FOR) + limits.arrival_slack;
        let place = Slot { uses: 1, arrived_by, in_flight_until: now + IN_FLIGHT, session: Some(session) };
        let at = free.unwrap_or(self.slots.len());
        match self.slots.get_mut(at) {
            Some(slot) => *slot = Slot { uses: slot.uses + 1, ..place },
            None => self.slots.push(place),
        }
        let slot = i32::try_from(at).expect("there are not more slots than calls a minute");
        *self.count(month) += 1;
        CallAdmission::Go {
            slot: CallSlot { slot, uses: self.slots[at].uses, month },
            used: self.used(month),
        }
    }

    /// Corrects times that lie further ahead than they can: the clock was set back.
    fn mend(&mut self, now: OffsetDateTime, limits: &CallLimits) {
        for slot in &mut self.slots {
            slot.arrived_by = slot.arrived_by.min(now + LONGEST_GOOD_FOR + limits.arrival_slack);
            slot.in_flight_until = slot.in_flight_until.min(now + IN_FLIGHT);
        }
        if self.paused_at > now {
            self.paused_until = now + (self.paused_until - self.paused_at);
            self.paused_at = now;
        }
        if let Some((since, last)) = &mut self.refused
            && *last > now
        {
            (*since, *last) = (now, now);
        }
        self.down_until = self.down_until.map(|at| at.min(now + LONGEST_DOWN));
        self.served_at = self.served_at.filter(|at| *at <= now);
    }

    pub(super) fn conclude(&mut self, now: OffsetDateTime, call: &CallSlot, end: CallEnd) {
        let place = usize::try_from(call.slot).ok().and_then(|at| self.slots.get_mut(at));
        let Some(slot) = place.filter(|slot| slot.uses == call.uses) else {
            return;
        };
        let hung_up = if end == CallEnd::Abandoned { HUNG_UP } else { Duration::ZERO };
        slot.in_flight_until = slot.in_flight_until.min(now + hung_up);
        slot.arrived_by = match end {
            CallEnd::Unsent => OffsetDateTime::UNIX_EPOCH,
            CallEnd::Abandoned => slot.arrived_by,
            CallEnd::Served | CallEnd::Failed => slot.arrived_by.min(now),
        };
        match end {
            CallEnd::Unsent | CallEnd::Failed => *self.count(call.month) -= 1,
            CallEnd::Served => (self.refused, self.down_until, self.served_at) = (None, None, Some(now)),
            CallEnd::Abandoned => {}
        }
    }

    pub(super) fn pause(&mut self, now: OffsetDateTime, limits: &CallLimits, pause: Duration) -> Duration {
        self.mend(now, limits);
        if now >= self.paused_until {
            self.share = (self.share(now, limits) * limits.share_after_refusal).max(limits.least_share);
        }
        self.paused_until = self.paused_until.max(now + pause);
        self.paused_at = now;
        let known = self.refused.filter(|(_, last)| *last + limits.refusals_apart >= now);
        let uncounted =
            |last: OffsetDateTime| (now - last).unsigned_abs().saturating_sub(limits.counted_silence);
        let since = known.map_or(now, |(since, last)| since + uncounted(last));
        self.refused = Some((since, now));
        (now - since).unsigned_abs()
    }

    pub(super) fn failing(&mut self, now: OffsetDateTime, apart: Duration) {
        if self.served_at.is_none_or(|at| at + apart < now) {
            self.down_until = self.down_until.max(Some(now + apart));
        }
    }

    /// Frees the slots of a process that has ended, once the other end has noticed.
    pub(super) fn release_dead(&mut self, now: OffsetDateTime, session: u64) {
        for slot in self.slots.iter_mut().filter(|slot| slot.session == Some(session)) {
            slot.in_flight_until = slot.in_flight_until.min(now + HUNG_UP);
        }
    }

    /// The arrival that must be out of a span before another call fits into it.
    fn newest_but(&self, limit: usize) -> Option<OffsetDateTime> {
        let mut arrivals: Vec<_> = self.slots.iter().map(|slot| slot.arrived_by).collect();
        arrivals.sort_unstable();
        arrivals.len().checked_sub(limit).map(|at| arrivals[at])
    }

    fn limit(&self, full: u32, limits: &CallLimits, now: OffsetDateTime) -> usize {
        let limit = f64::from(full) * self.share(now, limits);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32")]
        let limit = limit as usize;
        limit.max(1)
    }

    fn share(&self, now: OffsetDateTime, limits: &CallLimits) -> f64 {
        let minutes = (now - self.paused_until).as_seconds_f64().max(0.0) / 60.0;
        (self.share + limits.share_gain_per_minute * minutes).min(1.0)
    }

    pub(super) fn used(&self, month: Date) -> u64 {
        self.months.iter().find(|(known, _)| *known == month).map_or(0, |(_, calls)| *calls)
    }

    fn count(&mut self, month: Date) -> &mut u64 {
        let at = self.months.iter().position(|(known, _)| *known == month).unwrap_or_else(|| {
            self.months.push((month, 0));
            self.months.len() - 1
        });
        &mut self.months[at].1
    }
}

/// The first day of a moment's month.
pub(super) fn month(now: OffsetDateTime) -> Date {
    now.date().replace_day(1).expect("every month has a first day")
}

/// When a month is over.
pub(super) fn end_of(month: Date) -> OffsetDateTime {
    let later = month.saturating_add(time::Duration::days(31));
    later.replace_day(1).unwrap_or(later).midnight().assume_utc()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-11-30 12:00 UTC);
    const QBO: CallLimits = crate::contract::USUAL_LIMITS;
    const GOOD_FOR: Duration = Duration::from_millis(250);

    /// A call as the other end sees it, and when its caller reports its end.
    struct Seen {
        slot: CallSlot,
        arrived: OffsetDateTime,
        served: OffsetDateTime,
        concluded: Option<OffsetDateTime>,
    }

    /// One process wants to call: how long after the one before it, when the call leaves and how long it takes to arrive, as
    /// fractions of what is allowed, how long the other end works on it, and whether the caller dies.
    type Want = (u64, f64, f64, u64, bool);

    fn wants() -> impl Strategy<Value = Vec<Want>> {
        prop::collection::vec(
            (0_u64..150, 0.0..1.0_f64, 0.0..1.0_f64, 1_u64..2500, prop::bool::weighted(0.01)),
            900,
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// Whatever processes do and when, the other end never sees more than the limits in any second, in any minute or at
        /// once. (A process that dies occupies its slot; the other end works no longer than allowed.)
        #[test]
        fn no_span_at_the_other_end_is_ever_over_the_limit(wants in wants()) {
            let ms = Duration::from_millis;
            let mut calls = Calls::default();
            let mut now = NOON;
            let mut seen: Vec<Seen> = Vec::new();
            for (later, leaves, travels, work, dies) in wants {
                now += ms(later);
                let slot = loop {
                    for call in seen.iter_mut().filter(|call| call.concluded.is_some_and(|at| at <= now)) {
                        let at = call.concluded.take().unwrap();
                        calls.conclude(at, &call.slot, CallEnd::Served);
                    }
                    match calls.admit(now, 1, &QBO, GOOD_FOR) {
                        CallAdmission::Go { slot, .. } => break slot,
                        CallAdmission::Wait(time) => {
                            prop_assert!(time > Duration::ZERO);
                            now += time;
                        }
                        CallAdmission::UsedUp { .. } => unreachable!("there is no monthly limit"),
                    }
                };
                let arrived = now + GOOD_FOR.mul_f64(leaves) + QBO.arrival_slack.mul_f64(travels);
                let served = arrived + ms(work);
                seen.push(Seen { slot, arrived, served, concluded: (!dies).then_some(served + ms(20)) });
            }
            let mut arrivals: Vec<_> = seen.iter().map(|call| call.arrived).collect();
            arrivals.sort_unstable();
            for (span, limit) in [(SECOND, 10), (MINUTE, 500)] {
                for pair in arrivals.windows(limit + 1) {
                    prop_assert!(pair[limit] - pair[0] >= span, "{:?}", pair[limit] - pair[0]);
                }
            }
            for at in arrivals {
                let under_way = seen.iter().filter(|call| call.arrived <= at && at < call.served).count();
                prop_assert!(under_way <= 10, "{under_way} at once");
            }
            prop_assert!(calls.slots.len() <= 510);
        }
    }

    #[test]
    fn a_caller_that_is_gone_costs_its_places_for_ten_seconds() {
        let mut calls = Calls::default();
        for _ in 0..10 {
            assert!(matches!(calls.admit(NOON, 1, &QBO, GOOD_FOR), CallAdmission::Go { .. }));
        }
        let later = NOON + Duration::from_secs(60);
        assert_eq!(calls.admit(later, 2, &QBO, GOOD_FOR), CallAdmission::Wait(ASK_AGAIN));
        calls.release_dead(later, 1);
        assert_eq!(calls.admit(later, 2, &QBO, GOOD_FOR), CallAdmission::Wait(ASK_AGAIN));
        assert!(matches!(calls.admit(later + HUNG_UP, 2, &QBO, GOOD_FOR), CallAdmission::Go { .. }));
    }

    #[test]
    fn a_month_ends_where_the_next_one_begins_in_utc() {
        let mut calls = Calls::default();
        let limits = CallLimits { per_month: Some(1), ..QBO };
        assert!(matches!(calls.admit(NOON, 1, &limits, GOOD_FOR), CallAdmission::Go { used: 1, .. }));
        let until = datetime!(2026-12-01 0:00 UTC);
        assert_eq!(calls.admit(NOON, 1, &limits, GOOD_FOR), CallAdmission::UsedUp { until });
        assert!(matches!(calls.admit(until, 1, &limits, GOOD_FOR), CallAdmission::Go { used: 1, .. }));
    }

    #[test]
    fn after_a_refusal_half_the_rate_is_left_and_comes_back_in_ten_minutes() {
        let mut calls = Calls::default();
        for _ in 0..10 {
            assert_eq!(calls.pause(NOON, &QBO, MINUTE), Duration::ZERO);
        }
        let resumes = NOON + MINUTE;
        assert_eq!(calls.limit(500, &QBO, resumes), 250);
        assert_eq!(calls.limit(500, &QBO, resumes + MINUTE * 10), 500);
        assert_eq!(calls.pause(resumes, &QBO, MINUTE), MINUTE, "refused for a minute now");
        assert_eq!(calls.limit(500, &QBO, resumes + MINUTE), 125);
    }

    #[test]
    fn a_silence_between_two_refusals_counts_five_minutes() {
        let mut calls = Calls::default();
        assert_eq!(calls.pause(NOON, &QBO, MINUTE), Duration::ZERO);
        assert_eq!(calls.pause(NOON + MINUTE * 15, &QBO, MINUTE), MINUTE * 5);
        assert_eq!(calls.pause(NOON + MINUTE * 16, &QBO, MINUTE), MINUTE * 6);
        assert_eq!(
            calls.pause(NOON + MINUTE * 37, &QBO, MINUTE),
            Duration::ZERO,
            "nobody asked for longer than any pause"
        );
    }
}
