//! The delays between the attempts at one request: exponential back-off with full jitter.

use std::time::Duration;

/// Upper bound of the delay before the first repeat.
const FIRST: Duration = Duration::from_secs(1);

/// The largest upper bound of a delay.
const LONGEST: Duration = Duration::from_mins(1);

/// Exponential back-off with full jitter: before repeat *n*, wait a random time between zero and 1 s · 2ⁿ⁻¹, at most 60 s. The
/// choice is a function of the seed.
///
/// Full jitter spreads callers that failed together better than a fixed delay with a little noise, and costs less time in
/// total.
#[derive(Debug)]
pub struct Backoff {
    random: fastrand::Rng,
    bound: Duration,
}

impl Backoff {
    /// Creates a fresh back-off for one request.
    pub fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), bound: FIRST }
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let delay = self.bound.mul_f64(self.random.f64());
        self.bound = (self.bound * 2).min(LONGEST);
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_delay_is_ever_over_its_bound_and_a_seed_is_a_schedule(seed: u64, tries in 1_usize..200) {
            let delays: Vec<_> = Backoff::new(seed).take(tries).collect();
            let mut bound = FIRST;
            for delay in &delays {
                prop_assert!(*delay <= bound);
                bound = (bound * 2).min(LONGEST);
            }
            // However long it continues, a hundred repeats wait for a hundred minutes at most.
            prop_assert!(delays.iter().sum::<Duration>() <= LONGEST * u32::try_from(tries).unwrap());
            prop_assert_eq!(delays, Backoff::new(seed).take(tries).collect::<Vec<_>>());
        }
    }

    #[test]
    fn delays_stay_under_a_doubling_bound_and_repeat_with_the_seed() {
        for seed in 0..200 {
            let delays: Vec<_> = Backoff::new(seed).take(10).collect();
            for (n, delay) in delays.iter().enumerate() {
                assert!(*delay <= LONGEST.min(FIRST * 2_u32.pow(u32::try_from(n).unwrap())));
            }
            assert_eq!(delays, Backoff::new(seed).take(10).collect::<Vec<_>>());
        }
        assert_ne!(Backoff::new(1).next(), Backoff::new(2).next());
    }
}
