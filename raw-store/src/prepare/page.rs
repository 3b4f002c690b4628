use std::borrow::Cow;
use std::collections::BTreeMap;
use std::mem;

use time::OffsetDateTime;

use super::duplicate_keys::repeats_a_key;
use super::jsonb_check::{LARGEST, Unstorable, check_storable};
use crate::digest::Digest;
use crate::planted::is_planted;
use crate::{Altered, PageCommit, PageOutcome, Row, StoreErrorKind, WindowCounts};

/// How long a change at the source may be unknown to one of its answers, because another copy of its data gave it. A stored
/// version that is older than an answer by more than this was known to it; one that is newer by more than this cannot be.
pub(crate) const CHANGES_SPREAD_WITHIN: time::Duration = time::Duration::minutes(5);

/// How much later than a page another one may say that it was landed, where both are under way: far more than all repeats of
/// a commit take. A row that says so by more was not landed while the page was read.
pub(crate) const LANDS_WITHIN: time::Duration = time::Duration::hours(1);

/// Why a document is kept beside its row.
const REPEATED_KEY: &str =
    "a key stands twice in one object: the row has the last one, and these are the bytes as they came";

/// A page, sorted out before anything is written.
#[derive(Debug)]
pub(crate) struct PreparedPage<'a> {
    /// The documents that may become rows, by ascending id: two transactions that lock the same rows lock
    /// them in the same order.
    pub(crate) candidates: Vec<Candidate<'a>>,
    /// The documents that are kept aside. Equal ones count twice and are kept once.
    pub(crate) quarantine: BTreeMap<Digest, QuarantinedDoc<'a>>,
    /// The documents that are kept beside their rows, which say less than was sent. They count as rows.
    pub(crate) beside: BTreeMap<Digest, QuarantinedDoc<'a>>,
    /// What has become of the records so far.
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

/// A document for the quarantine.
#[derive(Clone, Debug)]
pub(crate) struct QuarantinedDoc<'a> {
    /// Its id, where it has one that PostgreSQL can hold.
    pub(crate) id: Option<&'a str>,
    /// Its bytes.
    pub(crate) raw: &'a [u8],
    /// Why it is here.
    pub(crate) reason: Cow<'a, str>,
    /// Which window of the page it belongs to.
    pub(crate) window: usize,
    /// Whether it has a row all the same.
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

    /// The bytes to keep: none of what is too large to be kept, of which its fingerprint and its size tell.
    pub(crate) fn stored_bytes(&self) -> &'a [u8] {
        if self.raw.len() > LARGEST { &[] } else { self.raw }
    }
}

impl<'a> PreparedPage<'a> {
    /// Sorts out a page.
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

    /// All documents whose bytes are to be kept. Whatever did not become a row is among them by now.
    pub(crate) fn take_kept(&mut self) -> BTreeMap<Digest, QuarantinedDoc<'a>> {
        let mut kept = mem::take(&mut self.beside);
        kept.append(&mut self.quarantine);
        kept
    }

    fn keep(&mut self, mut kept: QuarantinedDoc<'a>) {
        kept.id = kept.id.filter(|id| !id.contains('\0'));
        if !is_planted("quarantine uncounted") {
            self.tally.0[kept.window].quarantined += 1;
        }
        self.quarantine.entry(Digest::of(kept.raw)).or_insert(kept);
    }
}

/// The counts of a page, per window.
#[derive(Clone, Debug)]
pub(crate) struct Tally(Vec<WindowCounts>);

impl Tally {
    /// Counts of one window, to be changed.
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

/// Adds what is stored of a document that landed before: its row's time, and whether the row's document says nothing.
pub(crate) fn note_altered(
    altered: &mut Altered,
    row: &Row,
    updated_at: Option<OffsetDateTime>,
    says_nothing: bool,
) {
    // Fractions of a second aside: no database keeps all of them.
    let differs =
        |(said, stored): (OffsetDateTime, OffsetDateTime)| said.unix_timestamp() != stored.unix_timestamp();
    altered.other_times += u64::from(row.updated_at.zip(updated_at).is_some_and(differs));
    altered.empty_payloads += u64::from(says_nothing);
}

/// What keeps a document from being a row, if anything.
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
