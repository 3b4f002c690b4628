use std::fmt;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::error::Error;
use crate::page::{Deletions, RawPage};
use crate::query::{EntityName, Query};
use crate::usage::Usage;

/// Reads one QuickBooks Online company.
///
/// # Contract
///
/// - **Whole or nothing.** A page is complete and consistent as QBO meant it; what is cut short, faulty or
///   contradicts itself is an error.
/// - **Polite.** All limits of the company are kept over all callers of one client.
/// - **Patient.** What may pass is repeated inside; an error that comes out will not go away by asking again
///   at once.
/// - **Read only.** No call can change the company.
///
/// # Cancel safety
///
/// Dropping a future abandons its request. Limits, breaker and tokens stay consistent.
#[async_trait]
pub trait QboClient: fmt::Debug + Send + Sync {
    /// Reads the page that the query asks for.
    async fn fetch_page(&self, query: &Query) -> Result<RawPage, Error>;

    /// Counts the records that match the query, whatever its page. Costs one call.
    async fn count(&self, query: &Query) -> Result<u64, Error>;

    /// Names records of an entity that were deleted since an instant: the one trace that a deleted transaction leaves, for
    /// 30 days, and not of every entity. Costs one call.
    async fn deleted_since(&self, entity: &EntityName, since: OffsetDateTime) -> Result<Deletions, Error>;

    /// What reading has cost so far.
    fn usage(&self) -> Usage;
}

// Used behind `Arc<dyn _>`; fail the build, not a user, if that stops working.
const _: fn(&dyn QboClient) = |_| ();
