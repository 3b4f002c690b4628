//! One attempt, as a trait: sends a request and returns the answer. It makes no decision.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use qbo_auth::AccessToken;
use time::OffsetDateTime;

use crate::query::{EntityName, Include};
use crate::report::ReportRequest;

/// Sends one request for one company, and returns the answer.
///
/// # Contract
///
/// **One call, one request.** Nothing below this trait repeats a request, follows a redirect or judges an answer: limits,
/// repeats and the breaker are above it.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends one request.
    ///
    /// # Errors
    ///
    /// [`TransportError`] if no complete answer arrived.
    async fn send<'a>(&self, call: Call<'a>, token: &AccessToken) -> Result<Received, TransportError>;
}

const _: fn(&dyn Transport) = |_| ();

/// What a request asks for. No variant can change the company: Intuit has no scope that only reads.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// A statement of the query language.
    Query {
        /// Text of the statement.
        text: &'a str,
        /// What the answer is to hold beyond what it holds by itself.
        include: Option<Include>,
    },
    /// The changes of an entity, deletions included.
    Changes {
        /// Entity to read.
        entity: &'a EntityName,
        /// Start of the changes to report.
        since: OffsetDateTime,
    },
    /// A report over a range of days.
    Report(&'a ReportRequest),
}

/// A complete answer.
#[derive(Clone)]
pub struct Received {
    /// HTTP status.
    pub status: u16,
    /// The `Retry-After` header, as received.
    pub retry_after: Option<String>,
    /// Intuit's transaction id: letters, digits and dashes.
    pub intuit_tid: Option<Box<str>>,
    /// The `Date` header.
    pub date: Option<OffsetDateTime>,
    /// Body of the answer, decompressed.
    pub body: Bytes,
}

/// Shows sizes and no contents.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Why no complete answer arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// No connection was made, or it broke.
    Connection,
    /// The answer did not arrive in time.
    Timeout,
    /// The peer could not prove its identity.
    Insecure(&'static str),
    /// The body exceeded the limit.
    TooLarge,
}
