#![doc = include_str!("../README.md")]

mod entity;
mod query;
mod page_size;
mod layout;
mod page;
mod split;
mod mend;
mod timestamp;
mod member;
mod deletions;
mod client;
#[cfg(feature = "http")]
mod http;
mod budget;
mod local_budget;
mod transport;
#[cfg(feature = "http")]
mod https;
mod classify;
mod fault;
mod throttle;
mod slow_start;
mod refusals;
#[cfg(feature = "http")]
mod silence;
mod backoff;
mod breaker;
mod meter;
mod signal;
mod error;

pub use backoff::Backoff;
pub use breaker::{Breaker, BreakerState};
pub use budget::{Admission, BudgetError, CallBudget, CallEnd, CallPermit};
pub use bytes::Bytes;
pub use classify::{Answer, Cause, Verdict, classify};
pub use client::QboClient;
pub use deletions::{Deleted, Deletions};
pub use entity::{EntityName, InvalidEntityName};
pub use error::{Advice, Error, ErrorKind, Refusal};
pub use fault::{Fault, FaultError};
#[cfg(feature = "http")]
pub use http::{BuildError, HttpQboClient, HttpQboClientBuilder};
pub use layout::RecordLayout;
pub use local_budget::LocalBudget;
pub use meter::{Meter, Usage};
pub use page::{IdentityProblem, RawPage, RawRecord};
pub use page_size::{InvalidPageSize, PageSize};
pub use query::{Comparison, MINOR_VERSION, Predicate, Property, Query, Value};
pub use signal::{Signal, WaitReason};
#[cfg(feature = "http")]
pub use silence::MOST_SILENCE;
pub use split::SplitError;
pub use throttle::{Limits, Throttle, Ticket};
pub use transport::{Call, Lost, Received, Transport};
