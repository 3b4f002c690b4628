//! Measures for how long a company has refused every call, without one success. Pure.

use std::time::Duration;

/// Refusals further apart than this are unrelated: longer than the longest pause, so that a caller that waits as asked stays in
/// the count.
const APART: Duration = Duration::from_mins(20);

/// The most of the time between two refusals that counts as refused: in a longer gap it is unknown what a call would have
/// brought.
const SILENCE: Duration = Duration::from_mins(5);

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
    pub(crate) fn refused(&mut self, now: Duration) -> Duration {
        let known = self.0.filter(|span| now.saturating_sub(span.last) <= APART);
        let since =
            known.map_or(now, |span| span.since + now.saturating_sub(span.last).saturating_sub(SILENCE));
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
        assert_eq!(refusals.refused(minutes(5)), Duration::ZERO);
        assert_eq!(refusals.refused(minutes(9)), minutes(4));
        assert_eq!(
            refusals.refused(minutes(24)),
            minutes(9),
            "one more, after a quarter of an hour of silence"
        );
        refusals.answered();
        assert_eq!(refusals.refused(minutes(25)), Duration::ZERO);
        assert_eq!(refusals.refused(minutes(46)), Duration::ZERO, "nobody asked for longer than any pause");
    }
}
