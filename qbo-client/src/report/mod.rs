//! Reports of QuickBooks Online: what can be requested, and how an answer is read.
//!
//! A [`ReportRequest`] names a report and a range of days. A [`Report`] keeps the body of one answer: its rows are read from
//! the bytes one at a time, because a report may have 400,000 cells, and none becomes a tree. [`Report::journal`] groups the
//! lines of a `JournalReport` into transactions, [`Report::listed`] reads the lines of a `TransactionList`, and
//! [`Report::balances`] those of a `TrialBalance`.
//!
//! Both styles are read: the one before the reports of 2026, and theirs. Columns are found by their keys, never by their
//! titles, which are translated.

mod amount;
mod answer;
mod balance;
mod columns;
mod journal;
mod listed;
mod request;
mod rows;

pub use amount::{Amount, UnreadableAmount};
pub use answer::Report;
pub use balance::AccountBalance;
pub use journal::{Journal, JournalTransaction, Posting};
pub use listed::{Listed, ListedTransaction};
pub use request::{Basis, ReportName, ReportRequest};

#[cfg(test)]
mod tests;
