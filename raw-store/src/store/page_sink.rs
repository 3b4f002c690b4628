//! The trait that commits pages of documents.

use std::fmt;

use async_trait::async_trait;

use crate::{PageCommit, PageOutcome, StoreError};

/// Commits pages of documents.
///
/// # Contract
///
/// - **Atomic.** A page, its quarantined documents, its log lines and the run's totals become visible together or not at all.
/// - **Idempotent.** Committing the same page again (same run, pipeline and page number) changes nothing and returns the same
///   outcome. The same documents in another page count as `unchanged` and are not written.
/// - **Chained.** A page names the page that changed each of its log lines before. If the log says otherwise, because the
///   database forgot pages, the page is refused with `LogMoved` and changes nothing.
/// - **Newer wins.** A row is never replaced by an older version; versions are compared by source time, then sync token, then
///   the time of the answer that carried them.
/// - **Fenced.** A commit whose lease has been taken over is refused with `LeaseLost` and changes nothing.
/// - **Alone.** A document that cannot be stored goes to quarantine by itself; the rest of its page is committed.
///
/// # Cancel safety
///
/// A dropped future has either committed everything or nothing.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PageSink: fmt::Debug + Send + Sync {
    /// Commits one page.
    async fn commit_page(&self, page: &PageCommit) -> Result<PageOutcome, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn PageSink) = |_| ();
