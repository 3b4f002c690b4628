//! Keeps what a run learned of its records while it committed them, so that validation need not unpack their rows again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qbo_client::RawRecord;
use raw_store::{Altered, OpenWindow, PageCommit, PageOutcome, Window};
use time::{Date, OffsetDateTime};

use crate::id_hash::id_hash;

/// The most records of a run whose heads are kept, at 12 bytes each. Beyond that, the table is queried.
const MOST: usize = 2_000_000;

/// The heads of a run, by pipeline.
#[derive(Debug, Default)]
pub(crate) struct RunHeads(Mutex<HashMap<Box<str>, Arc<Heads>>>);

impl RunHeads {
    /// Returns the heads of a pipeline, to be added to.
    pub(crate) fn of(&self, entity_name: &str) -> Arc<Heads> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(entity_name.into()).or_default())
    }
}

/// The heads of one pipeline, by window. A window that this process has not read completely has none.
#[derive(Debug, Default)]
pub(crate) struct Heads(Mutex<Windows>);

/// The heads kept so far, by window, and their number.
#[derive(Debug, Default)]
struct Windows {
    read: HashMap<Window, WindowHeads>,
    records: usize,
}

/// The heads of one window.
#[derive(Debug, Default)]
struct WindowHeads {
    rows: u64,
    days: Vec<(Days, u32)>,
    /// Hashes of the documents' numbers; `ids` holds a hash of each document's id.
    numbers: Vec<u64>,
    ids: Vec<u32>,
    altered: Altered,
}

/// The days, in UTC, on which a record was created and last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Days {
    pub(crate) made: Option<Date>,
    pub(crate) changed: Option<Date>,
}

/// What is kept of one record until its page is committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// The index of its window among the page's windows.
    window: usize,
    days: Days,
    number: Option<u64>,
    id: u32,
}

/// The heads of some windows, summed up.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) rows: u64,
    pub(crate) days: Vec<(Days, u32)>,
    /// Numbers that several documents share.
    pub(crate) repeated_numbers: u64,
    pub(crate) altered: Altered,
}

impl Head {
    /// Builds the head of a record that is to become a row.
    pub(crate) fn of(record: &RawRecord<'_>, id: &str, window: usize) -> Self {
        // The times are in UTC.
        let day = |at: Option<OffsetDateTime>| at.map(OffsetDateTime::date);
        let days = Days { made: day(record.created_at()), changed: day(record.updated_at()) };
        // Half of a hash is enough: it tells only ids with the same number apart.
        #[expect(clippy::cast_possible_truncation, reason = "half of it is meant")]
        Self { window, days, number: record.number_mark(), id: id_hash(id) as u32 }
    }
}

impl Heads {
    /// Notes that windows are read, from where each was left: their heads are collected anew, or are unknown.
    pub(crate) fn open(&self, windows: &[OpenWindow]) {
        let mut known = self.lock();
        for open in windows {
            known.forget(open.window);
            if open.cursor.is_none() {
                known.read.insert(open.window, WindowHeads::default());
            }
        }
    }

    /// Adds the heads of a committed page.
    pub(crate) fn add(&self, commit: &PageCommit, heads: &[Head], outcome: &PageOutcome) {
        let mut known = self.lock();
        let mut rejected = vec![0; commit.windows.len()];
        commit.rejected.iter().for_each(|row| rejected[row.window] += 1);
        for (at, counts) in outcome.windows.iter().enumerate() {
            // The store has set aside some of the records that were to become rows, and does not say which.
            if counts.quarantined > rejected[at] {
                known.forget(commit.windows[at].window);
            }
        }
        for head in heads {
            known.add(commit.windows[head.window].window, head);
        }
        // The store reports them for the page as a whole.
        let first = commit.windows.iter().find(|change| known.read.contains_key(&change.window));
        if let Some(heads) = first.and_then(|change| known.read.get_mut(&change.window)) {
            heads.altered += outcome.altered;
        }
        if known.records > MOST {
            *known = Windows::default();
        }
    }

    /// Sums up the heads of windows; `None` unless all heads of each window are known.
    pub(crate) fn told(&self, windows: &[Window]) -> Option<Told> {
        let known = self.lock();
        let mut told = Told::default();
        let mut numbers = Vec::new();
        for window in windows {
            let heads = known.read.get(window)?;
            told.rows += heads.rows;
            told.altered += heads.altered;
            told.days.extend(&heads.days);
            numbers.extend(heads.numbers.iter().copied().zip(heads.ids.iter().copied()));
        }
        told.repeated_numbers = repeated(numbers);
        Some(told)
    }

