//! The trait `QboClient`, through which everything reads a QuickBooks Online company.

use std::fmt;

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::error::Error;
use crate::event::ClientEvent;
use crate::page::{Deletions, RawPage};
use crate::query::{EntityName, Query};
use crate::report::{Report, ReportRequest};
use crate::usage::Usage;

/// Reads one QuickBooks Online company.
///
/// # Contract
///
/// - **Whole or nothing.** A page is complete and consistent, as QBO meant it; an answer that is truncated, faulty or
///   contradicts itself is an error.
/// - **Polite.** All limits of the company are kept, over all callers of one client.
/// - **Patient.** Transient failures are repeated inside; repeating the call at once does not help against an error that is
///   returned.
/// - **Read only.** No call can change the company.
///
/// # Cancel safety
///
/// Dropping a future abandons its request. Limits, breaker and tokens stay consistent.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait QboClient: fmt::Debug + Send + Sync {
    /// Reads the page that the query asks for.
    async fn fetch_page(&self, query: &Query) -> Result<RawPage, Error>;

    /// Counts the records that match the query, whatever its page. It costs one call.
    async fn count(&self, query: &Query) -> Result<u64, Error>;

    /// Lists the records of an entity that were deleted since an instant. Change data capture is the only trace of a deleted
    /// transaction; QBO keeps it for 30 days, and not for every entity. It costs one call.
    async fn deleted_since(&self, entity: &EntityName, since: OffsetDateTime) -> Result<Deletions, Error>;

    /// Reads a report. It costs one call. A report that QuickBooks has cut off is returned as such.
    async fn fetch_report(&self, request: &ReportRequest) -> Result<Report, Error>;

    /// What reading has cost so far.
    fn usage(&self) -> Usage;

    /// Subscribes to the client's events: waits, repeats, and changes of its circuit breaker. A subscriber receives all events
    /// from now on; each is sent before the request that it belongs to returns.
    fn subscribe(&self) -> UnboundedReceiver<ClientEvent>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn QboClient) = |_| ();
