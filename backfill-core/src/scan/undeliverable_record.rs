//! Gets past a record that QuickBooks cannot deliver, and past nothing else.
//!
//! One malformed record makes QuickBooks refuse every page that contains it (code 4002; 10000 at every repeat). By the time
//! this module takes over, the cursor has taken everything before the record. The record is then enclosed by time, not by
//! position: the records of a past range can only become fewer while people work, so a range that holds one record and cannot
//! be read holds that record alone.
//!
//! Other failures than those codes may be caused by a record, too: a web page whenever the record is in the page, a response
//! that ends at it. They may just as well be an outage. So such a failure is blamed on a record only if another record can be
//! read right after it.
//!
//! Where several records share its instant, the instant is read in parts until a count says that nothing else is missing.

use std::collections::HashSet;

use qbo_client::{ErrorKind, PageSize, Query, RawPage};
use raw_store::{RejectedRow, Window};
use time::OffsetDateTime;

use super::keyset::{KeysetError, MAX_PASSES, Reached, Step};
use super::pipeline_context::FetchFailure;
use super::record_key::{RecordKey, key};
use super::{Scan, is_refused, request_payload};
use crate::error::RunError;
use crate::event::RunEventKind;

/// How often a request for a single record must fail before that record is taken to be the cause.
const TRIES: u32 = 3;

/// The most unreadable records of one scan before the rest of it is given up: each costs more than ten calls.
const MOST_LOST: u32 = 100;

const ONE: u16 = 1;

/// Positions behind what the cursor has taken at which another record is tried while a page fails: behind the next record, in
/// the middle of a page, and the next record itself.
const BESIDE: [u32; 3] = [2, 500, 1];

/// The beginning of the reason that is kept in place of such a record. The record's time span depends on the requests made
/// around it, so a verification recognises the record by these words and its window.
pub(crate) const UNREADABLE: &str = "QuickBooks cannot deliver this record";

/// What a request returned.
pub(super) enum Found {
    /// All records that it covers.
    All(RawPage),
    /// A full page, with possibly more behind it.
    Page,
    /// The range contains a record that cannot be delivered.
    Bad(qbo_client::Error),
}

/// How a request ended.
pub(super) enum Answer {
    Page(RawPage),
    /// One of the records makes the request fail.
    Bad(qbo_client::Error),
    /// The request takes too long.
    Slow,
}

/// Why the search stopped.
pub(super) enum Halt {
    FetchFailure(FetchFailure),
    Run(RunError),
}

impl From<FetchFailure> for Halt {
    fn from(unread: FetchFailure) -> Self {
        Self::FetchFailure(unread)
    }
}

impl From<RunError> for Halt {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

fn too_many(why: &qbo_client::Error) -> String {
    format!("more than {MOST_LOST} records cannot be delivered; the last: {}", why.kind)
}

impl Scan {
    /// Gets past the next record behind those that the cursor has taken. Returns whether the scan is over.
    pub(super) async fn get_past(&mut self, why: &qbo_client::Error) -> Result<bool, RunError> {
        let ended = self.close_in(why).await;
        self.halted(ended).await
    }

    /// Reads the cursor's instant around the records that cannot be delivered.
    pub(super) async fn read_crowd(&mut self, why: &qbo_client::Error) -> Result<bool, RunError> {
        let ended = self.read_instant(why).await;
        self.halted(ended).await
    }

    pub(super) async fn halted(&mut self, ended: Result<bool, Halt>) -> Result<bool, RunError> {
        match ended {
            Ok(over) => Ok(over),
            Err(Halt::Run(error)) => Err(error),
            Err(Halt::FetchFailure(unread)) => self.give_up(unread).await,
        }
    }

