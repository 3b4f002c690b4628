//! What is done with a page before a store writes it, the same in every store.
//!
//! [`check_storable`] says whether a document can become a `jsonb` value. What cannot goes to quarantine by itself, and a document
//! that a row says less of than was sent is kept beside its row.

pub(crate) mod duplicate_keys;
mod jsonb_check;
mod page;

pub use jsonb_check::{Unstorable, check_storable};
#[cfg(feature = "pg")]
pub(crate) use page::QuarantinedDoc;
pub(crate) use page::{CHANGES_SPREAD_WITHIN, Candidate, LANDS_WITHIN, PreparedPage, note_altered};
