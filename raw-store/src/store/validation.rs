use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use crate::{Pipeline, RunId, StoreError, Window};

/// How much a finding matters. The words are those of `raw.backfill_finding.severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// A person should look.
    Warning,
    /// What is stored contradicts itself or the log.
    Error,
}

words! {
    Severity {
        Info => "info",
        Warning => "warning",
        Error => "error",
    }
}

/// A word that is no severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a severity is info, warning or error")]
pub struct UnknownSeverity;

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(word: &str) -> Result<Self, UnknownSeverity> {
        Self::from_word(word).ok_or(UnknownSeverity)
    }
}

/// Something that a person should know about what is stored. It holds days and numbers, and no text of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing was found, in one word.
    pub kind: Box<str>,
    /// How much it matters.
    pub severity: Severity,
    /// The time it is about; `None` if it is about all that was examined.
    pub span: Option<Window>,
    /// How many records or days.
    pub amount: u64,
    /// A sentence for people, in our own words.
    pub detail: Box<str>,
}

/// One examination of a pipeline: what was looked at, and everything that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationResult {
    /// The pipeline's name in the log.
    pub entity_name: Box<str>,
    /// What the windows measure.
    pub time_axis: Box<str>,
    /// When, by our clock.
    pub at: OffsetDateTime,
    /// Rows that were looked at.
    pub rows: u64,
    /// What was found, the most serious first.
    pub findings: Vec<Finding>,
}

/// What to look at: the rows that lie in windows of one span, and where their documents say what.
#[derive(Clone, Debug)]
pub struct ValidationQuery<'a> {
    /// The table, and the lines of the log that account for it.
    pub pipeline: &'a Pipeline,
    /// Rows are looked at whose window shares an instant with it.
    pub span: Window,
    /// Windows of the pipeline's axis that do not overlap, in ascending order.
    pub windows: &'a [Window],
    /// Whether the windows measure when the source last changed a document.
    pub by_update: bool,
    /// Rows of the whole table are counted up to so many.
    pub enough: u64,
    /// The member of a document that says when it was last changed: the names on the way to it.
    pub updated: &'a [&'a str],
    /// The member that says when it was made.
    pub created: &'a [&'a str],
    /// The member that holds the number that people know it by.
    pub number: &'a [&'a str],
}

/// What an examination counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidationStats {
    /// Rows that were looked at.
    pub rows: u64,
    /// Rows in the whole table, but no more than [`ValidationQuery::enough`].
    pub all_rows: u64,
    /// Rows without an id.
    pub without_key: u64,
    /// Rows whose id another row has too.
    pub repeated_keys: u64,
    /// Rows whose document says nothing.
    pub empty_payloads: u64,
    /// Rows whose time is not the one that their document gives, brought to UTC.
    pub other_times: u64,
    /// Rows whose time lies outside of their window; zero unless the windows measure it.
    pub outside_window: u64,
    /// Numbers that several documents have, each counted once.
    pub repeated_numbers: u64,
    /// Rows whose time lies in each of [`ValidationQuery::windows`], wherever they were read.
    pub in_windows: Vec<u64>,
    /// Rows of the span by the day, in UTC, on which the source last changed them; days with none are left out.
    pub by_update: Vec<(Date, u64)>,
    /// Rows of the span by the day on which they were made, where the document says so.
    pub by_creation: Vec<(Date, u64)>,
    /// Rows that were made in the first half of the span, by the days until their last change.
    pub lags: Vec<(u32, u64)>,
}

/// What a survey counted: as much of an [`ValidationStats`] as can be told without unpacking a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSurvey {
    /// Rows in the whole table, but no more than asked for.
    pub all_rows: u64,
    /// Rows of the windows without an id.
    pub without_key: u64,
    /// Rows of the windows whose document says nothing.
    pub empty_payloads: u64,
    /// Rows of the windows that name another one of them.
    pub outside_window: u64,
    /// Rows whose time lies in each window, wherever they were read.
    pub in_windows: Vec<u64>,
}

/// Looks over what is stored, and remembers what was found.
///
/// # Contract
///
/// - [`examine`](Self::examine) and [`survey`](Self::survey) change nothing and see one moment. A table that does not exist
///   holds nothing.
/// - What an examination costs grows with the rows of its span; what a survey costs, with the rows of its windows, whatever
///   else is stored.
/// - What was found is only added to: every examination stays, and [`validated`](Self::validated) shows the newest of each
///   pipeline.
#[async_trait]
pub trait Validation: fmt::Debug + Send + Sync {
    /// Counts what an examination needs to know.
    async fn examine(&self, inquiry: &ValidationQuery<'_>) -> Result<ValidationStats, StoreError>;

    /// Counts the rows whose time lies in windows that do not overlap, in ascending order, and the rows of the whole table up
    /// to `enough`.
    async fn survey(
        &self,
        pipeline: &Pipeline,
        windows: &[Window],
        enough: u64,
    ) -> Result<TableSurvey, StoreError>;

    /// Rows whose time lies in a window, by the day on which they were made, where the document says so.
    async fn made_by_day(
        &self,
        pipeline: &Pipeline,
        window: Window,
        created: &[&str],
    ) -> Result<Vec<(Date, u64)>, StoreError>;

    /// Rows that runs have replaced, ever: so many may have left the window that they were counted in.
    async fn replaced(&self, entity_name: &str) -> Result<u64, StoreError>;

    /// Those of some runs whose rows of a pipeline were looked over, and in whose newest look nothing was an error: what was
    /// one has to be looked at until it is none any more.
    async fn looked_over(&self, entity_name: &str, runs: &[RunId]) -> Result<Vec<RunId>, StoreError>;

    /// The ranges of runs that overlap a span, whose newest look over a pipeline came at a time or later and found no error;
    /// and when it came.
    async fn sound_ranges(
        &self,
        pipeline: &Pipeline,
        span: Window,
        since: OffsetDateTime,
    ) -> Result<Vec<(Window, OffsetDateTime)>, StoreError>;

    /// Remembers what was found after a run.
    async fn keep_validated(&self, run: &RunId, validated: &[ValidationResult]) -> Result<(), StoreError>;

    /// What was found last after a run, by pipeline.
    async fn validated(&self, run: &RunId) -> Result<Vec<ValidationResult>, StoreError>;
}

// Used behind `&dyn _`; fail the build, not a user, if that stops working.
const _: fn(&dyn Validation) = |_| ();
