use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What reading has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Requests sent to the API, failed ones included.
    pub calls: u64,
    /// Those among them that repeated an earlier one.
    pub retries: u64,
    /// Bytes of bodies received, decompressed.
    pub bytes: u64,
    /// Time spent waiting for limits and back-off, summed over callers.
    pub waited: Duration,
}

impl Usage {
    /// What came on top of an earlier reading of the same meter.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(earlier.calls),
            retries: self.retries.saturating_sub(earlier.retries),
            bytes: self.bytes.saturating_sub(earlier.bytes),
            waited: self.waited.saturating_sub(earlier.waited),
        }
    }
}

/// Counts what reading costs. Shared by everything that calls for one company.
#[derive(Debug, Default)]
pub struct Meter {
    calls: AtomicU64,
    retries: AtomicU64,
    bytes: AtomicU64,
    waited_ms: AtomicU64,
}

impl Meter {
    /// Counts one request.
    pub fn call(&self, repeated: bool) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.retries.fetch_add(u64::from(repeated), Ordering::Relaxed);
    }

    /// Counts what a body brought.
    pub fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts time spent waiting.
    pub fn waited(&self, time: Duration) {
        self.waited_ms.fetch_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn usage(&self) -> Usage {
        Usage {
            calls: self.calls.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            waited: Duration::from_millis(self.waited_ms.load(Ordering::Relaxed)),
        }
    }
}
