//! The cursor of a scan along its time axis; a pure state machine. It takes pages, and returns the new records and the next
//! request. It never waits and does no I/O.
//!
//! The cursor advances by key, not by offset: the next request starts at the instant of the last record received, and records
//! of that instant that come again are dropped by id. An edit behind the cursor therefore cannot shift a record across a page
//! boundary unseen, which is how readers by offset lose records.
//!
//! Only inside one instant that holds more records than a page does the cursor advance by position. The order among equal times
//! may change at every request, and no page shows whether it does: a page can also begin by chance where the last one ended. So
//! the instant is read in the order of ids (`id_order.rs`), which has no equals. Without ids to sort by, a page has to begin
//! with so many records of the one before, in their order, that chance does not repeat them. Where neither is possible, the
//! cursor reads the instant over and over and keeps what is new, until a count says that nothing is missing. That is proof as
//! long as a record that has left does not come again, from a copy that lags behind.

use std::collections::{HashMap, HashSet};

use qbo_client::{PageSize, RawPage, RawRecord};
use raw_store::{ScanCursor, Window};
use time::OffsetDateTime;

use super::id_order::{ById, Next};
use super::implausible_time::{OddTime, Standing, standings};
use super::page_sizing::PageSizer;
use super::record_key::{RecordKey, key};
use crate::catalog::Axis;
use crate::catalog::scan_key::ScanKey;

/// How often an instant is read again before it is given up. If the order is new at every request, a pass over k pages misses
/// about a third of what was missing before; thirty passes leave less than one in a million million.
pub(crate) const MAX_PASSES: u32 = 30;

/// An overlap of this many records in the same order is not chance: for five records of a hundred, chance does it once in nine
/// thousand million times.
const SURE_OVERLAP: usize = 5;

/// The cursor of one scan: where the next request starts, and which records were already taken.
#[derive(Debug)]
pub(crate) struct KeysetCursor {
    axis: ScanKey,
    end: OffsetDateTime,
    /// The size of a full page.
    full: PageSize,
    sizing: PageSizer,
    /// The size of the page that was last requested.
    size: PageSize,
    at: OffsetDateTime,
    start_position: u32,
    /// The records that the next page has to begin with; empty where any beginning will do.
    anchor: Vec<RecordKey>,
    /// The records already taken at `at`.
    seen: HashSet<RecordKey>,
    /// Whether there are ids to sort by.
    has_ids: bool,
    /// How far `at` has been read in the order of ids.
    by_id: Option<ById>,
    /// How often `at` has been read, if nothing sorts it.
    passes: Option<u32>,
    /// The last count of `at`, and the records met since the count last changed: only records that were there all the time
    /// between two equal counts prove anything. `seen` also holds records that were edited away since.
    counted: Option<u64>,
    proof: HashSet<RecordKey>,
    /// Set if the cursor stands at the time of one record that no other response has confirmed.
    promise: Option<Promise>,
    /// Whether the last promise was not kept: the next page makes none.
    is_cautious: bool,
    /// The instant up to which a count has found no further records.
    confirmed: Option<OffsetDateTime>,
    /// Whether odd records are taken and marked, instead of their page being refused.
    is_tolerant: bool,
    /// The odd records taken so far. Each is taken once, wherever it comes again.
    odd_ones: HashSet<RecordKey>,
}

/// The last record of a full page, if alone at its time: nothing of it is taken before the next page begins with it.
#[derive(Debug)]
struct Promise {
    witness: RecordKey,
    /// The last certain instant, and the records taken there.
    at: OffsetDateTime,
    seen: HashSet<RecordKey>,
}

/// A record of a page, and its time on the axis.
#[derive(Clone, Debug)]
pub(crate) struct Placed<'p> {
    pub(crate) record: RawRecord<'p>,
    /// The record's time; if it has none that can be read or believed, the time of the record before it.
    pub(crate) time: OffsetDateTime,
    /// Whether `time` is the record's own.
    is_timed: bool,
    /// Whether this record or another one is odd.
    is_contested: bool,
    /// Why the record's time cannot be believed.
    pub(crate) odd: Option<OddTime>,
}

/// What one page yielded.
#[derive(Debug)]
pub(crate) struct Step<'p> {
    /// The records not taken before, by their instants on the axis, in ascending order.
    pub(crate) fresh: Vec<Placed<'p>>,
    /// How far the cursor is now.
    pub(crate) reached: Reached,
}

/// How far the cursor has read after a page, and whether that is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Everything before this instant has been taken; there may be more.
    Instant(OffsetDateTime),
    /// As `Instant`, but only one response that was not full says that nothing is left before this instant: a second response
    /// or a count has to confirm it before a window is completed.
    Silent(OffsetDateTime),
    /// Nothing is left.
    End,
    /// The records of the current instant cannot be sorted, so no page proves that all of them were received. QuickBooks has to
    /// count them before the cursor advances; see [`KeysetCursor::counted`].
    Unproved,
}

