#![doc = include_str!("../README.md")]

pub mod attachment;
mod client;
mod error;
mod event;
pub mod http;
pub mod limit;
#[cfg(feature = "mock")]
pub mod mock;
pub mod page;
pub mod query;
pub mod report;
mod usage;

pub use attachment::{AttachedFile, Attachment, FileLink, attachments_query};
#[cfg(feature = "http")]
pub use attachment::{FileBody, FileError, FileHost};
pub use bytes::Bytes;
pub use client::QboClient;
pub use error::{Advice, Cause, Error, ErrorKind, Refusal};
pub use event::{ClientEvent, Subscribers, WaitReason};
pub use http::{Answer, Call, Fault, FaultError, Received, Transport, TransportError, Verdict, classify};
#[cfg(feature = "http")]
pub use http::{BuildError, HttpQboClient, HttpQboClientBuilder};
#[cfg(feature = "http")]
pub use limit::MOST_SILENCE;
pub use limit::{
    Admission, Backoff, Breaker, BreakerState, BudgetError, CallBudget, CallCap, CallEnd, CallPermit,
    LocalBudget, MonthlyCalls, RatePolicy, Throttle, Ticket,
};
pub use page::{Deleted, Deletions, IdentityProblem, RawPage, RawRecord, SplitError};
pub use query::{
    Comparison, EntityName, Include, InvalidEntityName, InvalidPageSize, MINOR_VERSION, PageSize, Predicate,
    Property, Query, RecordLayout, Value,
};
pub use report::{
    AccountBalance, Amount, Basis, Journal, JournalTransaction, Listed, ListedTransaction, Posting, Report,
    ReportName, ReportRequest, UnreadableAmount,
};
pub use usage::{Meter, Usage};
