//! Checks and sorts a page before anything is written: which documents may become rows, and which go to quarantine.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::mem;

use time::OffsetDateTime;

use super::duplicate_keys::repeats_a_key;
use super::jsonb_check::{LARGEST, Unstorable, check_storable};
use crate::digest::Digest;
use crate::{Altered, PageCommit, PageOutcome, Row, StoreErrorKind, WindowCounts};

/// How long an answer of the source may miss a change, because another copy of its data gave that answer. An answer knew every
/// stored version that is older than it by more than this; a version that is newer than it by more than this cannot be true.
pub(crate) const CHANGES_SPREAD_WITHIN: time::Duration = time::Duration::minutes(5);

/// How much later than a page another page that is in progress at the same time may say that it was stored: far more than all
/// repeats of a commit take. A row that claims more was not stored while the page was read.
pub(crate) const LANDS_WITHIN: time::Duration = time::Duration::hours(1);

/// Reason for keeping a document beside its row.
const REPEATED_KEY: &str =
    "a key stands twice in one object: the row has the last one, and these are the bytes as they came";

/// A page, checked and sorted before anything is written.
#[derive(Debug)]
pub(crate) struct PreparedPage<'a> {
    /// Documents that may become rows, by ascending id, so that two transactions that lock the same rows lock them in the same
    /// order.
    pub(crate) candidates: Vec<Candidate<'a>>,
    /// Documents that go to quarantine. Equal ones count twice and are kept once.
    pub(crate) quarantine: BTreeMap<Digest, QuarantinedDoc<'a>>,
    /// Documents that are kept beside their rows, which do not represent all that was sent. They count as rows.
    pub(crate) beside: BTreeMap<Digest, QuarantinedDoc<'a>>,
    /// Counts of the records so far.
    pub(crate) tally: Tally,
}

/// A document that may become a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// The document.
    pub(crate) row: &'a Row,
    /// The fingerprint of its payload.
    pub(crate) digest: Digest,
}

/// A document that goes to quarantine.
#[derive(Clone, Debug)]
pub(crate) struct QuarantinedDoc<'a> {
    /// Its id, if it has one that PostgreSQL can hold.
    pub(crate) id: Option<&'a str>,
    /// Its bytes.
    pub(crate) raw: &'a [u8],
    /// Why it is kept.
    pub(crate) reason: Cow<'a, str>,
    /// Index of its window in the page.
    pub(crate) window: usize,
    /// Whether it has a row as well.
    pub(crate) has_row: bool,
}

impl<'a> QuarantinedDoc<'a> {
    fn of(row: &'a Row, reason: impl Into<Cow<'a, str>>) -> Self {
        Self {
            id: Some(&row.id),
            raw: &row.payload,
            reason: reason.into(),
            window: row.window,
            has_row: false,
        }
    }

    /// The bytes to keep: none of a document that is too large to be kept, which its fingerprint and size describe.
    pub(crate) fn stored_bytes(&self) -> &'a [u8] {
        if self.raw.len() > LARGEST { &[] } else { self.raw }
    }
}

impl<'a> PreparedPage<'a> {
    /// Checks and sorts a page.
    ///
    /// # Errors
    ///
    /// `Configuration` if the page contradicts itself.
    pub(crate) fn of(page: &'a PageCommit) -> Result<Self, StoreErrorKind> {
        check(page)?;
        let mut landing = Self {
            candidates: Vec::with_capacity(page.rows.len()),
            quarantine: BTreeMap::new(),
            beside: BTreeMap::new(),
            tally: Tally(vec![WindowCounts::default(); page.windows.len()]),
        };
        for rejected in &page.rejected {
            let id = rejected.id.as_deref();
            landing.keep(QuarantinedDoc {
                id,
                raw: &rejected.raw,
                reason: (&*rejected.reason).into(),
                window: rejected.window,
                has_row: false,
            });
        }
        for row in &page.rows {
            if let Some(reason) = obstacle(row) {
                landing.put_aside(row, reason);
                continue;
            }
            let digest = Digest::of(&row.payload);
            if repeats_a_key(&row.payload) {
                landing.beside.insert(
                    digest,
                    QuarantinedDoc { has_row: true, ..QuarantinedDoc::of(row, REPEATED_KEY) },
                );
            }
            landing.candidates.push(Candidate { row, digest });
        }
        landing.candidates.sort_unstable_by(|a, b| a.row.id.cmp(&b.row.id));
        if landing.candidates.windows(2).any(|pair| pair[0].row.id == pair[1].row.id) {
            return Err(wrong("an id stands twice in one page"));
        }
        Ok(landing)
    }