/// The location of a record that makes its page fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poisoned {
    /// Among the next records: request fewer.
    Smaller,
    /// It is the next record behind those taken at the current instant.
    Next,
    /// In an instant that holds more than a page.
    Crowd,
}

/// A page that contradicts its request, so that the scan cannot continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeysetError {
    #[error("QuickBooks did not return the records in the requested order")]
    Disorder,
    #[error("QuickBooks sent records outside the requested range")]
    Outside,
    #[error("QuickBooks did not repeat the last record of its previous page")]
    Unwitnessed,
    #[error("a full page of records gives no time to continue from")]
    Untimed,
    #[error("only one record of a page says that {before} records lie before {until}")]
    Unconfirmed { until: OffsetDateTime, before: u64 },
    #[error("more records share one instant than a page holds, and their order changes with every request")]
    UnreliableInstant,
}

impl KeysetCursor {
    pub(crate) fn new(
        axis: impl Into<ScanKey>,
        cursor: ScanCursor,
        end: OffsetDateTime,
        size: PageSize,
    ) -> Self {
        let axis = axis.into();
        Self {
            axis,
            end,
            full: size,
            sizing: PageSizer::new(size),
            size,
            at: axis.floor(cursor.at),
            start_position: 1,
            anchor: Vec::new(),
            seen: cursor.seen.into_iter().collect(),
            // A page of one record has no room for an overlap.
            has_ids: matches!(axis, ScanKey::Along(_)) && size.get() > 1,
            by_id: None,
            passes: None,
            counted: None,
            proof: HashSet::new(),
            promise: None,
            is_cautious: false,
            confirmed: None,
            is_tolerant: false,
            odd_ones: HashSet::new(),
        }
    }

    /// Creates a cursor over records that cannot be sorted by id.
    pub(crate) fn without_ids(self) -> Self {
        Self { has_ids: false, ..self }
    }

    /// Whether the next request is for the current instant alone, in the order of ids.
    pub(crate) fn is_by_id(&self) -> bool {
        self.by_id.is_some()
    }

    /// Whether the next request is for the current instant alone. Records behind the instant that make pages fail do not matter
    /// then.
    pub(crate) fn is_at_instant(&self) -> bool {
        self.by_id.is_some() || self.passes.is_some()
    }

    /// Notes that QuickBooks refused the order of ids. Returns whether the cursor can go on without it: the current instant has
    /// to be counted first.
    pub(crate) fn leave_ids(&mut self) -> bool {
        let was_by_id = self.is_by_id();
        if was_by_id {
            self.begin_passes();
        }
        was_by_id
    }

    /// Returns the instant at which the next request starts, and the position from there.
    pub(crate) fn position(&self) -> (OffsetDateTime, u32) {
        (self.at, self.start_position)
    }

    /// Returns the size of the page to request there.
    pub(crate) fn ask(&mut self) -> PageSize {
        // Inside an instant that holds more than a page, full pages are read by position.
        let overlap = self.seen.len() + usize::from(self.promise.is_some());
        self.size = if self.is_inside() { self.full } else { self.sizing.ask(overlap) };
        self.size
    }

    /// Sets a new end for the cursor: another scan continues from there.
    pub(crate) fn end_at(&mut self, end: OffsetDateTime) {
        self.end = end;
    }

    /// Notes that the page took too long or was too large. Returns whether a smaller one can be requested.
    pub(crate) fn too_much(&mut self) -> bool {
        !self.is_inside() && self.sizing.too_much()
    }

    /// Returns to the last certain instant, if the cursor stands on a promise.
    pub(crate) fn go_back(&mut self) -> bool {
        let Some(Promise { at, seen, .. }) = self.promise.take() else { return false };
        self.arrive(at);
        self.seen = seen;
        self.is_cautious = true;
        true
    }

    /// Whether the cursor is searching for a record that makes its page fail.
    pub(crate) fn is_searching(&self) -> bool {
        self.sizing.is_searching()
    }

    /// Returns how many records are known at the current instant.
    pub(crate) fn known_here(&self) -> u32 {
        u32::try_from(self.seen.len()).unwrap_or(u32::MAX)
    }

    /// Takes the next page with its odd records, if they are few.
    pub(crate) fn tolerate(&mut self) {
        self.is_tolerant = true;
    }

    /// Notes that a count has found no records before an instant but those that its page has.
    pub(crate) fn confirm(&mut self, until: OffsetDateTime) {
        self.confirmed = Some(until);
    }

    /// Reads the current instant, which holds a page or more, in the order of ids.
    pub(crate) fn read_by_id(&mut self) -> Reached {
        self.go_on_inside(&[])
    }

    /// Reads everything up to the end as one instant, in the order of ids: the times of the records do not show how far a page
    /// has read.
    pub(crate) fn read_rest_by_id(&mut self, axis: Axis) -> Reached {
        self.go_back();
        let Ok(rest) = Window::new(self.at, self.end) else { return Reached::End };
        self.axis = ScanKey::Part(axis, rest);
        self.go_on_inside(&[])
    }