    async fn close_in(&mut self, why: &qbo_client::Error) -> Result<bool, Halt> {
        let (at, after) = (self.keyset.position().0, self.keyset.after());
        let here = self.between(at, after);
        match self.find(&here).await? {
            Found::All(page) => {
                if self.land_stretch(&here, page, after).await? {
                    return Ok(true);
                }
            }
            Found::Page | Found::Bad(_) => return self.read_instant(why).await,
        }
        let mut end = self.next_readable(after).await?;
        loop {
            let at = self.keyset.position().0;
            if end <= self.keyset.after() {
                return self.read_instant(why).await;
            }
            let gap = self.between(at, end);
            let counted = self.context.count(&gap).await?;
            match self.find(&gap).await? {
                Found::All(page) => {
                    let over = self.land_stretch(&gap, page, end).await?;
                    // The record shares its instant with the next readable record.
                    return if over { Ok(true) } else { self.read_instant(why).await };
                }
                // The cursor can go on by itself.
                Found::Page => return Ok(false),
                Found::Bad(_) if counted <= 1 => {
                    if !self.is_sure(&gap).await? {
                        continue;
                    }
                    let place = self.locate(at, end).await?;
                    return Ok(self.lose(&gap, why, (place, end), &[place]).await?);
                }
                Found::Bad(_) => {
                    let middle =
                        self.context.request.axis.floor(at + (end - at) / 2).max(self.keyset.after());
                    let first_half = self.between(at, middle);
                    match self.find(&first_half).await? {
                        Found::All(page) => {
                            if self.land_stretch(&first_half, page, middle).await? {
                                return Ok(true);
                            }
                        }
                        Found::Page => return Ok(false),
                        Found::Bad(_) => end = middle,
                    }
                }
            }
        }
    }

    /// Returns the instant of the record behind the next one, or the end of the scan. This is only a hint, because it goes by
    /// position.
    async fn next_readable(&mut self, from: OffsetDateTime) -> Result<OffsetDateTime, Halt> {
        let end = self.span.end();
        let one = PageSize::new(ONE).unwrap_or_default();
        let second = self.between(from, end).page(2, one);
        let axis = self.context.request.axis;
        let Answer::Page(page) = self.ask_for(&second).await? else { return Ok(end) };
        let time = page.records().next().and_then(|record| axis.time_of(&record));
        // A time that does not lie ahead is an odd time, and leads nowhere.
        Ok(time.map(|time| axis.floor(time)).filter(|at| from < *at && *at < end).unwrap_or(end))
    }

    /// Reads one instant in ever smaller parts, until the records met and the unreadable ones add up to its count.
    pub(super) async fn read_instant(&mut self, why: &qbo_client::Error) -> Result<bool, Halt> {
        let (at, after) = (self.keyset.position().0, self.keyset.after());
        let mut here = self.in_order(self.between(at, after));
        let mut counted = self.context.count(&here).await?;
        if counted == 0 && matches!(self.ask_for(&here).await?, Answer::Bad(_)) && self.is_sure(&here).await?
        {
            // Without a record in it, no record can be the cause: the request itself fails.
            return Err(FetchFailure::Rest(format!("the request itself fails: {}", why.kind)).into());
        }
        let mut met: HashSet<RecordKey> = HashSet::new();
        for _ in 0..MAX_PASSES {
            let mut lost = 0;
            let mut parts = self.parts(counted);
            while let Some((start, length)) = parts.pop() {
                let question = here.clone().page(start, PageSize::new(length).unwrap_or_default());
                match self.ask_for(&question).await? {
                    Answer::Page(page) => {
                        met.extend(page.records().map(|record| key(&record)));
                        self.land_part(&question, page).await?;
                    }
                    // QuickBooks refuses the order of ids, not a record.
                    Answer::Bad(error) if is_refused(&error) && self.keyset.leave_ids() => {
                        here = self.between(at, after);
                        (lost, parts) = (0, self.parts(counted));
                        met.clear();
                    }
                    Answer::Bad(_) if length == ONE && self.is_sure(&question).await? => {
                        lost += 1;
                        if self.lost + lost > MOST_LOST {
                            return Err(FetchFailure::Rest(too_many(why)).into());
                        }
                    }
                    Answer::Bad(_) | Answer::Slow if length == ONE => parts.push((start, length)),
                    Answer::Bad(_) | Answer::Slow => {
                        let half = length / 2;
                        parts.push((start + u32::from(half), length - half));
                        parts.push((start, half));
                    }
                }
            }
            let again = self.context.count(&here).await?;
            if again == counted && met.len() as u64 + u64::from(lost) == counted {
                let places = if self.keyset.is_reading_rest() && lost > 0 {
                    self.places_of((at, after), lost).await?
                } else {
                    vec![at; lost as usize]
                };
                return Ok(self.lose(&here, why, (at, after), &places).await?);
            }
            if again != counted {
                // Records have left the instant, and it is unknown which of those that were met.
                met.clear();
            }
            counted = again;
        }
        Err(FetchFailure::Rest(KeysetError::UnreliableInstant.to_string()).into())
    }

