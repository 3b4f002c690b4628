//! Lowers the call rate after a refusal and raises it again slowly. Pure.

use std::time::Duration;

/// The share of the rate that is left after a refusal.
const AFTER_REFUSAL: f64 = 0.5;

/// The share of the full rate that is regained per minute.
const GAIN_A_MINUTE: f64 = 0.05;

/// The lower bound of the share: 25 calls a minute still find out when throttling is over.
const LEAST: f64 = 0.05;

/// How much of the full rate may be used after a refusal for too many calls: a pure state machine.
///
/// Other apps call the same company and share its limits (QBO counts by company), so our own count says nothing about how much
/// is free. After a refusal the rate is halved, and rises slowly from there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlowStart {
    share: f64,
    from: Duration,
}

impl Default for SlowStart {
    fn default() -> Self {
        Self { share: 1.0, from: Duration::ZERO }
    }
}

impl SlowStart {
    /// Records a refusal, after which calls begin again at `resumes`.
    pub(crate) fn refused(&mut self, now: Duration, resumes: Duration) {
        *self = Self { share: (self.share(now) * AFTER_REFUSAL).max(LEAST), from: resumes };
    }

    /// The share of the full rate.
    pub(crate) fn share(&self, now: Duration) -> f64 {
        let minutes = now.saturating_sub(self.from).as_secs_f64() / 60.0;
        (self.share + GAIN_A_MINUTE * minutes).min(1.0)
    }

    /// A limit at present, at least one.
    pub(crate) fn of(&self, limit: u32, now: Duration) -> u32 {
        let limit = f64::from(limit) * self.share(now);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32")]
        let limit = limit as u32;
        limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_halves_the_rate_and_ten_minutes_bring_it_back() {
        let minute = Duration::from_mins(1);
        let mut start = SlowStart::default();
        assert_eq!(start.of(500, Duration::ZERO), 500);
        start.refused(Duration::ZERO, minute);
        assert_eq!(start.of(500, minute), 250);
        assert_eq!(start.of(500, minute * 3), 300);
        assert_eq!(start.of(500, minute * 11), 500);
        for _ in 0..20 {
            start.refused(minute, minute);
        }
        assert_eq!((start.of(500, minute), start.of(10, minute)), (25, 1));
    }
}
