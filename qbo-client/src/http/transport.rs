//! One attempt, as a seam: a request out, an answer in. No decision is taken here.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use qbo_auth::AccessToken;
use time::OffsetDateTime;

use crate::query::EntityName;

/// Carries one request to one company, and what came back for it.
///
/// # Contract
///
/// **One call, one request.** Nothing below this trait repeats a request, follows a redirect or judges an answer:
/// limits, repeats and the breaker are above it.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends one request.
    ///
    /// # Errors
    ///
    /// [`TransportError`] where no whole answer came.
    async fn send(&self, call: Call<'_>, token: &AccessToken) -> Result<Received, TransportError>;
}

const _: fn(&dyn Transport) = |_| ();

/// What is asked for. There is no way to say anything that would change the company: Intuit has no scope that only reads.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// A statement of the query language.
    Query(&'a str),
    /// What changed of an entity, deletions included.
    Changes {
        /// The entity.
        entity: &'a EntityName,
        /// Since when.
        since: OffsetDateTime,
    },
}

/// A whole answer.
#[derive(Clone)]
pub struct Received {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// Intuit's transaction id: letters, digits and dashes.
    pub intuit_tid: Option<Box<str>>,
    /// The header `Date`.
    pub date: Option<OffsetDateTime>,
    /// The body, decompressed.
    pub body: Bytes,
}

/// Says how much there is, and nothing of what it says.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Why no whole answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// No connection, or it broke.
    Connection,
    /// The answer did not come in time.
    Timeout,
    /// The peer could not prove who it is.
    Insecure(&'static str),
    /// The body passed the limit.
    TooLarge,
}
