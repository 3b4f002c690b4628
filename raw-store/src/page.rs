use std::ops::AddAssign;
use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;

use crate::{Lease, Pipeline, RunId, ScanCursor, Window, WindowCounts, WindowState};

/// One document of a page, ready to land.
#[derive(Clone, Debug)]
pub struct Row {
    /// The document's id at the source, the primary key of its table.
    pub id: Box<str>,
    /// The document as received: JSON text, never re-encoded.
    pub payload: Bytes,
    /// Which of [`PageCommit::windows`] the document belongs to.
    pub window: usize,
    /// When the source last changed the document; first part of its version.
    pub updated_at: Option<OffsetDateTime>,
    /// The source's edit counter; second part of its version.
    pub sync_token: Option<i64>,
}

/// A document that cannot be stored as a row. It is kept with its bytes and the reason.
#[derive(Clone, Debug)]
pub struct RejectedRow {
    /// The document's id, where it has a usable one.
    pub id: Option<Box<str>>,
    /// The document as received.
    pub raw: Bytes,
    /// Why it cannot be a row, in our own words (no payload text).
    pub reason: Box<str>,
    /// Which of [`PageCommit::windows`] the document belongs to.
    pub window: usize,
}

/// What a page means for one window: the records are counted by the store, the rest is said here.
#[derive(Clone, Debug)]
pub struct WindowChange {
    /// The window whose log line changes.
    pub window: Window,
    /// Its state after this page: `Running`, `Completed` or `Provisional`.
    pub state: WindowState,
    /// Where a later run goes on inside this window. `None` once it is closed, or if nothing of it was read.
    pub cursor: Option<ScanCursor>,
    /// The share of the page's time that is accounted to this window.
    pub duration: Duration,
    /// The number of the page of this run that changed the line before, 0 if none has since the run opened it: the log has
    /// to say so too, otherwise the page is refused with `LogMoved`. `None` goes on top of whatever is there.
    pub after: Option<u32>,
}

/// One page and everything that becomes true with it, committed in one transaction or not at all.
#[derive(Clone, Debug)]
pub struct PageCommit {
    /// Where the rows land and which log lines change.
    pub pipeline: Pipeline,
    /// The run that read the page.
    pub run: RunId,
    /// The proof that this process owns the pipeline.
    pub lease: Lease,
    /// Number of the page in this run and pipeline, from 1. Together they name the commit: a second commit
    /// under the same name changes nothing and returns the first one's outcome.
    pub page_number: u32,
    /// How many records were asked for.
    pub page_size: u32,
    /// What was asked, as a JSON object without secrets.
    pub request: Box<str>,
    /// When asking began, by our clock.
    pub started_at: OffsetDateTime,
    /// Now, by our clock; becomes `ingested_at_utc`.
    pub ingested_at: OffsetDateTime,
    /// The source's own clock when it answered; third part of each row's version.
    pub answered_at: OffsetDateTime,
    /// A time that no clock was past when the source answered: what claims to be from after it is not of this world.
    pub latest_at: OffsetDateTime,
    /// Whether what is stored is told from these documents by its content. Otherwise by the fingerprint that was taken when
    /// it landed, which is faster, and does not see what somebody changed by hand since. By content, a row that was landed
    /// before the page was asked for is replaced also if it says that it is newer, unless the source changed it in the last
    /// minutes.
    pub by_content: bool,
    /// The documents, each id at most once.
    pub rows: Vec<Row>,
    /// The documents that are already known not to fit.
    pub rejected: Vec<RejectedRow>,
    /// The windows that this page touches or closes, in ascending order, at least one.
    pub windows: Vec<WindowChange>,
}

/// What became of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOutcome {
    /// The whole page.
    pub total: WindowCounts,
    /// The same, per entry of [`PageCommit::windows`].
    pub windows: Vec<WindowCounts>,
    /// What was found beside the documents that are stored already.
    pub altered: Altered,
}

/// Rows that do not agree with their document, although it landed in them: somebody has changed them since. A page looks at
/// the rows of its own documents, as far as their fingerprints are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Altered {
    /// Rows that have another time than their document gives.
    pub other_times: u64,
    /// Rows whose document says nothing any more.
    pub empty_payloads: u64,
}

impl AddAssign for Altered {
    fn add_assign(&mut self, more: Self) {
        self.other_times += more.other_times;
        self.empty_payloads += more.empty_payloads;
    }
}
