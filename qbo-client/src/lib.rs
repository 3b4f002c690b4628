#![doc = include_str!("../README.md")]

#[path = "query/entity.rs"]
mod entity;
mod query;
#[path = "query/page_size.rs"]
mod page_size;
#[path = "query/layout.rs"]
mod layout;
mod page;
#[path = "page/split.rs"]
mod split;
#[path = "page/mend.rs"]
mod mend;
#[path = "page/timestamp.rs"]
mod timestamp;
#[path = "page/json_members.rs"]
mod member;
#[path = "page/cdc.rs"]
mod deletions;
mod client;
#[cfg(feature = "http")]
#[path = "http/client.rs"]
mod http;
#[path = "limit/budget.rs"]
mod budget;
#[path = "limit/local.rs"]
mod local_budget;
#[path = "http/transport.rs"]
mod transport;
#[cfg(feature = "http")]
#[path = "http/https.rs"]
mod https;
#[path = "http/classify.rs"]
mod classify;
#[path = "http/fault.rs"]
mod fault;
#[path = "limit/throttle.rs"]
mod throttle;
#[path = "limit/ramp.rs"]
mod slow_start;
#[path = "limit/streak.rs"]
mod refusals;
#[cfg(feature = "http")]
#[path = "limit/silence.rs"]
mod silence;
#[path = "limit/backoff.rs"]
mod backoff;
#[path = "limit/breaker.rs"]
mod breaker;
#[path = "usage.rs"]
mod meter;
#[path = "event.rs"]
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
