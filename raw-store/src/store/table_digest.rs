//! The trait that sums up a table in one digest.

use std::fmt;

use async_trait::async_trait;

use crate::{Pipeline, StoreError};

/// What a table holds, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableDigest {
    /// Number of rows.
    pub rows: u64,
    /// Number of rows that are marked as gone at the source.
    pub gone: u64,
    /// SHA-256 over one line per row, in the bytewise order of ids: the id, a space, the row's `payload_digest` in lower-case
    /// hexadecimal digits, and a line feed. For a table without rows, that of no bytes.
    pub sha256: [u8; 32],
}

/// Sums up tables, so that a later sum shows whether a row was added, removed or replaced.
///
/// # Contract
///
/// - **One moment.** The numbers and the digest are of the same state of the table.
/// - A row's `payload_digest` is that of the bytes that the source sent. Somebody who changes `payload` alone by hand does not
///   change it.
/// - A table that does not exist has no rows.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TableDigests: fmt::Debug + Send + Sync {
    /// Sums up a pipeline's table. Reads all of its ids and digests, and keeps none.
    async fn table_digest(&self, pipeline: &Pipeline) -> Result<TableDigest, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn TableDigests) = |_| ();
