use std::time::Duration;

/// Refusals further apart than this have nothing to do with one another: longer than the longest pause, so that
/// nobody who waits politely falls out of the count.
const APART: Duration = Duration::from_mins(20);

/// How long every call has been refused, without one success: a pure machine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Refusals(Option<Span>);

#[derive(Clone, Copy, Debug)]
struct Span {
    first: Duration,
    last: Duration,
}

impl Refusals {
    /// Notes a refusal. Returns how long they have lasted.
    pub(crate) fn refused(&mut self, now: Duration) -> Duration {
        let known = self.0.filter(|span| now.saturating_sub(span.last) <= APART);
        let first = known.map_or(now, |span| span.first);
        self.0 = Some(Span { first, last: now });
        now.saturating_sub(first)
    }

    /// Notes a success.
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
        assert_eq!(refusals.refused(minutes(20)), minutes(15));
        refusals.answered();
        assert_eq!(refusals.refused(minutes(21)), Duration::ZERO);
        assert_eq!(refusals.refused(minutes(42)), Duration::ZERO, "nobody asked for longer than any pause");
    }
}
