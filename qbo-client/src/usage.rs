//! Counts what reading costs: calls, retries, bytes, and time spent waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qbo_auth::Clock;

/// What reading has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Requests sent to the API, failed ones included.
    pub calls: u64,
    /// Requests among `calls` that repeated an earlier one.
    pub retries: u64,
    /// Bytes of bodies received, decompressed.
    pub bytes: u64,
    /// Time during which at least one caller waited for a limit or after a failure. It never exceeds the time that passed,
    /// however many callers waited.
    pub waited: Duration,
}

impl Usage {
    /// The difference to an earlier reading of the same meter.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(earlier.calls),
            retries: self.retries.saturating_sub(earlier.retries),
            bytes: self.bytes.saturating_sub(earlier.bytes),
            waited: self.waited.saturating_sub(earlier.waited),
        }
    }
}

/// Counts what reading costs. Shared by everything that calls one company.
#[derive(Debug, Default)]
pub struct Meter {
    calls: AtomicU64,
    retries: AtomicU64,
    bytes: AtomicU64,
    waits: Mutex<Waits>,
}

/// Waits in progress, the start of the first one, and the time of those that ended.
#[derive(Debug, Default)]
struct Waits {
    under_way: u32,
    since: Duration,
    before: Duration,
}

/// A wait in progress. It ends when this is dropped, also if its caller gives up.
#[derive(Debug)]
pub struct Wait<'a> {
    meter: &'a Meter,
    clock: &'a dyn Clock,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let now = self.clock.elapsed();
        let mut waits = self.meter.waits();
        waits.under_way -= 1;
        if waits.under_way == 0 {
            let waited = now.saturating_sub(waits.since);
            waits.before += waited;
        }
    }
}

impl Meter {
    /// Counts one request, and whether it repeats an earlier one.
    pub fn call(&self, repeated: bool) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.retries.fetch_add(u64::from(repeated), Ordering::Relaxed);
    }

    /// Counts the bytes of one body.
    pub fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts time as spent waiting for as long as the returned value lives.
    pub fn wait<'a>(&'a self, clock: &'a dyn Clock) -> Wait<'a> {
        let now = clock.elapsed();
        let mut waits = self.waits();
        if waits.under_way == 0 {
            waits.since = now;
        }
        waits.under_way += 1;
        Wait { meter: self, clock }
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts so far.
    pub fn usage(&self) -> Usage {
        Usage {
            calls: self.calls.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            waited: self.waits().before,
        }
    }
}

#[cfg(test)]
mod tests {
    use qbo_auth::ManualClock;
    use time::macros::datetime;

    use super::*;

    #[tokio::test]
    async fn several_who_wait_at_once_wait_for_no_longer_than_time_passes() {
        let clock = ManualClock::auto(datetime!(2026-11-22 10:00 UTC));
        let meter = Meter::default();
        let (first, second) = (meter.wait(&clock), meter.wait(&clock));
        clock.sleep(Duration::from_secs(2)).await;
        drop(first);
        clock.sleep(Duration::from_secs(1)).await;
        drop(second);
        clock.sleep(Duration::from_secs(5)).await;
        assert_eq!(meter.usage().waited, Duration::from_secs(3));
        let third = meter.wait(&clock);
        clock.sleep(Duration::from_secs(4)).await;
        drop(third);
        assert_eq!(meter.usage().waited, Duration::from_secs(7));
    }
}
