//! When a request may leave, as a trait: the limits of a company hold over all who share them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

/// Keeps the limits of one company over all who call it.
///
/// # Contract
///
/// - **As the server sees them.** A request counts from when it must have arrived, and is in flight until it was answered;
///   network and scheduling on the way cannot break a limit.
/// - **No call without a permit.** After an error, nothing may be sent.
/// - **A refusal is for all.** [`throttled`](Self::throttled) holds back all who share the budget.
///
/// # Cancel safety
///
/// A dropped future takes no permit that is not given back.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait CallBudget: fmt::Debug + Send + Sync {
    /// Asks to send one request now. It may be useful to ask again sooner than the answer says, never later.
    async fn admit(&self) -> Result<Admission, BudgetError>;

    /// Reports that the company asked for a pause. Returns how long it has refused every call, without one success.
    async fn throttled(&self, pause: Duration) -> Result<Duration, BudgetError>;

    /// Reports that the company keeps failing: of all who share the budget, one request at a time probes it, at least `apart`
    /// after the one before, until one is served. A budget that is not shared leaves that to the breaker.
    async fn failing(&self, apart: Duration) {
        let _ = apart;
    }
}

/// Whether a request may be sent.
#[derive(Debug)]
pub enum Admission {
    /// The request may be sent now.
    Go(Box<dyn CallPermit>),
    /// The request may not be sent before this time has passed; then ask again.
    Wait(Duration),
}

/// The permit to send one request. A permit that is dropped is returned as that of an abandoned request.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait CallPermit: fmt::Debug + Send + Sync {
    /// Reports that the request leaves now. `false` if the permit has expired, such as in a machine that was asleep: then the
    /// request must not leave.
    fn leave(&mut self) -> bool;

    /// How much of a month's allowance is used with this request; `None` for a budget without one.
    fn month(&self) -> Option<MonthlyCalls> {
        None
    }

    /// Reports how the request ended.
    async fn conclude(self: Box<Self>, end: CallEnd);
}

/// The use of a monthly allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthlyCalls {
    /// Calls made this month.
    pub used: u64,
    /// Calls allowed per month.
    pub allowance: u64,
}

impl MonthlyCalls {
    /// Share of the allowance above which it counts as low.
    const LOW: f64 = 0.8;

    /// Whether four fifths of the allowance are used.
    pub fn is_low(self) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = self.used as f64 / self.allowance as f64;
        share >= Self::LOW
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The request was never sent.
    Unsent,
    /// The request was answered with what it asked for: the calls that Intuit counts.
    Served,
    /// The request was refused, or no complete answer arrived.
    Failed,
}

/// The budget gave no permit.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// The month's calls are used up.
    #[error("the monthly allowance of {allowance} calls is used up; calls are refused until {} UTC", until.date())]
    UsedUp {
        /// Calls allowed per month.
        allowance: u64,
        /// When the next month begins.
        until: OffsetDateTime,
    },
    /// The calls that one command may make are used up.
    #[error("the {calls} calls that this command may make are used up")]
    Capped {
        /// Calls allowed for the command.
        calls: u64,
    },
    /// The budget cannot be reached, so it is unknown whether a call is allowed.
    #[error("no call was made, because the call budget could not be checked")]
    Unavailable {
        /// Whether the failure may be transient.
        may_pass: bool,
        /// The underlying error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

// Used behind `Arc<dyn _>` and `Box<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn CallBudget, Box<dyn CallPermit>) = |_, _| ();
