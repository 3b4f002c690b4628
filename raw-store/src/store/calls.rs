//! The trait for a call budget that several processes share, with its limits and time constants.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use time::{Date, OffsetDateTime};

use crate::StoreError;

/// How long a call counts as in flight if its end is never reported: longer than the source works on any call.
pub(crate) const IN_FLIGHT: Duration = Duration::from_secs(140);

/// How long the source may go on working on a call whose caller has hung up.
pub(crate) const HUNG_UP: Duration = Duration::from_secs(10);

/// Delay before asking for a call slot again: it is not known when the next one becomes free.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The longest time for which a source can be noted as down: longer than any caller's interval between two probes.
pub(crate) const LONGEST_DOWN: Duration = Duration::from_mins(1);

/// The longest time after its admission at which a call leaves, whatever its caller says.
pub(crate) const LONGEST_GOOD_FOR: Duration = Duration::from_secs(30);

/// Limits on calls to the source, shared by all processes, and what a refusal does to them. The store has no numbers of its
/// own for these: each caller brings them, and all processes should bring the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallLimits {
    /// Calls in any minute.
    pub per_minute: u32,
    /// Calls in any second.
    pub per_second: u32,
    /// Calls in flight at the same time.
    pub in_flight: u32,
    /// Served calls in a calendar month of UTC; `None` for no limit.
    pub per_month: Option<u64>,
    /// How long a call may take to arrive at the source, where it begins to count.
    pub arrival_slack: Duration,
    /// Share of the rate that is left after a refusal.
    pub share_after_refusal: f64,
    /// Share of the full rate that is regained per minute.
    pub share_gain_per_minute: f64,
    /// Lower bound of the share.
    pub least_share: f64,
    /// Refusals further apart than this are unrelated.
    pub refusals_apart: Duration,
    /// The most of the time between two refusals that counts as refused.
    pub counted_silence: Duration,
    /// Interval at which calls probe a source that is down.
    pub probe_interval: Duration,
}

/// Whether a call may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallAdmission {
    /// The call may be made now.
    Go {
        /// Slot that the call occupies until it is concluded.
        slot: CallSlot,
        /// Calls of this month, including this one.
        used: u64,
    },
    /// The call may not be made before this time has passed; then ask again.
    Wait(Duration),
    /// The calls of this month are used up.
    UsedUp {
        /// When the next month begins.
        until: OffsetDateTime,
    },
}

/// The slot that one admitted call occupies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallSlot {
    pub(crate) slot: i32,
    pub(crate) uses: i64,
    pub(crate) month: Date,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The call was never made.
    Unsent,
    /// The call returned what was requested, and counts for the month.
    Served,
    /// The call was refused or failed, and does not count.
    Failed,
    /// The caller hung up; the source may serve the call all the same.
    Abandoned,
}

/// Number of calls served in the present month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallMonth {
    /// Calls served so far.
    pub used: u64,
    /// When the next month begins.
    pub until: OffsetDateTime,
}

/// Budget of the calls that all processes of a schema make to its source.
///
/// # Contract
///
/// - **One budget.** Over all processes, no minute and no second holds more calls, and no more calls are in flight, than the
///   limits allow, *as the source sees it*: a call counts until it must have arrived there, plus the span.
/// - **One clock**, the store's: the clocks of the processes may differ.
/// - **Nothing is lost.** A process that dies occupies its slots for a while longer, and its calls stay counted.
///
/// # Cancel safety
///
/// A dropped [`admit`](Self::admit) may have taken a slot; the slot expires by itself.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait CallLedger: fmt::Debug + Send + Sync {
    /// Asks to make one call, which leaves at most `good_for` after this request; `good_for` counts up to half a minute.
    async fn admit(&self, limits: &CallLimits, good_for: Duration) -> Result<CallAdmission, StoreError>;

    /// Reports how a call ended. Does nothing if its slot has been given to another call meanwhile.
    async fn conclude(&self, slot: &CallSlot, end: CallEnd) -> Result<(), StoreError>;

    /// Holds back all calls for `pause`, and lowers the rate afterwards. A longer pause that is already set stays. Returns how
    /// long every call has been refused so far; at most [`CallLimits::counted_silence`] counts between two refusals, because a
    /// longer silence shows nothing.
    async fn pause(&self, limits: &CallLimits, pause: Duration) -> Result<Duration, StoreError>;

    /// Reports that the source keeps failing: from now on one call at a time probes it, at least `apart` after the one before,
    /// until a call is served. Does nothing if a call was served within that time, because then the source is not what fails.
    async fn failing(&self, apart: Duration) -> Result<(), StoreError>;

    /// Number of calls served in the present month.
    async fn month(&self) -> Result<CallMonth, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn CallLedger) = |_| ();
