//! Prepares a page before a store writes it, in the same way for every store.
//!
//! [`check_storable`] says whether a document can become a `jsonb` value. A document that cannot goes to quarantine by itself,
//! and a document that its row cannot represent fully is also kept beside the row.

pub(crate) mod duplicate_keys;
mod jsonb_check;
mod page;
mod table_sum;

pub use jsonb_check::{Unstorable, check_storable};
#[cfg(feature = "pg")]
pub(crate) use page::QuarantinedDoc;
pub(crate) use page::{CHANGES_SPREAD_WITHIN, Candidate, LANDS_WITHIN, PreparedPage, note_altered};
pub(crate) use table_sum::TableSum;