    /// Puts a row into quarantine.
    pub(crate) fn put_aside(&mut self, row: &'a Row, reason: impl Into<Cow<'a, str>>) {
        self.keep(QuarantinedDoc::of(row, reason));
    }

    /// Takes all documents whose bytes are to be kept. Those that did not become a row are among them by now.
    pub(crate) fn take_kept(&mut self) -> BTreeMap<Digest, QuarantinedDoc<'a>> {
        let mut kept = mem::take(&mut self.beside);
        kept.append(&mut self.quarantine);
        kept
    }

    fn keep(&mut self, mut kept: QuarantinedDoc<'a>) {
        kept.id = kept.id.filter(|id| !id.contains('\0'));
        self.tally.0[kept.window].quarantined += 1;
        self.quarantine.entry(Digest::of(kept.raw)).or_insert(kept);
    }
}

/// Counts of a page, per window.
#[derive(Clone, Debug)]
pub(crate) struct Tally(Vec<WindowCounts>);

impl Tally {
    /// Counts of the row's window, to be changed.
    pub(crate) fn of(&mut self, row: &Row) -> &mut WindowCounts {
        &mut self.0[row.window]
    }

    /// The counts, with their sum.
    pub(crate) fn outcome(self) -> PageOutcome {
        PageOutcome::from_windows(self.0)
    }
}

impl PageOutcome {
    pub(crate) fn from_windows(windows: Vec<WindowCounts>) -> Self {
        Self { total: windows.iter().copied().sum(), windows, altered: Altered::default() }
    }
}

/// Compares a stored row with the document that was committed in it: counts a row of another time, and an empty document.
pub(crate) fn note_altered(
    altered: &mut Altered,
    row: &Row,
    updated_at: Option<OffsetDateTime>,
    says_nothing: bool,
) {
    // Without fractions of a second: no database keeps all of them.
    let differs =
        |(said, stored): (OffsetDateTime, OffsetDateTime)| said.unix_timestamp() != stored.unix_timestamp();
    altered.other_times += u64::from(row.updated_at.zip(updated_at).is_some_and(differs));
    altered.empty_payloads += u64::from(says_nothing);
}

/// The reason why a document cannot be a row, if there is one.
fn obstacle(row: &Row) -> Option<Cow<'static, str>> {
    if row.id.contains('\0') {
        return Some("the id of the document holds the NUL character".into());
    }
    let reason = check_storable(&row.payload).err()?;
    Some(match reason {
        Unstorable::TooLarge => format!("{reason}: it has {}, which are not kept", row.payload.len()).into(),
        reason => reason.to_string().into(),
    })
}

fn check(page: &PageCommit) -> Result<(), StoreErrorKind> {
    let mut named = page.rows.iter().map(|row| row.window).chain(page.rejected.iter().map(|row| row.window));
    if named.any(|window| window >= page.windows.len()) {
        return Err(wrong("a document names a window that its page does not have"));
    }
    if page.windows.is_empty() {
        return Err(wrong("a page must name at least one window"));
    }
    if page.windows.windows(2).any(|pair| pair[0].window.start() >= pair[1].window.start()) {
        return Err(wrong("the windows of a page must ascend"));
    }
    if page.lease.entity_name != page.pipeline.entity_name {
        return Err(wrong("the lease of a page is one of another pipeline"));
    }
    Ok(())
}

fn wrong(what: &str) -> StoreErrorKind {
    StoreErrorKind::Configuration(what.into())
}
