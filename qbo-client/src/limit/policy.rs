//! The rate policy of one company: the numbers by which every limiter decides.

use std::time::Duration;

/// How fast one company may be called, and what a refusal does to that rate.
///
/// It is the one place of these numbers: the limiter of a single process ([`LocalBudget`](super::LocalBudget)) is built from
/// it, and so is a budget that several processes share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatePolicy {
    /// Calls in any 60 seconds.
    pub per_minute: u32,
    /// Calls in any second.
    pub per_second: u32,
    /// Requests in flight at the same time.
    pub in_flight: u32,
    /// How long a request may take to arrive at the server. The server counts a request at some moment between its sending and
    /// its response; after this time it is assumed to be counted.
    pub arrival_slack: Duration,
    /// Share of the rate that is left after a refusal.
    pub share_after_refusal: f64,
    /// Share of the full rate that is regained per minute.
    pub share_gain_per_minute: f64,
    /// Lower bound of the share.
    pub least_share: f64,
    /// Refusals further apart than this are unrelated: longer than the longest pause, so that a caller that waits as asked stays
    /// in the count.
    pub refusals_apart: Duration,
    /// The most of the time between two refusals that counts as refused: in a longer gap it is unknown what a call would have
    /// brought.
    pub counted_silence: Duration,
    /// Interval at which requests probe a company that keeps failing.
    pub probe_interval: Duration,
}

impl RatePolicy {
    /// QBO's limits for one company: 500 a minute, and 10 a second (Intuit's page on limits and throttles); 10 in flight
    /// (Intuit's blog of 2016 and most clients). At the least share, 25 calls a minute still find out when throttling is over.
    pub const QBO: Self = Self {
        per_minute: 500,
        per_second: 10,
        in_flight: 10,
        arrival_slack: Duration::from_millis(250),
        share_after_refusal: 0.5,
        share_gain_per_minute: 0.05,
        least_share: 0.05,
        refusals_apart: Duration::from_mins(20),
        counted_silence: Duration::from_mins(5),
        probe_interval: Duration::from_secs(30),
    };

    /// Another rate, for the emulator: `per_minute` calls a minute, and a sixtieth of it a second, but at least
    /// [`RatePolicy::QBO`]'s.
    pub fn per_minute(per_minute: u32) -> Self {
        let per_minute = per_minute.max(1);
        Self { per_minute, per_second: (per_minute / 60).max(Self::QBO.per_second), ..Self::QBO }
    }
}
