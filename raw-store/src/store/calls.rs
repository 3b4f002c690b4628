use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use time::{Date, OffsetDateTime};

use crate::StoreError;

/// How long a call may be on its way before the other end counts it.
pub(crate) const ARRIVAL_SLACK: Duration = Duration::from_millis(250);

/// How long a call of which nothing more is heard counts as under way: longer than the other end works on anything.
pub(crate) const IN_FLIGHT: Duration = Duration::from_secs(140);

/// How long the other end may work on for somebody who has hung up.
pub(crate) const HUNG_UP: Duration = Duration::from_secs(10);

/// When to ask again for a place in flight: nobody knows when the next one becomes free.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(100);

/// How far apart calls try a source that is down.
pub(crate) const TRIES_APART: Duration = Duration::from_secs(30);

/// The furthest that a source can be noted as down: longer than any caller asks for between two tries.
pub(crate) const LONGEST_DOWN: Duration = Duration::from_mins(1);

/// What is left of the rate after a refusal, what it gains a minute, and the share that it never falls below.
pub(crate) const AFTER_REFUSAL: f64 = 0.5;
pub(crate) const GAIN_A_MINUTE: f64 = 0.05;
pub(crate) const LEAST_SHARE: f64 = 0.05;

/// Refusals further apart than this have nothing to do with one another.
pub(crate) const APART: Duration = Duration::from_mins(20);

/// How much of the time between two refusals counts as refused: of a longer one, nobody knows what it would have brought.
pub(crate) const SILENCE: Duration = Duration::from_mins(5);

/// How long after it was let in a call leaves at the latest, whatever its caller says.
pub(crate) const LONGEST_GOOD_FOR: Duration = Duration::from_secs(30);

/// How often the source may be called, by all processes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Calls in any minute.
    pub per_minute: u32,
    /// Calls in any second.
    pub per_second: u32,
    /// Calls under way at the same time.
    pub in_flight: u32,
    /// Served calls in a month of UTC; `None` for any number.
    pub per_month: Option<u64>,
}

/// Whether a call may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallAdmission {
    /// Now.
    Go {
        /// The call's place.
        slot: CallSlot,
        /// The calls of this month, this one included.
        used: u64,
    },
    /// Not before this long.
    Wait(Duration),
    /// Not before the next month.
    UsedUp {
        /// When it begins.
        until: OffsetDateTime,
    },
}

/// The place of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallSlot {
    pub(crate) slot: i32,
    pub(crate) uses: i64,
    pub(crate) month: Date,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// It was never made.
    Unsent,
    /// It brought what it asked for, and counts for the month.
    Served,
    /// It was refused or failed, and does not count.
    Failed,
    /// Its caller hung up; it may be served all the same.
    Abandoned,
}

/// What a month has cost so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallMonth {
    /// Calls served.
    pub used: u64,
    /// When the next month begins.
    pub until: OffsetDateTime,
}

/// The calls that all processes of a schema make to its source.
///
/// # Contract
///
/// - **One budget.** Over all processes no minute and no second holds more calls, and never are more under way, than
///   the limits say, *as the other end sees it*: a call counts until it must have arrived there, plus the span.
/// - **One clock**, that of the store: those of the processes may differ.
/// - **Nothing is lost.** A process that dies costs its places for a while, and its calls stay counted.
///
/// # Cancel safety
///
/// A dropped [`admit`](Self::admit) may have taken a place; it ends by itself.
#[async_trait]
pub trait CallLedger: fmt::Debug + Send + Sync {
    /// Asks to make one call, which leaves at most `good_for` after this was asked: half a minute at most.
    async fn admit(&self, limits: &CallLimits, good_for: Duration) -> Result<CallAdmission, StoreError>;

    /// Says how a call ended. Does nothing if its place has been given to another meanwhile.
    async fn conclude(&self, slot: &CallSlot, end: CallEnd) -> Result<(), StoreError>;

    /// Lets nobody call for this long, and fewer than before afterwards. A longer pause stays. Returns how long every
    /// call has been refused: of the time between two refusals, five minutes at most, for a long silence shows nothing.
    async fn pause(&self, pause: Duration) -> Result<Duration, StoreError>;

    /// Says that the source keeps failing: from now on one call tries it, and the next one not sooner than `apart` after it,
    /// until a call is served. Does nothing if somebody was served within that time: then it is not the source that fails.
    async fn failing(&self, apart: Duration) -> Result<(), StoreError>;

    /// What this month has cost so far.
    async fn month(&self) -> Result<CallMonth, StoreError>;
}

// Used behind `Arc<dyn _>`; fail the build, not a user, if that stops working.
const _: fn(&dyn CallLedger) = |_| ();