    /// Whether everything up to the end is read as one instant, so that no part of it can be cut off.
    pub(crate) fn is_reading_rest(&self) -> bool {
        matches!(self.axis, ScanKey::Part(..))
    }

    /// Notes that the page failed because of one of its records.
    pub(crate) fn poisoned(&mut self) -> Poisoned {
        if self.go_back() {
            // The promised record is among the records to come.
            self.sizing.one_more();
        }
        if self.is_inside() {
            Poisoned::Crowd
        } else if self.sizing.poisoned() {
            Poisoned::Smaller
        } else {
            Poisoned::Next
        }
    }

    /// Whether the cursor advances by position, inside an instant that holds more than a page.
    fn is_inside(&self) -> bool {
        self.start_position > 1 || self.is_at_instant()
    }

    /// Moves the cursor to an instant before which everything has been taken.
    pub(crate) fn go_to(&mut self, instant: OffsetDateTime) {
        self.sizing.cleared();
        self.arrive(instant);
    }

    /// Takes the new records of a page that holds everything from the cursor's instant to `end`; the page's order does not
    /// matter.
    pub(crate) fn take_stretch<'p>(
        &mut self,
        page: &'p RawPage,
        end: OffsetDateTime,
    ) -> Result<Vec<Placed<'p>>, KeysetError> {
        let records = self.whole_stretch(page, end)?;
        let fresh = self.fresh(&records);
        self.note_seen(&records);
        Ok(fresh)
    }

    /// Whether [`take_stretch`](Self::take_stretch) can take such a page.
    pub(crate) fn can_take_stretch(&self, page: &RawPage, end: OffsetDateTime) -> bool {
        self.whole_stretch(page, end).is_ok()
    }

    /// Returns the instant before which everything has been taken, whatever a promise says.
    pub(crate) fn sure_at(&self) -> OffsetDateTime {
        self.promise.as_ref().map_or(self.at, |promise| promise.at)
    }

    /// Returns the cursor from which another scan can continue.
    pub(crate) fn cursor(&self) -> ScanCursor {
        let seen = self.promise.as_ref().map_or(&self.seen, |promise| &promise.seen);
        let mut seen: Vec<_> = seen.iter().cloned().collect();
        seen.sort_unstable();
        ScanCursor { at: self.sure_at(), seen }
    }

    /// Returns the first instant after the current one.
    pub(crate) fn after(&self) -> OffsetDateTime {
        // The calendar's last day has no day after it.
        self.at.checked_add(self.axis.step()).map_or(self.end, |after| after.min(self.end))
    }

    /// Takes a page that answers the request at [`position`](Self::position). After an error, nothing of the page is taken.
    pub(crate) fn take<'p>(&mut self, page: &'p RawPage) -> Result<Step<'p>, KeysetError> {
        let records = self.placed(page)?;
        if !self.is_witnessed(&records) {
            self.go_back();
            return Err(KeysetError::Unwitnessed);
        }
        let is_last_page = self.size.is_last_page(page.len());
        let last = records.last().map_or(self.at, |last| self.axis.floor(last.time));
        let is_crowded = !is_last_page && last == self.at && !self.is_inside();
        if is_crowded && records.iter().any(|one| !one.is_timed) {
            // Their time may differ from the cursor's.
            return Err(KeysetError::Untimed);
        }
        self.promise = None;
        self.is_tolerant = false;
        if self.by_id.is_some() {
            return Ok(self.take_by_id(&records));
        }
        if self.passes.is_some() {
            return Ok(self.take_unordered(&records));
        }
        let anchor = std::mem::take(&mut self.anchor);
        if anchor.iter().ne(&keys(&records[..anchor.len().min(records.len())])) {
            let fresh = self.fresh_here(&records);
            return Ok(Step { fresh, reached: self.begin_passes() });
        }
        if is_last_page {
            let fresh = self.fresh(&records);
            self.sizing.read(fresh.len());
            // The cursor stands at the last record all the same, because the confirmation that there is no more is still to
            // come.
            if last > self.at {
                self.arrive(last);
            }
            self.note_seen(&records);
            return Ok(Step { fresh, reached: Reached::End });
        }
        if last > self.at {
            return self.stop_at(last, records);
        }
        let fresh = self.fresh(&records);
        self.sizing.read(fresh.len());
        self.note_seen(&records);
        let reached = self.go_on_inside(&records);
        Ok(Step { fresh, reached })
    }

    /// Moves the cursor to the last instant of a full page, as far as it can be believed.
    fn stop_at<'p>(
        &mut self,
        last: OffsetDateTime,
        mut records: Vec<Placed<'p>>,
    ) -> Result<Step<'p>, KeysetError> {
        let told: Vec<_> = records.iter().filter(|one| one.is_timed).collect();
        let witness = told.last().map(|one| key(&one.record));
        // The last time but one: where it is the last time as well, two records confirm it.
        let sure = told.iter().rev().nth(1).map_or(self.at, |one| self.axis.floor(one.time));
        let is_cautious = std::mem::take(&mut self.is_cautious);
        let is_searching = self.sizing.is_searching();
        let is_confirmed = self.confirmed.take() == Some(last);
        if sure <= self.at && last > sure && !is_confirmed {
            if is_searching {
                // Pages this small would not advance if they made promises.
                return Err(KeysetError::Unconfirmed { until: last, before: records.len() as u64 - 1 });
            }
            if is_cautious {
                // Only the record that did not come again gives a later time.
                return Err(KeysetError::Untimed);
            }
        }
        let Some(witness) = witness.filter(|_| sure < last && !is_confirmed) else {
            let fresh = self.fresh(&records);
            self.sizing.read(fresh.len());
            self.arrive(last);
            self.note_seen(&records);
            return Ok(Step { fresh, reached: Reached::Instant(last) });
        };
        records.retain(|one| self.axis.floor(one.time) < last);
        let fresh = self.fresh(&records);
        self.sizing.read(fresh.len());
        if sure > self.at {
            self.arrive(sure);
        }
        self.note_seen(&records);
        if !is_cautious && !is_searching {
            let seen = std::mem::take(&mut self.seen);
            self.arrive(last);
            self.promise = Some(Promise { witness, at: sure, seen });
        }
        Ok(Step { fresh, reached: Reached::Instant(sure) })
    }

    /// Whether a page begins with the record that the cursor stands at.
    fn is_witnessed(&self, records: &[Placed<'_>]) -> bool {
        self.promise.as_ref().is_none_or(|promise| {
            let mut here = records.iter().filter(|one| one.is_timed && self.axis.floor(one.time) == self.at);
            here.any(|one| key(&one.record) == promise.witness)
        })
    }

    /// Takes the count of the current instant, after [`Reached::Unproved`].
    pub(crate) fn counted(&mut self, records: u64) -> Result<Reached, KeysetError> {
        let stable = self.counted.replace(records) == Some(records);
        if !stable {
            self.proof.clear();
        } else if self.proof.len() as u64 >= records {
            return Ok(self.leave_instant());
        }
        let passes = self.passes.unwrap_or(0) + 1;
        if passes > MAX_PASSES {
            return Err(KeysetError::UnreliableInstant);
        }
        self.passes = Some(passes);
        self.start_position = 1;
        Ok(Reached::Instant(self.at))
    }

    /// Places each record on the axis. A record without a time stays where the cursor is.
    fn placed<'p>(&self, page: &'p RawPage) -> Result<Vec<Placed<'p>>, KeysetError> {
        // In the order of ids, only one instant is requested.
        let end = if self.is_at_instant() { self.after() } else { self.end };
        let mut records = self.judged(page, end, true);
        let odd = |odd| records.iter().filter(|one| one.odd == Some(odd)).count();
        let (outside, disorder) = (odd(OddTime::Outside), odd(OddTime::Disorder));
        let is_contested = records.iter().any(|one| one.is_contested);
        // A page that holds everything that was requested needs no order.
        let is_tolerable = OddTime::are_few(outside, disorder, records.len())
            && (!is_contested || self.size.is_last_page(page.len()));
        match (outside, disorder, is_contested) {
            (0, 0, false) => Ok(records),
            _ if self.is_tolerant && is_tolerable => {
                records.sort_by_key(|one| self.axis.floor(one.time));
                Ok(records)
            }
            (0, ..) => Err(KeysetError::Disorder),
            _ => Err(KeysetError::Outside),
        }
    }

    /// Places each record of a page that holds everything up to `end`, in the order of their times.
    fn whole_stretch<'p>(
        &self,
        page: &'p RawPage,
        end: OffsetDateTime,
    ) -> Result<Vec<Placed<'p>>, KeysetError> {
        let mut records = self.judged(page, end, false);
        let outside = records.iter().filter(|one| one.odd.is_some()).count();
        if outside > 0 && !OddTime::are_few(outside, 0, records.len()) {
            return Err(KeysetError::Outside);
        }
        records.sort_by_key(|one| self.axis.floor(one.time));
        Ok(records)
    }

    fn judged<'p>(&self, page: &'p RawPage, end: OffsetDateTime, is_ordered: bool) -> Vec<Placed<'p>> {
        let times: Vec<_> = page.records().map(|record| self.axis.time_of(&record)).collect();
        let instant = |time: &Option<OffsetDateTime>| time.map(|time| self.axis.floor(time));
        let is_inside = |at: OffsetDateTime| self.at <= at && at < end;
        let inside: Vec<_> = times.iter().map(|time| instant(time).filter(|at| is_inside(*at))).collect();
        let standings = if is_ordered { standings(&inside) } else { vec![Standing::Sound; inside.len()] };
        let mut last = self.at;
        let placed = page.records().zip(times.into_iter().zip(inside.iter().zip(standings)));
        let placed = placed.map(|(record, (time, (inside, standing)))| {
            let odd = match (time, inside, standing) {
                (None, ..) => None,
                (Some(_), None, _) => Some(OddTime::Outside),
                (Some(_), Some(_), Standing::Odd) => Some(OddTime::Disorder),
                (Some(_), Some(_), _) => None,
            };
            let believed = time.filter(|_| odd.is_none());
            last = believed.unwrap_or(last);
            let is_contested = standing == Standing::Contested;
            Placed { record, time: last, is_timed: believed.is_some(), is_contested, odd }
        });
        placed.collect()
    }

    /// Returns the records not taken before. An id that stands in the page twice counts once, in its later version.
    fn fresh<'p>(&mut self, records: &[Placed<'p>]) -> Vec<Placed<'p>> {
        let mut last_place = HashMap::with_capacity(records.len());
        for (place, one) in records.iter().enumerate() {
            last_place.insert(key(&one.record), place);
        }
        let new = |place: usize, one: &Placed<'_>| {
            let key = key(&one.record);
            let again = self.axis.floor(one.time) == self.at && self.seen.contains(&key);
            !again && last_place.get(&key) == Some(&place)
        };
        let kept = records.iter().enumerate().filter(|(place, one)| new(*place, one));
        let mut kept: Vec<_> = kept.map(|(_, one)| one.clone()).collect();
        kept.retain(|one| one.odd.is_none() || self.odd_ones.insert(key(&one.record)));
        kept
    }

    /// Returns the records of the current instant that were not taken before; they count as taken from now on.
    fn fresh_here<'p>(&mut self, records: &[Placed<'p>]) -> Vec<Placed<'p>> {
        let here = records.iter().filter(|one| self.axis.floor(one.time) == self.at);
        let mut fresh = Vec::new();
        for one in here {
            let key = key(&one.record);
            self.proof.insert(key.clone());
            let is_new = self.seen.insert(key.clone());
            if is_new && (one.odd.is_none() || self.odd_ones.insert(key)) {
                fresh.push(one.clone());
            }
        }
        fresh
    }

    /// Takes one page of an instant in the order of ids.
    fn take_by_id<'p>(&mut self, records: &[Placed<'p>]) -> Step<'p> {
        let fresh = self.fresh_here(records);
        let next =
            self.by_id.as_mut().map(|by_id| by_id.take(&keys(records), self.start_position, self.size.get()));
        match next {
            Some(Next::At(position)) => self.start_position = position,
            // Only one response says that nothing is left, even if it is empty.
            Some(Next::Done) => {
                let reached = match self.leave_instant() {
                    Reached::Instant(at) => Reached::Silent(at),
                    reached => reached,
                };
                return Step { fresh, reached };
            }
            Some(Next::Unordered) | None => return Step { fresh, reached: self.begin_passes() },
        }
        Step { fresh, reached: Reached::Instant(self.at) }
    }

    /// Advances by position: the page lies in one instant, and so does the next one.
    fn go_on_inside(&mut self, records: &[Placed<'_>]) -> Reached {
        let overlap = records.len() / 20;
        if self.has_ids {
            self.by_id = Some(ById::new(self.full.get()));
        } else if overlap < SURE_OVERLAP {
            return self.begin_passes();
        } else {
            let behind = records.len() - overlap;
            self.start_position += u32::try_from(behind).unwrap_or(u32::MAX);
            self.anchor = keys(&records[behind..]);
        }
        Reached::Instant(self.at)
    }

    /// Starts reading the instant over and over, because nothing sorts it.
    fn begin_passes(&mut self) -> Reached {
        (self.by_id, self.passes, self.start_position) = (None, Some(0), 1);
        self.has_ids = false;
        Reached::Unproved
    }

    /// Takes one page of an instant whose order cannot be trusted.
    fn take_unordered<'p>(&mut self, records: &[Placed<'p>]) -> Step<'p> {
        let fresh = self.fresh_here(records);
        if self.size.is_last_page(records.len()) {
            return Step { fresh, reached: Reached::Unproved };
        }
        self.start_position += u32::try_from(records.len()).unwrap_or(u32::MAX);
        Step { fresh, reached: Reached::Instant(self.at) }
    }

    /// Advances behind the current instant, of which nothing is left.
    fn leave_instant(&mut self) -> Reached {
        let after = self.after();
        self.arrive(after);
        if after < self.end { Reached::Instant(after) } else { Reached::End }
    }

    fn arrive(&mut self, instant: OffsetDateTime) {
        self.at = instant;
        self.start_position = 1;
        self.anchor.clear();
        self.by_id = None;
        self.passes = None;
        self.counted = None;
        self.proof.clear();
        self.seen.clear();
        self.promise = None;
    }

    fn note_seen(&mut self, records: &[Placed<'_>]) {
        let here = records.iter().filter(|one| self.axis.floor(one.time) == self.at);
        self.seen.extend(here.map(|one| key(&one.record)));
    }
}