    /// Returns the requests for so many records of a range, page by page.
    pub(super) fn pages_of(&self, range: &Query, records: u64) -> Vec<Query> {
        let page = |(start, length)| range.clone().page(start, PageSize::new(length).unwrap_or_default());
        self.parts(records).into_iter().rev().map(page).collect()
    }

    /// Returns the pages of an instant by position, the first one last.
    fn parts(&self, records: u64) -> Vec<(u32, u16)> {
        let full = self.context.request.page_size.get();
        let mut parts = Vec::new();
        let (mut start, mut left) = (1_u32, records);
        while left > 0 {
            let length = u16::try_from(left).map_or(full, |left| left.min(full));
            parts.push((start, length));
            start += u32::from(length);
            left -= u64::from(length);
        }
        parts.reverse();
        parts
    }

    /// Finds the time of a record that is alone in its range, exact to the window.
    async fn locate(
        &mut self,
        mut from: OffsetDateTime,
        mut to: OffsetDateTime,
    ) -> Result<OffsetDateTime, Halt> {
        loop {
            let Some(border) = self.border_between(from, to) else { return Ok(from) };
            let before = self.between(from, border);
            match self.find(&before).await? {
                Found::Bad(_) => to = border,
                Found::All(_) | Found::Page => from = border,
            }
        }
    }

    pub(super) fn between(&self, from: OffsetDateTime, to: OffsetDateTime) -> Query {
        let request = &self.context.request;
        self.context.spec.query(request.axis, from, to).page(1, request.page_size)
    }

    pub(super) async fn find(&mut self, query: &Query) -> Result<Found, Halt> {
        match self.ask_for(query).await? {
            Answer::Bad(error) => Ok(Found::Bad(error)),
            Answer::Page(page) if query.page_size().is_last_page(page.len()) => Ok(Found::All(page)),
            Answer::Page(_) => Ok(Found::Page),
            Answer::Slow => Err(FetchFailure::Rest("QuickBooks takes too long to answer".into()).into()),
        }
    }

