//! The unit of writing: one page of documents, the windows that it changes, and the outcome of its commit.

use std::ops::AddAssign;
use std::time::Duration;

use bytes::Bytes;
use time::{Date, OffsetDateTime};

use crate::{Lease, Pipeline, RunId, ScanCursor, Window, WindowCounts, WindowState};

/// One document of a page, ready to be stored as a row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Id of the document at the source, the primary key of its table.
    pub id: Box<str>,
    /// The document as received: JSON text, never re-encoded.
    pub payload: Bytes,
    /// Index into [`PageCommit::windows`] of the window that the document belongs to.
    pub window: usize,
    /// When the source last changed the document; the first part of its version.
    pub updated_at: Option<OffsetDateTime>,
    /// The day on which the source last changed the document, if it names a day and no time. No part of the version.
    pub updated_on: Option<Date>,
    /// The source's edit counter; the second part of its version.
    pub sync_token: Option<i64>,
}

/// A document that cannot be stored as a row. Its bytes are kept in quarantine with the reason.
#[derive(Clone, Debug)]
pub struct RejectedRow {
    /// Id of the document, if it has a usable one.
    pub id: Option<Box<str>>,
    /// The document as received.
    pub raw: Bytes,
    /// Why it cannot be a row, in our own words, without text of the document.
    pub reason: Box<str>,
    /// Index into [`PageCommit::windows`] of the window that the document belongs to.
    pub window: usize,
}

/// How a page changes one window. The store counts the records; everything else is given here.
#[derive(Clone, Debug)]
pub struct WindowChange {
    /// Window whose log line changes.
    pub window: Window,
    /// State of the window after this page: `Running`, `Completed` or `Provisional`.
    pub state: WindowState,
    /// Where a later run resumes inside this window. `None` once it is closed, or if nothing of it was read.
    pub cursor: Option<ScanCursor>,
    /// Share of the page's duration that is attributed to this window.
    pub duration: Duration,
    /// Number of this run's previous page for the window, or 0 if no page has changed its line since the run opened it. If the
    /// log says otherwise, the page is refused with `LogMoved`. `None` skips the check.
    pub after: Option<u32>,
}

/// One page and everything that becomes true with it, committed in one transaction or not at all.
#[derive(Clone, Debug)]
pub struct PageCommit {
    /// Pipeline whose table and log lines change.
    pub pipeline: Pipeline,
    /// Run that read the page.
    pub run: RunId,
    /// Lease that proves that this process owns the pipeline.
    pub lease: Lease,
    /// Number of the page in this run and pipeline, counted from 1. The three together identify the commit: a second commit
    /// with the same identity changes nothing and returns the first one's outcome.
    pub page_number: u32,
    /// Number of records that were requested.
    pub page_size: u32,
    /// The request, as a JSON object without secrets.
    pub request: Box<str>,
    /// When the request was started, by our clock.
    pub started_at: OffsetDateTime,
    /// The present time, by our clock; stored as `ingested_at_utc`.
    pub ingested_at: OffsetDateTime,
    /// When the source answered, by its own clock; the third part of each row's version.
    pub answered_at: OffsetDateTime,
    /// Upper bound, over all clocks, of the time at which the source answered. A version that claims a later time cannot be
    /// true.
    pub latest_at: OffsetDateTime,
    /// Whether the page was requested with all fields that the source can include in its documents.
    pub all_fields: bool,
    /// Whether these documents are compared with the stored rows by content. Otherwise they are compared by the fingerprint
    /// that was stored when the page was committed, which is faster, but does not notice rows that were changed by hand since.
    /// By content, a row that was stored before the page was requested is replaced even if it claims to be newer, unless the
    /// source changed it within the last minutes.
    pub by_content: bool,
    /// Documents to store, each id at most once.
    pub rows: Vec<Row>,
    /// Documents that are already known not to fit into a row.
    pub rejected: Vec<RejectedRow>,
    /// Windows that this page touches or closes, in ascending order, at least one.
    pub windows: Vec<WindowChange>,
}

/// What the store did with the records of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOutcome {
    /// Counts of the whole page.
    pub total: WindowCounts,
    /// The same counts for each entry of [`PageCommit::windows`].
    pub windows: Vec<WindowCounts>,
    /// Stored rows that were found to differ from their unchanged documents.
    pub altered: Altered,
}

/// Counts of rows that no longer agree with the document that was stored in them: they were changed by hand since. A commit
/// checks the rows of its own documents, as far as it compares their fingerprints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Altered {
    /// Rows whose time differs from the one in their document.
    pub other_times: u64,
    /// Rows whose document is empty now.
    pub empty_payloads: u64,
}

impl AddAssign for Altered {
    fn add_assign(&mut self, more: Self) {
        self.other_times += more.other_times;
        self.empty_payloads += more.empty_payloads;
    }
}