fn keys(records: &[Placed<'_>]) -> Vec<RecordKey> {
    records.iter().map(|one| key(&one.record)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};

    use proptest::prelude::*;
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    const START: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);

    fn page(records: &[(u32, i64)]) -> RawPage {
        let record = |(id, second): &(u32, i64)| {
            let time = START + Duration::seconds(*second);
            let time = time.format(&time::format_description::well_known::Rfc3339).unwrap();
            format!(r#"{{"Id":"{id}","MetaData":{{"LastUpdatedTime":"{time}"}}}}"#)
        };
        let records: Vec<_> = records.iter().map(record).collect();
        let body = format!(
            r#"{{"QueryResponse":{{"Invoice":[{}]}},"time":"2026-01-02T00:00:00Z"}}"#,
            records.join(",")
        );
        RawPage::split(body.into(), "Invoice").unwrap()
    }

    fn keyset(size: u16) -> KeysetCursor {
        let cursor = ScanCursor { at: START, seen: Vec::new() };
        KeysetCursor::new(Axis::Updated, cursor, START + Duration::DAY, PageSize::new(size).unwrap())
    }

    fn ids(step: &Step<'_>) -> Vec<String> {
        step.fresh.iter().map(|one| one.record.id().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_last_day_of_the_calendar_has_none_behind_it() {
        let (at, end) = (datetime!(9999-12-31 0:00 UTC), datetime!(9999-12-31 23:59:59 UTC));
        let keyset =
            KeysetCursor::new(Axis::TxnDate, ScanCursor { at, seen: Vec::new() }, end, PageSize::default());
        assert_eq!(keyset.after(), end);
    }

    #[test]
    fn the_overlap_comes_again_and_is_dropped_by_id() {
        let mut keyset = keyset(3);
        let first = page(&[(1, 0), (2, 5), (3, 5)]);
        assert_eq!(ids(&keyset.take(&first).unwrap()), ["1", "2", "3"]);
        assert_eq!(keyset.position(), (START + Duration::seconds(5), 1));
        assert_eq!(keyset.cursor().seen, ["2".into(), "3".into()]);
        // The fourth record is alone at its time: it is taken when the next page begins with it.
        let second = page(&[(2, 5), (3, 5), (4, 9)]);
        let step = keyset.take(&second).unwrap();
        assert_eq!((ids(&step).len(), step.reached), (0, Reached::Instant(START + Duration::seconds(5))));
        assert_eq!(keyset.position(), (START + Duration::seconds(9), 1));
        assert_eq!(keyset.cursor().seen, ["2".into(), "3".into()]);
        let last = page(&[(4, 9)]);
        let step = keyset.take(&last).unwrap();
        assert_eq!((ids(&step), step.reached), (vec!["4".to_owned()], Reached::End));
    }

    /// A record whose time is later than the truth ends a page: the records in between are read all the same.
    #[test]
    fn the_last_record_of_a_page_moves_the_walk_only_if_the_next_page_begins_with_it() {
        let mut keyset = keyset(4);
        let first = page(&[(1, 0), (2, 5), (3, 8), (9, 5000)]);
        assert_eq!(ids(&keyset.take(&first).unwrap()), ["1", "2", "3"]);
        assert_eq!(keyset.position().0, START + Duration::seconds(5000));
        assert_eq!(keyset.cursor().at, START + Duration::seconds(8));
        assert_eq!(keyset.take(&page(&[])).unwrap_err(), KeysetError::Unwitnessed);
        assert_eq!(keyset.position().0, START + Duration::seconds(8));
        let again = page(&[(3, 8), (9, 5000), (4, 10), (5, 11)]);
        assert_eq!(keyset.take(&again).unwrap_err(), KeysetError::Disorder);
        keyset.tolerate();
        let step = keyset.take(&again).unwrap();
        assert_eq!(ids(&step), ["9", "4"]);
        assert_eq!(step.fresh.iter().map(|one| one.odd).collect::<Vec<_>>(), [Some(OddTime::Disorder), None]);
        assert_eq!(keyset.position().0, START + Duration::seconds(10));
    }

    /// Pages are too small then for the next one to begin with the record.
    #[test]
    fn while_a_bad_record_is_searched_for_one_record_moves_the_walk_only_with_a_count() {
        let mut keyset = keyset(4);
        keyset.ask();
        assert_eq!(keyset.poisoned(), Poisoned::Smaller);
        assert_eq!(keyset.ask().get(), 2);
        let two = page(&[(1, 0), (9, 5000)]);
        let until = START + Duration::seconds(5000);
        for _ in 0..2 {
            assert_eq!(keyset.take(&two).unwrap_err(), KeysetError::Unconfirmed { until, before: 1 });
            assert_eq!(keyset.position().0, START);
        }
        keyset.confirm(until);
        assert_eq!(ids(&keyset.take(&two).unwrap()), ["1", "9"]);
        assert_eq!(keyset.position().0, until);
        // Where two records say so, the walk goes to the first of them.
        let mut keyset = self::keyset(8);
        keyset.ask();
        assert_eq!(keyset.poisoned(), Poisoned::Smaller);
        assert_eq!(keyset.ask().get(), 4);
        let four = page(&[(1, 0), (2, 3), (3, 4), (9, 5000)]);
        assert_eq!(ids(&keyset.take(&four).unwrap()), ["1", "2", "3"]);
        assert_eq!(keyset.position().0, START + Duration::seconds(4));
    }

    #[test]
    fn odd_records_are_marked_where_they_stand_and_decide_nothing() {
        let mut keyset = keyset(6);
        let odd = page(&[(1, 0), (2, 5), (7, 100_000), (3, 9), (4, 9), (8, -7)]);
        assert_eq!(keyset.take(&odd).unwrap_err(), KeysetError::Outside);
        keyset.tolerate();
        assert_eq!(keyset.take(&odd).unwrap_err(), KeysetError::Outside, "two of six are too many");
        let mut keyset = self::keyset(6);
        let odd = page(&[(1, 0), (2, 5), (7, 100_000), (3, 9), (4, 9), (5, 9)]);
        keyset.tolerate();
        let step = keyset.take(&odd).unwrap();
        let odd: Vec<_> = step.fresh.iter().filter_map(|one| Some((one.odd?, one.time))).collect();
        assert_eq!(odd, [(OddTime::Outside, START + Duration::seconds(5))]);
        assert_eq!(keyset.position().0, START + Duration::seconds(9));
        assert_eq!(keyset.take(&page(&[(3, 9), (4, 9), (5, 9), (6, -1)])).unwrap_err(), KeysetError::Outside);
    }

    #[test]
    fn what_is_whole_needs_no_order() {
        let mut keyset = keyset(6);
        let end = START + Duration::seconds(60);
        let taken = page(&[(1, 50), (2, 40), (3, 5)]);
        assert!(keyset.can_take_stretch(&taken, end));
        let fresh = keyset.take_stretch(&taken, end).unwrap();
        assert_eq!(fresh.iter().map(|one| one.record.id().unwrap()).collect::<Vec<_>>(), ["3", "2", "1"]);
        assert!(!keyset.can_take_stretch(&page(&[(1, 70), (2, 80), (3, 5)]), end));
    }

    #[test]
    fn an_id_that_stands_twice_in_a_page_counts_once_in_its_later_version() {
        let mut keyset = keyset(1000);
        let page = page(&[(1, 0), (2, 1), (1, 2)]);
        let step = keyset.take(&page).unwrap();
        assert_eq!(ids(&step), ["2", "1"]);
    }

    #[test]
    fn records_out_of_order_or_out_of_range_are_refused() {
        assert_eq!(keyset(3).take(&page(&[(1, 5), (2, 4)])).unwrap_err(), KeysetError::Disorder);
        assert_eq!(keyset(3).take(&page(&[(1, -1)])).unwrap_err(), KeysetError::Outside);
        assert_eq!(keyset(3).take(&page(&[(1, 86_400)])).unwrap_err(), KeysetError::Outside);
    }

    /// A source that answers as QBO does; `shuffle` orders equal instants anew at every request.
    struct Source {
        records: Vec<(u32, i64)>,
        shuffle: Option<u64>,
        ids: Ids,
        /// The number of records that leave after each response: edited, or deleted.
        leaving: u32,
    }

    /// How the source sorts ids.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Ids {
        AsNumbers,
        AsText,
        Unsorted,
    }

    impl Source {
        fn of(records: Vec<(u32, i64)>) -> Self {
            Self { records, shuffle: None, ids: Ids::AsNumbers, leaving: 0 }
        }

        fn answer(&mut self, keyset: &KeysetCursor, size: usize) -> RawPage {
            let (at, position) = keyset.position();
            let from = (at - START).whole_seconds();
            let mut matching: Vec<_> =
                self.records.iter().filter(|(_, second)| *second >= from).copied().collect();
            if keyset.is_at_instant() {
                matching.retain(|(_, second)| *second < (keyset.after() - START).whole_seconds());
            }
            let salt = self.shuffle.map(|n| n + 1);
            self.shuffle = salt;
            let place = |id: u32| {
                let mut hasher = DefaultHasher::new();
                (id, salt).hash(&mut hasher);
                if salt.is_some() { hasher.finish() } else { u64::from(id) }
            };
            if keyset.is_by_id() && self.ids != Ids::Unsorted {
                matching.sort_by_key(|(id, _)| (self.ids == Ids::AsText).then(|| id.to_string()).ok_or(*id));
            } else {
                matching.sort_by_key(|(id, second)| (*second, place(*id)));
            }
            let start = position as usize - 1;
            let answer = page(&matching[start.min(matching.len())..(start + size).min(matching.len())]);
            for n in 0..self.leaving {
                let among = self.records.len().max(1) as u64;
                let place = usize::try_from(place(n) % among).unwrap();
                self.records.retain(|record| Some(record) != matching.get(place));
            }
            answer
        }

        fn count(&self, keyset: &KeysetCursor) -> u64 {
            let from = (keyset.position().0 - START).whole_seconds();
            let to = (keyset.after() - START).whole_seconds();
            self.records.iter().filter(|(_, second)| (from..to).contains(second)).count() as u64
        }
    }

    fn read_all(source: &mut Source, size: u16) -> (Vec<u32>, u32) {
        let mut keyset = keyset(size);
        let (mut taken, mut calls) = (Vec::new(), 0);
        loop {
            calls += 1;
            assert!(calls < 10_000, "the keyset does not end");
            let asked = keyset.ask();
            let page = source.answer(&keyset, usize::from(asked.get()));
            let step = match keyset.take(&page) {
                Ok(step) => step,
                // The record that the cursor stood at has left.
                Err(KeysetError::Unwitnessed) => continue,
                // As the scan reads in parts: the instant alone, whose page is not full or is read by ids.
                Err(KeysetError::Untimed) => {
                    let (at, after) = (keyset.position().0, keyset.after());
                    let second = (at - START).whole_seconds();
                    let here: Vec<_> =
                        source.records.iter().filter(|(_, of)| *of == second).copied().collect();
                    if here.len() < usize::from(size) {
                        let whole = self::page(&here);
                        let fresh = keyset.take_stretch(&whole, after).unwrap();
                        let fresh = fresh.iter().map(|one| one.record.id().unwrap().parse::<u32>().unwrap());
                        taken.extend(fresh);
                        keyset.go_to(after);
                    } else if keyset.read_by_id() == Reached::Unproved {
                        keyset.counted(source.count(&keyset)).unwrap();
                    }
                    continue;
                }
                Err(problem) => panic!("{problem}"),
            };
            taken.extend(ids(&step).iter().map(|id| id.parse::<u32>().unwrap()));
            let reached = match step.reached {
                Reached::Unproved => keyset.counted(source.count(&keyset)).unwrap(),
                reached => reached,
            };
            if reached == Reached::End {
                return (taken, calls);
            }
        }
    }

    #[test]
    fn spread_out_records_cost_one_call_a_page_with_one_record_of_overlap() {
        let mut source = Source::of((0..5000).map(|n| (n, i64::from(n))).collect());
        let (taken, calls) = read_all(&mut source, 1000);
        assert_eq!(taken.len(), 5000);
        assert!(calls <= 5000_u32.div_ceil(999) + 1, "{calls}");
    }

    #[test]
    fn five_thousand_records_of_one_second_are_read_whatever_their_order() {
        for (shuffle, ids) in [
            (None, Ids::AsNumbers),
            (Some(7), Ids::AsNumbers),
            (Some(7), Ids::AsText),
            (Some(7), Ids::Unsorted),
        ] {
            let mut records: Vec<_> = (0..5000).map(|n| (n, 40)).collect();
            records.extend((5000..5100).map(|n| (n, i64::from(n))));
            let (mut taken, calls) = read_all(&mut Source { shuffle, ids, ..Source::of(records) }, 1000);
            taken.sort_unstable();
            assert_eq!(taken, (0..5100).collect::<Vec<_>>(), "{shuffle:?} {ids:?}");
            assert!(ids == Ids::Unsorted || calls <= 12, "{calls} calls");
        }
    }

    /// Records that stay are taken, however many leave the instant before and behind the cursor's position.
    #[test]
    fn what_stays_is_taken_while_others_leave() {
        for (leaving, ids) in [(1, Ids::AsNumbers), (5, Ids::AsText), (60, Ids::AsNumbers)] {
            let records: Vec<_> = (1..=5000).map(|n| (n, 40)).collect();
            let mut source = Source { shuffle: Some(3), ids, leaving, ..Source::of(records) };
            let (taken, calls) = read_all(&mut source, 1000);
            let lost: Vec<_> = source.records.iter().filter(|(id, _)| !taken.contains(id)).collect();
            assert!(lost.is_empty(), "{leaving} {ids:?}: {lost:?}");
            assert!(calls <= 20, "{leaving} {ids:?}: {calls} calls");
        }
    }

    proptest! {
        #[test]
        fn every_record_is_taken_exactly_once(
            seconds in prop::collection::vec(0_i64..40, 0..120),
            size in 1_u16..12,
        ) {
            let records = (0..).zip(seconds).collect::<Vec<_>>();
            let expected: Vec<_> = records.iter().map(|(id, _)| *id).collect();
            let (mut taken, _) = read_all(&mut Source::of(records), size);
            taken.sort_unstable();
            prop_assert_eq!(taken, expected);
        }

        /// A record that begins a page by chance, because it ended the one before, proves no order.
        #[test]
        fn every_record_is_taken_whatever_the_order_within_a_second(
            seconds in prop::collection::vec(0_i64..4, 0..40),
            size in 1_u16..8,
            shuffle in any::<u32>(),
            ids in prop::sample::select(vec![Ids::AsNumbers, Ids::AsText]),
        ) {
            let mut records = (0..).zip(seconds).collect::<Vec<_>>();
            records.sort_by_key(|(_, second)| *second);
            let expected: BTreeSet<_> = records.iter().map(|(id, _)| *id).collect();
            let source = Source { shuffle: Some(shuffle.into()), ids, ..Source::of(records) };
            let (taken, _) = read_all(&mut { source }, size);
            prop_assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }
}
