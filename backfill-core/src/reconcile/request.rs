//! What a reconciliation is asked for, and what it costs.

use qbo_client::report::Basis;
use raw_store::{RunId, StoreIdentity};
use time::Date;

use super::period::Period;
use crate::catalog::EntitySpec;

/// The number of months of one `JournalReport`.
pub(super) const JOURNAL_MONTHS: u8 = 1;

/// The number of months of one `TransactionList`, which has one line for each transaction (Intuit's page on reports advises six
/// months at most).
pub(super) const LIST_MONTHS: u8 = 6;

/// The most requests that look up transactions by id. What is not looked up is listed as such.
pub(super) const MOST_LOOKUPS: u64 = 200;

/// A reconciliation with QuickBooks' reports.
#[derive(Clone, Debug)]
pub struct ReconcileRequest {
    /// Id of the reconciliation; runs have others.
    pub id: RunId,
    /// The company.
    pub identity: StoreIdentity,
    /// First day of the transactions to compare.
    pub first: Date,
    /// Last day of the transactions to compare.
    pub last: Date,
    /// When the amounts of the trial balance count. The journal has no basis, so that only `Accrual` can be compared with it.
    pub basis: Basis,
    /// All entities that there are.
    pub entities: Vec<EntitySpec>,
}

/// The price of a reconciliation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconcilePlan {
    /// Requests for `JournalReport`: one a month.
    pub journals: u64,
    /// Requests for `TransactionList`: one for six months.
    pub lists: u64,
    /// Requests for `TrialBalance`: one before the range, and one at the end of each month.
    pub balances: u64,
    /// The most requests that look up transactions by id, which only differences need.
    pub most_lookups: u64,
}

impl ReconcilePlan {
    /// Calls of a reconciliation that finds no differences and meets no report that is too large: each of those is requested
    /// again in halves.
    pub fn calls(&self) -> u64 {
        self.journals + self.lists + self.balances
    }
}

impl ReconcileRequest {
    /// The price of the reconciliation, without calling QuickBooks.
    pub fn plan(&self) -> ReconcilePlan {
        let count = |months| Period::tile(self.first, self.last, months).len() as u64;
        ReconcilePlan {
            journals: count(JOURNAL_MONTHS),
            lists: count(LIST_MONTHS),
            balances: count(JOURNAL_MONTHS) + 1,
            most_lookups: MOST_LOOKUPS,
        }
    }
}
