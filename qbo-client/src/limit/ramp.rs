use std::time::Duration;

/// What is left of the rate after a refusal.
const AFTER_REFUSAL: f64 = 0.5;

/// What the rate gains a minute, of the full one.
const GAIN_A_MINUTE: f64 = 0.05;

/// The share that is never passed downwards: 25 calls a minute still find out when it is over.
const LEAST: f64 = 0.05;

/// How much of the full rate may be used after "too many": a pure machine.
///
/// Other apps call for the same company and use the same limits (QBO counts by company), so our own count says
/// nothing about how much is free. After a refusal the rate halves, and rises slowly from there.
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
    /// Notes a refusal, after which calls begin again at `resumes`.
    pub(crate) fn refused(&mut self, now: Duration, resumes: Duration) {
        *self = Self { share: (self.share(now) * AFTER_REFUSAL).max(LEAST), from: resumes };
    }

    /// The share of the full rate.
    pub(crate) fn share(&self, now: Duration) -> f64 {
        let minutes = now.saturating_sub(self.from).as_secs_f64() / 60.0;
        (self.share + GAIN_A_MINUTE * minutes).min(1.0)
    }

    /// A limit now, at least one.
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
