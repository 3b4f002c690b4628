//! Lowers the call rate after a refusal and raises it again slowly. Pure.

use std::time::Duration;

use super::RatePolicy;

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
    pub(crate) fn refused(&mut self, policy: &RatePolicy, now: Duration, resumes: Duration) {
        let share = (self.share(policy, now) * policy.share_after_refusal).max(policy.least_share);
        *self = Self { share, from: resumes };
    }

    /// Records that the pause after a refusal was prolonged: the share grows from its end.
    pub(crate) fn prolonged(&mut self, resumes: Duration) {
        self.from = resumes;
    }

    /// The share of the full rate.
    pub(crate) fn share(&self, policy: &RatePolicy, now: Duration) -> f64 {
        let minutes = now.saturating_sub(self.from).as_secs_f64() / 60.0;
        (self.share + policy.share_gain_per_minute * minutes).min(1.0)
    }

    /// A limit at present, at least one.
    pub(crate) fn of(&self, limit: u32, policy: &RatePolicy, now: Duration) -> u32 {
        let limit = f64::from(limit) * self.share(policy, now);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32")]
        let limit = limit as u32;
        limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QBO: RatePolicy = RatePolicy::QBO;

    #[test]
    fn a_refusal_halves_the_rate_and_ten_minutes_bring_it_back() {
        let minute = Duration::from_mins(1);
        let mut start = SlowStart::default();
        assert_eq!(start.of(500, &QBO, Duration::ZERO), 500);
        start.refused(&QBO, Duration::ZERO, minute);
        assert_eq!(start.of(500, &QBO, minute), 250);
        assert_eq!(start.of(500, &QBO, minute * 3), 300);
        assert_eq!(start.of(500, &QBO, minute * 11), 500);
        for _ in 0..20 {
            start.refused(&QBO, minute, minute);
        }
        assert_eq!((start.of(500, &QBO, minute), start.of(10, &QBO, minute)), (25, 1));
    }
}