    fn lock(&self) -> MutexGuard<'_, Windows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Windows {
    fn forget(&mut self, window: Window) {
        let records = self.read.remove(&window).map_or(0, |heads| heads.numbers.len());
        self.records -= records;
    }

    fn add(&mut self, window: Window, head: &Head) {
        let Some(heads) = self.read.get_mut(&window) else { return };
        heads.rows += 1;
        // Neighbouring records often share a day.
        match heads.days.last_mut() {
            Some((days, records)) if *days == head.days => *records += 1,
            _ => heads.days.push((head.days, 1)),
        }
        if let Some(number) = head.number {
            heads.numbers.push(number);
            heads.ids.push(head.id);
            self.records += 1;
        }
    }
}

/// Counts numbers that stand beside several ids. A record that was edited while it was read has come twice with one id.
fn repeated(mut numbers: Vec<(u64, u32)>) -> u64 {
    numbers.sort_unstable();
    numbers.dedup();
    numbers.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1).count() as u64
}

impl Told {
    /// Returns, for records created before a day, how many days after their creation they were last changed, and how many were.
    pub(crate) fn lags(&self, before: Date) -> Vec<(u32, u64)> {
        let mut lags: BTreeMap<u32, u64> = BTreeMap::new();
        for (days, records) in &self.days {
            if let Days { made: Some(made), changed: Some(changed) } = *days
                && made < before
            {
                let lag = (changed - made).whole_days().try_into().unwrap_or(0);
                *lags.entry(lag).or_default() += u64::from(*records);
            }
        }
        lags.into_iter().collect()
    }

    /// Counts records by the day on which they were created or changed.
    pub(crate) fn by(&self, day: impl Fn(&Days) -> Option<Date>) -> Vec<(Date, u64)> {
        let mut records: BTreeMap<Date, u64> = BTreeMap::new();
        for (days, number) in &self.days {
            if let Some(day) = day(days) {
                *records.entry(day).or_default() += u64::from(*number);
            }
        }
        records.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use raw_store::ScanCursor;
    use time::macros::{date, datetime};

    use super::*;

    fn window(day: i64) -> Window {
        let start = datetime!(2024-01-01 0:00 UTC) + time::Duration::days(day);
        Window::new(start, start + time::Duration::DAY).unwrap()
    }

    fn open(day: i64) -> OpenWindow {
        OpenWindow { window: window(day), cursor: None }
    }

    fn head(number: u64, id: u32) -> Head {
        let day = Some(date!(2024 - 01 - 01));
        Head { window: 0, days: Days { made: day, changed: day }, number: Some(number), id }
    }

    #[test]
    fn a_number_is_repeated_by_another_document_and_not_by_its_own_that_moved() {
        assert_eq!(repeated(vec![(1, 7), (2, 8), (1, 7), (3, 9)]), 0);
        assert_eq!(repeated(vec![(1, 7), (2, 8), (1, 6), (1, 5), (2, 8), (3, 1), (3, 2)]), 2);
    }

    #[test]
    fn what_is_read_again_is_counted_once_and_what_is_half_read_is_not_known() {
        let heads = Heads::default();
        heads.open(&[open(0), open(1)]);
        for (day, number) in [(0, 1), (1, 2), (1, 1)] {
            heads.lock().add(window(day), &head(number, u32::try_from(day).unwrap()));
        }
        let told = heads.told(&[window(0), window(1)]).unwrap();
        assert_eq!((told.rows, told.repeated_numbers), (3, 1));
        assert_eq!(told.by(|days| days.made), [(date!(2024 - 01 - 01), 3)]);
        heads.open(&[open(1)]);
        let told = heads.told(&[window(0), window(1)]).unwrap();
        assert_eq!((told.rows, told.repeated_numbers), (1, 0));
        assert!(heads.told(&[window(0), window(2)]).is_none());
        let cursor = ScanCursor { at: window(1).start(), seen: Vec::new() };
        heads.open(&[OpenWindow { window: window(1), cursor: Some(cursor) }]);
        assert!(heads.told(&[window(1)]).is_none());
    }
}
