//! Measures for how long a company has sent no response at all. Pure.

use std::time::Duration;

/// How long a company may send no answer at all before the request is given up. Its own gateway cuts every request at two
/// minutes and says so; an outage that takes longer than two of these is left to the caller to come back to, and not waited out
/// by one command.
pub const MOST_SILENCE: Duration = Duration::from_mins(4);

/// How long no answer has arrived: a pure state machine. Time is an argument, as the duration since any fixed start.
///
/// Any answer ends the silence, a refusal as well. One request may take long while others are answered.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    /// The last answer.
    answered: Option<Duration>,
    /// When the first request was sent that brought nothing since.
    since: Option<Duration>,
}

impl Silence {
    /// Records that an answer arrived.
    pub(crate) fn answered(&mut self, now: Duration) {
        self.answered = Some(now);
        self.since = None;
    }

    /// Records that a request sent at `sent` brought no answer. Returns how long none has arrived.
    pub(crate) fn unanswered(&mut self, sent: Duration, now: Duration) -> Duration {
        let sent = self.answered.map_or(sent, |answered| answered.max(sent));
        now.saturating_sub(*self.since.get_or_insert(sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_lasts_from_the_first_request_that_brought_nothing_to_the_next_answer() {
        let mut silence = Silence::default();
        assert_eq!(silence.unanswered(s(10), s(140)), s(130));
        assert_eq!(silence.unanswered(s(20), s(150)), s(140));
        assert_eq!(silence.unanswered(s(150), s(280)), s(270));
        silence.answered(s(300));
        // It was in flight when another one was answered.
        assert_eq!(silence.unanswered(s(200), s(330)), s(30));
        assert_eq!(silence.unanswered(s(330), s(460)), s(160));
    }
}