    /// Repeats a request that failed for a record, so that no record is given up for a passing failure.
    pub(super) async fn is_sure(&mut self, query: &Query) -> Result<bool, Halt> {
        for _ in 1..TRIES {
            if !matches!(self.ask_for(query).await?, Answer::Bad(_)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) async fn ask_for(&mut self, query: &Query) -> Result<Answer, Halt> {
        self.spend()?;
        match self.context.ask(&query.clone().probe()).await {
            Ok(page) => {
                self.confirm();
                let answered = self.moment(page.answered_at());
                self.progress.answered(answered);
                Ok(Answer::Page(page))
            }
            Err(FetchFailure::TooMuch(error)) if matches!(error.kind, ErrorKind::PageTooSlow) => {
                Ok(Answer::Slow)
            }
            Err(FetchFailure::Poisoned(error) | FetchFailure::TooMuch(error)) => Ok(Answer::Bad(error)),
            Err(FetchFailure::Doubtful(error)) if self.can_read_beside().await? => Ok(Answer::Bad(error)),
            Err(other) => Err(other.into()),
        }
    }

    /// Whether some record of the pipeline can be read now: a record that was read before or, if none was, one that lies ahead.
    pub(super) async fn can_read_beside(&mut self) -> Result<bool, FetchFailure> {
        self.keyset.go_back();
        let from = self.between(self.keyset.position().0, self.span.end());
        let known = self.keyset.known_here();
        let ahead = BESIDE.map(|place| from.clone().page(known + place, PageSize::ONE));
        let candidates = self.readable.take().map_or_else(|| ahead.to_vec(), |known| vec![known]);
        for query in candidates {
            self.spend()?;
            match self.context.ask(&query.clone().probe()).await {
                Ok(page) if !page.is_empty() => {
                    self.readable = Some(query);
                    return Ok(true);
                }
                Ok(_)
                | Err(FetchFailure::Doubtful(_) | FetchFailure::Poisoned(_) | FetchFailure::TooMuch(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(false)
    }

    /// Commits everything up to an instant, and moves the cursor there.
    pub(super) async fn land_stretch(
        &mut self,
        query: &Query,
        page: RawPage,
        end: OffsetDateTime,
    ) -> Result<bool, Halt> {
        let taken = self.keyset.take_stretch(&page, end);
        let fresh = taken.map_err(|problem| FetchFailure::Rest(problem.to_string()))?;
        self.keyset.go_to(end);
        let reached = if end < self.span.end() { Reached::Silent(end) } else { Reached::End };
        let commit = self.commit(query, &page, &Step { fresh, reached });
        drop(page);
        self.land(commit).await?;
        Ok(reached == Reached::End)
    }

    /// Commits a part of the cursor's instant, which stays open.
    async fn land_part(&mut self, query: &Query, page: RawPage) -> Result<(), Halt> {
        let taken = self.keyset.take_stretch(&page, self.keyset.after());
        let fresh = taken.map_err(|problem| FetchFailure::Rest(problem.to_string()))?;
        if fresh.is_empty() {
            return Ok(());
        }
        let commit = self.commit(query, &page, &Step { fresh, reached: Reached::Unproved });
        drop(page);
        Ok(self.land(commit).await?)
    }

    fn reached(&self, end: OffsetDateTime) -> Reached {
        if end < self.span.end() { Reached::Instant(end) } else { Reached::End }
    }

    /// Quarantines records that cannot be read, each in the window of its place and under the time span of all, and moves the
    /// cursor behind them. Returns whether the scan is over.
    async fn lose(
        &mut self,
        query: &Query,
        why: &qbo_client::Error,
        (from, end): (OffsetDateTime, OffsetDateTime),
        places: &[OffsetDateTime],
    ) -> Result<bool, RunError> {
        let records = u32::try_from(places.len()).unwrap_or(u32::MAX);
        self.lost = self.lost.saturating_add(records);
        if self.lost > MOST_LOST {
            return self.give_up(FetchFailure::Rest(too_many(why))).await;
        }
        self.keyset.go_to(end);
        let reached = self.reached(end);
        let request = request_payload(&query.text(), query.included());
        let (mut commit, windows) = self.entry(request, self.moment(None), places, reached);
        let span = Window::new(from, end).ok();
        for (number, window) in windows.into_iter().enumerate() {
            let place = serde_json::json!({
                "unreadable": self.context.spec.name().as_str(),
                "between": span.map(|span| span.to_string()),
                "number": number + 1,
            });
            commit.rejected.push(RejectedRow {
                id: None,
                raw: place.to_string().into(),
                reason: format!("{UNREADABLE}: {}", why.kind).into(),
                window,
            });
        }
        if let (true, Some(span)) = (records > 0, span) {
            let pipeline = self.context.spec.pipeline_name();
            self.context.events.emit(RunEventKind::Unreadable { pipeline, span });
        }
        self.land(commit).await.map(|()| reached == Reached::End)
    }
}
