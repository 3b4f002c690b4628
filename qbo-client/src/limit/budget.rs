//! When a request may leave, as a seam: the limits of a company hold over everybody who shares them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

/// Keeps the limits of one company over everybody who calls it.
///
/// # Contract
///
/// - **As the server sees them.** A request counts from when it must have arrived, and is in flight until it was
///   answered; network and scheduling between here and there cannot break a limit.
/// - **No call without a permit.** An error means that nothing may be sent.
/// - **A refusal is for all.** [`throttled`](Self::throttled) holds back everybody who shares the budget.
///
/// # Cancel safety
///
/// A dropped future takes no permit that is not given back.
#[async_trait]
pub trait CallBudget: fmt::Debug + Send + Sync {
    /// Asks to send one request now. It may be worth asking again sooner than an answer says, never later.
    async fn admit(&self) -> Result<Admission, BudgetError>;

    /// Says that the company asked to be left alone this long. Returns how long it has refused every call,
    /// without one success.
    async fn throttled(&self, pause: Duration) -> Result<Duration, BudgetError>;

    /// Says that the company keeps failing: of everybody who shares the budget one request tries it, and the next not sooner
    /// than `apart` after it, until one is served. Whoever has a budget alone has the breaker for that.
    async fn failing(&self, _apart: Duration) {}
}

/// Whether a request may be sent.
#[derive(Debug)]
pub enum Admission {
    /// Now.
    Go(Box<dyn CallPermit>),
    /// Not before this long.
    Wait(Duration),
}

/// The right to send one request. Dropped, it is given back as that of a request that was abandoned on its way.
#[async_trait]
pub trait CallPermit: fmt::Debug + Send + Sync {
    /// Says that the request leaves now. `false` if the permit has gone stale, as in a machine that was asleep: then
    /// it must not leave.
    fn leave(&mut self) -> bool;

    /// Says how the request ended.
    async fn conclude(self: Box<Self>, end: CallEnd);
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// It was never sent.
    Unsent,
    /// It was answered with what it asked for: the calls that Intuit counts.
    Served,
    /// It was refused, or no whole answer came.
    Failed,
}

/// The budget gave no permit.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// The month's calls are used up.
    #[error("the monthly allowance of {allowance} calls is used up; calls are refused until {} UTC", until.date())]
    UsedUp {
        /// How many calls a month has.
        allowance: u64,
        /// When the next month begins.
        until: OffsetDateTime,
    },
    /// Whoever keeps the budget cannot be asked, so nobody knows whether a call is allowed.
    #[error("no call is made while nobody can say whether it is allowed")]
    Unavailable {
        /// Whether time may mend it.
        may_pass: bool,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

// Used behind `Arc<dyn _>` and `Box<dyn _>`; fail the build, not a user, if that stops working.
const _: fn(&dyn CallBudget, Box<dyn CallPermit>) = |_, _| ();
