//! The trait that examines stored rows for validation and keeps the findings.

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
    /// Good to know; no action is needed.
    Info,
    /// A person should look.
    Warning,
    /// The stored data contradicts itself or the log.
    Error,
}

words! {
    Severity {
        Info => "info",
        Warning => "warning",
        Error => "error",
    }
}

/// A word that is not a [`Severity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a severity is info, warning or error")]
pub struct UnknownSeverity;

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(word: &str) -> Result<Self, UnknownSeverity> {
        Self::from_word(word).ok_or(UnknownSeverity)
    }
}

/// Something that a person should know about the stored data. It holds dates and numbers, and no text of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Kind of the finding, in one word.
    pub kind: Box<str>,
    /// How much the finding matters.
    pub severity: Severity,
    /// Span of time that the finding is about; `None` if it is about everything that was examined.
    pub span: Option<Window>,
    /// Number of records or days concerned.
    pub amount: u64,
    /// A sentence for people, in our own words.
    pub detail: Box<str>,
}

/// One validation of a pipeline: what was examined, and everything that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationResult {
    /// Name of the pipeline in the log.
    pub entity_name: Box<str>,
    /// What the windows measure, such as `updated`.
    pub time_axis: Box<str>,
    /// When the pipeline was examined, by our clock.
    pub at: OffsetDateTime,
    /// Number of rows examined.
    pub rows: u64,
    /// Findings, the most serious first.
    pub findings: Vec<Finding>,
}

/// What to examine: the rows in windows of one span, and where their documents hold the values that are checked.
#[derive(Clone, Debug)]
pub struct ValidationQuery<'a> {
    /// Pipeline whose table is examined against its log lines.
    pub pipeline: &'a Pipeline,
    /// Rows whose window overlaps this span are examined.
    pub span: Window,
    /// Windows of the pipeline's axis, in ascending order, without overlaps.
    pub windows: &'a [Window],
    /// Whether the windows measure when the source last changed a document.
    pub by_update: bool,
    /// Upper limit when counting the rows of the whole table.
    pub enough: u64,
    /// Path to the member of a document that holds the time of its last change.
    pub updated: &'a [&'a str],
    /// Path to the member that holds the time of its creation.
    pub created: &'a [&'a str],
    /// Path to the member that holds the number by which people know the document.
    pub number: &'a [&'a str],
}

/// What an examination counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidationStats {
    /// Rows examined.
    pub rows: u64,
    /// Rows in the whole table, up to [`ValidationQuery::enough`].
    pub all_rows: u64,
    /// Rows without an id.
    pub without_key: u64,
    /// Rows whose id another row has too.
    pub repeated_keys: u64,
    /// Rows whose document is empty.
    pub empty_payloads: u64,
    /// Rows whose time, converted to UTC, is not the one that their document gives.
    pub other_times: u64,
    /// Rows whose time lies outside of their window; zero unless the windows measure that time.
    pub outside_window: u64,
    /// Numbers that several documents share, each counted once.
    pub repeated_numbers: u64,
    /// Rows whose time lies in each of [`ValidationQuery::windows`], whatever window they were read in.
    pub in_windows: Vec<u64>,
    /// Rows of the span by the UTC day on which the source last changed them; days without rows are left out.
    pub by_update: Vec<(Date, u64)>,
    /// Rows of the span by the day on which they were created, where the document gives it.
    pub by_creation: Vec<(Date, u64)>,
    /// Rows that were created in the first half of the span, by the number of days until their last change.
    pub lags: Vec<(u32, u64)>,
}

/// What a survey counted: the part of [`ValidationStats`] that can be counted without unpacking a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSurvey {
    /// Rows in the whole table, up to the given limit.
    pub all_rows: u64,
    /// Rows of the windows without an id.
    pub without_key: u64,
    /// Rows of the windows whose document is empty.
    pub empty_payloads: u64,
    /// Rows of the windows that name another one of them as theirs.
    pub outside_window: u64,
    /// Rows whose time lies in each window, whatever window they were read in.
    pub in_windows: Vec<u64>,
}

/// Examines what is stored, and records the findings.
///
/// # Contract
///
/// - [`examine`](Self::examine) and [`survey`](Self::survey) change nothing and see one snapshot. A table that does not exist
///   holds nothing.
/// - The cost of an examination grows with the rows of its span, and that of a survey with the rows of its windows, whatever
///   else is stored.
/// - Results are only ever added: every examination stays, and [`validated`](Self::validated) returns the newest of each
///   pipeline.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Validation: fmt::Debug + Send + Sync {
    /// Counts everything that an examination needs.
    async fn examine<'a>(&self, inquiry: &ValidationQuery<'a>) -> Result<ValidationStats, StoreError>;

    /// Counts the rows whose time lies in each of these windows, which must be in ascending order and not overlap, and the rows
    /// of the whole table up to `enough`.
    async fn survey(
        &self,
        pipeline: &Pipeline,
        windows: &[Window],
        enough: u64,
    ) -> Result<TableSurvey, StoreError>;

    /// Counts the rows whose time lies in a window, by the day on which they were created, where the document gives it.
    async fn made_by_day<'a>(
        &self,
        pipeline: &Pipeline,
        window: Window,
        created: &[&'a str],
    ) -> Result<Vec<(Date, u64)>, StoreError>;

    /// Number of rows that runs have ever replaced: up to that many may have left the window in which they were counted.
    async fn replaced(&self, entity_name: &str) -> Result<u64, StoreError>;

    /// Returns those of `runs` after which the pipeline was validated, and whose newest validation has no finding of this kind
    /// as an error. A run with one has to be validated again until there is none.
    async fn looked_over(
        &self,
        entity_name: &str,
        runs: &[RunId],
        kind: &str,
    ) -> Result<Vec<RunId>, StoreError>;

    /// Ranges of runs that overlap a span and whose newest validation of a pipeline was made at the given time or later and
    /// has no finding of this kind as an error, each with the time of that validation.
    async fn sound_ranges(
        &self,
        pipeline: &Pipeline,
        span: Window,
        since: OffsetDateTime,
        kind: &str,
    ) -> Result<Vec<(Window, OffsetDateTime)>, StoreError>;

    /// Records what was found after a run.
    async fn keep_validated(&self, run: &RunId, validated: &[ValidationResult]) -> Result<(), StoreError>;

    /// Newest result of each pipeline after a run.
    async fn validated(&self, run: &RunId) -> Result<Vec<ValidationResult>, StoreError>;
}

// Used behind `&dyn _`: a change that breaks this fails the build, not a user.
const _: fn(&dyn Validation) = |_| ();
