//! When a request may be sent: the limits of the company, and the waits after its failures.
//!
//! [`RatePolicy`] has the numbers, and [`CallBudget`] is the trait. [`LocalBudget`] keeps the limits of a single process; several
//! processes that call one company share a budget of their own. [`CallCap`] limits the calls of one command.
//! [`Throttle`], [`Backoff`] and [`Breaker`] are pure state machines: time is an argument, and they never wait.

mod backoff;
mod breaker;
mod budget;
mod cap;
mod local;
mod policy;
mod ramp;
#[cfg(feature = "http")]
mod silence;
mod streak;
mod throttle;

pub use backoff::Backoff;
#[cfg(feature = "http")]
pub(crate) use breaker::COOL_DOWN;
pub use breaker::{Breaker, BreakerState};
pub use budget::{Admission, BudgetError, CallBudget, CallEnd, CallPermit, MonthlyCalls};
#[cfg(feature = "mock")]
pub use budget::{MockCallBudget, MockCallPermit};
pub use cap::CallCap;
pub use local::LocalBudget;
pub use policy::RatePolicy;
#[cfg(feature = "http")]
pub use silence::MOST_SILENCE;
#[cfg(feature = "http")]
pub(crate) use silence::Silence;
pub use throttle::{Throttle, Ticket};
