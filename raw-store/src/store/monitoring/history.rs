//! The trait that shows what happened, in the order of time.

#![cfg_attr(feature = "mock", allow(clippy::ref_option_ref, reason = "the mock is generated"))]

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{AsOf, RunId, Severity, StoreError, TriggerName, Window};

/// What an entry of the history tells of. The order is that of entries with the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HistoryKind {
    /// An event that was recorded as such.
    Event,
    /// A finding of a validation.
    Finding,
    /// A page that was committed.
    Page,
    /// A request that a run stops.
    RunAskedToStop,
    /// A run that began.
    RunBegun,
    /// A run that ended.
    RunEnded,
    /// A change of a trigger.
    Trigger,
    /// The result of a verification.
    Verification,
    /// A window that was closed or failed.
    Window,
}

words! {
    HistoryKind {
        Event => "event",
        Finding => "finding",
        Page => "page",
        RunAskedToStop => "run asked to stop",
        RunBegun => "run begun",
        RunEnded => "run ended",
        Trigger => "trigger",
        Verification => "verification",
        Window => "window",
    }
}

/// The part of the work that an entry belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HistoryPhase {
    /// Signing in at the source, and the secrets that this needs.
    Auth,
    /// Requests to the source, their waits and repetitions.
    Extract,
    /// Pages and windows that are stored.
    Load,
    /// Runs as a whole.
    Run,
    /// Triggers, and the workers that fire them.
    Trigger,
    /// Validations of what is stored.
    Validate,
    /// Verifications against the source.
    Verify,
    /// Acts of people in the console.
    Console,
}

words! {
    HistoryPhase {
        Auth => "auth",
        Extract => "extract",
        Load => "load",
        Run => "run",
        Trigger => "trigger",
        Validate => "validate",
        Verify => "verify",
        Console => "console",
    }
}

/// A word that is not a [`HistoryPhase`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a phase is auth, extract, load, run, trigger, validate, verify or console")]
pub struct UnknownPhase;

impl FromStr for HistoryPhase {
    type Err = UnknownPhase;

    fn from_str(word: &str) -> Result<Self, UnknownPhase> {
        Self::from_word(word).ok_or(UnknownPhase)
    }
}

/// One entry of the history. It holds no text of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When it happened.
    pub at: OffsetDateTime,
    /// What it tells of.
    pub kind: HistoryKind,
    /// Distinguishes entries of one kind and time.
    pub key: Box<str>,
    /// How much it matters.
    pub level: Severity,
    /// Part of the work that it belongs to.
    pub phase: HistoryPhase,
    /// What happened, in the words that the store keeps: the kind of an event or finding, the change of a trigger, the state of a
    /// window, the status of a run, the result of a verification, or the number of a page.
    pub event: Box<str>,
    /// Run concerned, if any. Of a verification it is the verification's own id.
    pub run: Option<RunId>,
    /// Pipeline concerned, by its name in the log, if any.
    pub entity_name: Option<Box<str>>,
    /// Trigger concerned, if any.
    pub trigger: Option<TriggerName>,
    /// Who did it, if that is recorded.
    pub who: Option<Box<str>>,
    /// Stable code of the error, if it is about one.
    pub code: Option<Box<str>>,
    /// Span of time that it is about, if any.
    pub span: Option<Window>,
    /// Number of records concerned, if any.
    pub records: Option<u64>,
    /// Details, in our own words.
    pub detail: Option<Box<str>>,
}

/// Which entries to show. An entry must match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Only entries that matter at least this much.
    pub level: Option<Severity>,
    /// Only entries of this phase.
    pub phase: Option<HistoryPhase>,
    /// Only entries about this run.
    pub run: Option<RunId>,
    /// Only entries about this pipeline.
    pub entity_name: Option<Box<str>>,
    /// Only what was done by this person or program.
    pub who: Option<Box<str>>,
    /// Only entries whose event, code or detail contains this text, whatever its case. It has no wildcards. Pages have no text.
    pub text: Option<Box<str>>,
}

/// The position of an entry in the history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryKey {
    /// When it happened.
    pub at: OffsetDateTime,
    /// What it tells of.
    pub kind: HistoryKind,
    /// Distinguishes entries of one kind and time.
    pub key: Box<str>,
}

impl From<&HistoryEntry> for HistoryKey {
    fn from(entry: &HistoryEntry) -> Self {
        Self { at: entry.at, kind: entry.kind, key: entry.key.clone() }
    }
}

/// In which order entries are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryOrder {
    /// The latest entry first.
    #[default]
    NewestFirst,
    /// The earliest entry first.
    OldestFirst,
}

/// Shows what happened: pages, windows, runs, triggers, findings, verifications and events, in the order of time.
///
/// # Contract
///
/// - **Read only**, and each answer is one snapshot.
/// - The log keeps the last attempt of each window: of the earlier ones, the pages and the runs remain.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait HistoryReader: fmt::Debug + Send + Sync {
    /// Lists the entries of a span that match: at most `limit` of them behind `after` in the given order, which is that of
    /// [`HistoryKey`] or its reverse. Fewer than `limit` mean that there are no more.
    #[allow(
        clippy::too_many_arguments,
        reason = "a page has a range, a filter, an order, a start and a size"
    )]
    async fn happened<'a>(
        &self,
        span: Window,
        filter: &HistoryFilter,
        order: HistoryOrder,
        after: Option<&'a HistoryKey>,
        limit: u32,
    ) -> Result<AsOf<Vec<HistoryEntry>>, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn HistoryReader) = |_| ();
