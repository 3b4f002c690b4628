//! Measures for how long a company has refused every call, without one success. Pure.

use std::time::Duration;

use super::RatePolicy;

/// How long every call has been refused, without one success: a pure state machine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Refusals(Option<Span>);

/// An uninterrupted series of refusals.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// When the refusals began, moved later by the time that does not count.
    since: Duration,
    last: Duration,
}

impl Refusals {
    /// Records a refusal. Returns how long refusals have lasted.
    pub(crate) fn refused(&mut self, policy: &RatePolicy, now: Duration) -> Duration {
        let known = self.0.filter(|span| now.saturating_sub(span.last) <= policy.refusals_apart);
        let uncounted = |last| now.saturating_sub(last).saturating_sub(policy.counted_silence);
        let since = known.map_or(now, |span| span.since + uncounted(span.last));
        self.0 = Some(Span { since, last: now });
        now.saturating_sub(since)
    }

    /// Records a success.
    pub(crate) fn answered(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_last_from_the_first_until_a_success_or_a_long_silence() {
        let minutes = Duration::from_mins;
        let mut refusals = Refusals::default();
        assert_eq!(refusals.refused(&RatePolicy::QBO, minutes(5)), Duration::ZERO);
        assert_eq!(refusals.refused(&RatePolicy::QBO, minutes(9)), minutes(4));
        assert_eq!(
            refusals.refused(&RatePolicy::QBO, minutes(24)),
            minutes(9),
            "one more, after a quarter of an hour of silence"
        );
        refusals.answered();
        assert_eq!(refusals.refused(&RatePolicy::QBO, minutes(25)), Duration::ZERO);
        assert_eq!(
            refusals.refused(&RatePolicy::QBO, minutes(46)),
            Duration::ZERO,
            "nobody asked for longer than any pause"
        );
    }
}
