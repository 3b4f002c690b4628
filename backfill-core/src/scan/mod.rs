//! The one page loop: ask, take, land, and ask for the next page while this one lands.

pub(crate) mod availability;
pub(crate) mod bad_record;
pub(crate) mod context;
mod density;
pub(crate) mod heads;
pub(crate) mod id_hash;
mod id_order;
pub(crate) mod keyset;
mod odd_time;
mod page_sizing;
mod record_key;
mod unordered;
mod window_progress;
pub(crate) mod work_split;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use qbo_auth::planted::is_planted;
use qbo_client::{ErrorKind, PageSize, Property, Query, RawPage, RawRecord};
use raw_store::{
    OpenWindow, PageCommit, PageOutcome, RejectedRow, Row, ScanCursor, Window, WindowChange, WindowCounts,
    WindowState,
};
use time::OffsetDateTime;
use tokio::sync::Notify;

use self::context::{Desk, Tally, Unproved, Unread};
use self::density::page_span;
use self::heads::Head;
use self::keyset::{Placed, Poisoned, Reached, Step, Walk, WalkError};
use self::window_progress::Accounting;
use self::work_split::{Left, Share, Stretch, later_part};
use crate::clocks::{Moment, Reading};
use crate::error::RunError;
use crate::event::{RunEvent, WindowReport};
use crate::plan::span;

/// How often a question is asked again whose answer contradicts it, before its odd records are set aside.
const ASKED_AGAIN: u32 = 2;

/// Contradictions of one scan that are asked about again. Behind them its answers are taken as they come.
const MOST_ASKED_AGAIN: u32 = 40;

/// How long such a question waits, so that a copy that lags behind catches up.
const BEFORE_ASKED_AGAIN: Duration = Duration::from_secs(1);

/// Questions in a row that bring no new record and close no window, before the rest of the scan is given up. The most that
/// can be of use are thirty passes over some pages of one second, and a page that is searched for many records that
/// cannot be delivered.
const MOST_FRUITLESS: u32 = 500;

/// The reason that is kept with such a record.
const MALFORMED: &str = "QuickBooks sent this record as text that is not JSON";

/// One ordered read of consecutive windows.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(super) desk: Arc<Desk>,
    share: Arc<Share>,
    news: Arc<Notify>,
    pub(super) span: Window,
    pub(super) walk: Walk,
    pub(super) accounting: Accounting,
    /// What was brought for windows that are not closed.
    running: Vec<(Window, Tally)>,
    /// The page that changed the line of each of these last.
    behind: Vec<(Window, u32)>,
    /// The heads of the page that lands.
    heads: Vec<Head>,
    /// Records that were found to be unreadable.
    pub(super) lost: u32,
    /// Answers in a row, and in all, that contradicted their question.
    contradictions: (u32, u32),
    /// Questions since one brought a new record or closed a window.
    fruitless: u32,
    /// A question of one record that was answered.
    pub(super) readable: Option<Query>,
    /// The time that a whole page covers, as far as the last one tells.
    pub(super) page_span: Option<time::Duration>,
    /// Where it began, and whole pages read since.
    from: OffsetDateTime,
    whole_pages: u32,
    page_began: Duration,
    page_began_at: OffsetDateTime,
}

impl Tally {
    /// With a further page.
    fn and(self, page: &WindowCounts) -> Self {
        let mut counts = self.counts;
        counts += *page;
        Self { counts, pages: self.pages + u64::from(page.read() > 0) }
    }
}

impl Scan {
    /// A scan of a stretch that nobody else reads; others see it through `share`, and hear of it through `news`.
    pub(crate) fn new(desk: Arc<Desk>, windows: &[OpenWindow], share: Arc<Share>, news: Arc<Notify>) -> Self {
        let span = span(windows);
        let start = ScanCursor { at: span.start(), seen: Vec::new() };
        let cursor = windows[0].cursor.clone().unwrap_or(start);
        let from = cursor.at;
        let scale = desk.spec.scale(desk.request.axis, span);
        let walk = Walk::new(scale, cursor, span.end(), desk.request.page_size);
        let walk = if desk.spec.has_ids() { walk } else { walk.without_ids() };
        Self {
            share,
            news,
            span,
            walk,
            accounting: Accounting::new(windows, desk.request.axis),
            running: Vec::new(),
            behind: Vec::new(),
            heads: Vec::new(),
            lost: 0,
            contradictions: (0, 0),
            fruitless: 0,
            readable: None,
            page_span: None,
            from,
            whole_pages: 0,
            page_began: desk.clock.elapsed(),
            page_began_at: desk.clock.now_utc(),
            desk,
        }
    }

    /// Reads to the end. Windows that cannot be read are given up in the log; an error leaves the rest as it
    /// is, for another run.
    pub(crate) async fn read(mut self) -> Result<(), RunError> {
        let result = self.read_pages().await;
        self.share.end(&self.news);
        result
    }

    async fn read_pages(&mut self) -> Result<(), RunError> {
        let desk = Arc::clone(&self.desk);
        let mut query = self.next_query();
        let mut answer = desk.ask(&query).await;
        loop {
            if let Err(unread) = self.spend() {
                self.give_up(unread).await?;
                return Ok(());
            }
            let page = match answer {
                Ok(page) => page,
                Err(unread) => {
                    if self.overcome(unread).await? {
                        return Ok(());
                    }
                    query = self.next_query();
                    answer = desk.ask(&query).await;
                    continue;
                }
            };
            if desk.availability.confirm() {
                // What waited for this can begin.
                self.news.notify_one();
            }
            let step = match self.walk.take(&page) {
                Ok(step) => step,
                Err(problem) => {
                    drop(page);
                    if self.reconsider(problem).await? {
                        return Ok(());
                    }
                    query = self.next_query();
                    answer = desk.ask(&query).await;
                    continue;
                }
            };
            self.contradictions.0 = 0;
            self.note_readable(&query, &page);
            let reached = step.reached;
            let page_span =
                page_span(step.fresh.len(), self.desk.request.page_size.get(), |n| step.fresh[n].time);
            let commit = self.commit(&query, &page, &step);
            drop(page);
            point!("scan.taken");
            match reached {
                Reached::End => return self.land(commit).await,
                Reached::Instant(_) | Reached::Silent(_) => {
                    self.whole_pages += 1;
                    self.page_span = page_span.or(self.page_span);
                    self.show();
                    if self.whole_pages == 1 {
                        // With the first page it is known how much there is. Whoever has a place gets a part of it now, not a
                        // page later.
                        self.considered().await;
                    }
                    query = self.next_query();
                    // While page n lands, page n+1 is on its way.
                    let (landed, next) = tokio::join!(desk.land(&commit), desk.ask(&query));
                    let window = self.here();
                    let outcome = landed.map_err(|failure| desk.error(window, failure))?;
                    self.settle(&commit, &outcome);
                    answer = next;
                }
                Reached::Unproved => {
                    self.land(commit).await?;
                    if self.prove_instant().await? {
                        return Ok(());
                    }
                    query = self.next_query();
                    answer = desk.ask(&query).await;
                }
            }
        }
    }

    /// Waits until others have had a look at what is left.
    async fn considered(&self) {
        tokio::select! {
            biased;
            () = self.share.considered() => {}
            () = self.desk.stop.cancelled() => {}
        }
    }

    /// Keeps a question of one record that was answered.
    fn note_readable(&mut self, query: &Query, page: &RawPage) {
        let begins = self.walk.position().1 == 1;
        if self.readable.is_none() && begins && !page.is_empty() {
            self.readable = Some(query.clone().page(1, PageSize::ONE));
        }
    }

    /// The next question, after a later part was handed over if somebody asked for it.
    fn next_query(&mut self) -> Query {
        let places = self.share.asked();
        if places > 0 {
            let part = self.cut(places);
            self.share.hand_over(part, &self.news);
        }
        let (at, position) = self.walk.position();
        let size = self.walk.ask();
        let (spec, axis) = (&self.desk.spec, self.desk.request.axis);
        if is_planted("offset paging") {
            let read = self.whole_pages * u32::from(size.get());
            return spec.query(axis, self.from, self.span.end()).page(1 + read, size);
        }
        let end = if self.walk.is_at_instant() { self.walk.after() } else { self.span.end() };
        let query = self.in_order(spec.query(axis, at, end)).page(position, size);
        if self.walk.is_searching() { query.probe() } else { query }
    }

    /// A question about the walk's instant in an order without equals, if there is one: a position then means the same record
    /// at the next question.
    pub(super) fn in_order(&self, query: Query) -> Query {
        if self.walk.is_by_id() { query.order_by(Property::ID) } else { query }
    }

    /// Cuts off the later part of what is left, for so many places, at the beginning of a window.
    fn cut(&mut self, places: u16) -> Option<Stretch> {
        let open = self.accounting.open();
        if open.len() < 2 {
            return None;
        }
        let windows = self.accounting.split_off(later_part(open, self.walk.position().0, places));
        let end = windows[0].start();
        self.span = Window::new(self.span.start(), end).ok()?;
        self.walk.end_at(end);
        let density = self.density();
        self.show();
        let pipeline = self.desk.spec.pipeline_name();
        self.desk.emit(&RunEvent::ScanSplit { pipeline, at: end });
        let windows = windows.into_iter().map(|window| OpenWindow { window, cursor: None }).collect();
        Some(Stretch { windows, density, places })
    }

    /// Shows others how much is left.
    fn show(&self) {
        let at = self.walk.position().0;
        let windows = self.accounting.open().len();
        let left = Left { span: self.span.end() - at, density: self.density(), windows };
        self.share.show(left, &self.news);
    }

    /// Pages in a second, as the last one tells, or else all of the time read so far.
    fn density(&self) -> f64 {
        if let Some(span) = self.page_span {
            return span.as_seconds_f64().recip();
        }
        let seconds = (self.walk.position().0 - self.from).as_seconds_f64();
        f64::from(self.whole_pages) / seconds.max(1.0)
    }

    pub(super) fn here(&self) -> Option<Window> {
        self.accounting.open().first().copied()
    }

    /// Turns a page into everything that becomes true with it.
    pub(super) fn commit(&mut self, query: &Query, page: &RawPage, step: &Step<'_>) -> PageCommit {
        let times: Vec<_> = step.fresh.iter().map(|one| one.time).collect();
        let answered = self.moment(page.answered_at());
        let (mut commit, places) = self.entry(&query.text(), answered, &times, step.reached);
        for (one, place) in step.fresh.iter().zip(places) {
            if one.odd.is_some() {
                set_aside(&mut commit, one, place);
                continue;
            }
            put(&mut commit, &one.record, place);
            if let (Some(_), Ok(id), false) = (&self.desk.heads, one.record.id(), one.record.is_malformed()) {
                self.heads.push(Head::of(&one.record, id, place));
            }
        }
        commit
    }

    /// When an answer was given that has come since the last page was entered: by its own time, if it says one, as far as the
    /// other clocks agree.
    pub(super) fn moment(&self, source: Option<OffsetDateTime>) -> Moment {
        let asked = Reading { elapsed: self.page_began, host: self.page_began_at };
        self.desk.clocks.moment(source, asked, self.desk.reading())
    }

    /// The commit without its records, and the window of each.
    pub(super) fn entry(
        &mut self,
        query: &str,
        answered: Moment,
        times: &[OffsetDateTime],
        reached: Reached,
    ) -> (PageCommit, Vec<usize>) {
        let now = self.desk.clock.elapsed();
        let spent = now.saturating_sub(self.page_began);
        let mut entry = self.accounting.enter(answered, times, (&self.walk, reached), spent);
        if reached == Reached::End && self.desk.spec.is_snapshot() {
            // What is read as a whole is as of one moment: a later run does not go on where this one ended.
            entry.changes.iter_mut().for_each(|change| change.cursor = None);
        }
        for change in &mut entry.changes {
            let before = self.behind.iter().find(|(window, _)| *window == change.window);
            change.after = Some(before.map_or(0, |(_, page)| *page));
        }
        if entry.is_held_back {
            self.desk.clocks.note(answered.apart);
        }
        let started_at = self.page_began_at;
        (self.page_began, self.page_began_at) = (now, self.desk.clock.now_utc());
        self.heads.clear();
        let commit = PageCommit {
            pipeline: self.desk.pipeline.clone(),
            run: self.desk.run().clone(),
            lease: self.desk.lease.clone(),
            page_number: self.desk.pages.fetch_add(1, Ordering::Relaxed) + 1,
            page_size: self.desk.request.page_size.get().into(),
            request: request_payload(query),
            started_at,
            ingested_at: self.page_began_at,
            answered_at: answered.likely,
            latest_at: answered.latest,
            rows: Vec::with_capacity(times.len()),
            by_content: self.desk.request.by_content,
            rejected: Vec::new(),
            windows: entry.changes,
        };
        (commit, entry.places)
    }

    pub(super) async fn land(&mut self, commit: PageCommit) -> Result<(), RunError> {
        let outcome =
            self.desk.land(&commit).await.map_err(|failure| self.desk.error(self.here(), failure))?;
        self.settle(&commit, &outcome);
        Ok(())
    }

    /// Tells what a landed page brought.
    fn settle(&mut self, commit: &PageCommit, outcome: &PageOutcome) {
        if let Some(heads) = &self.desk.heads {
            heads.add(commit, &self.heads, outcome);
        }
        self.desk.emit(&RunEvent::PageLanded {
            pipeline: self.desk.spec.pipeline_name(),
            page: commit.page_number,
            rows: outcome.total.read(),
            counts: outcome.total,
            time: commit.windows.iter().map(|change| change.duration).sum(),
        });
        let is_closed = |change: &WindowChange| change.state != WindowState::Running;
        if commit.rows.len() + commit.rejected.len() > 0 || commit.windows.iter().any(is_closed) {
            self.fruitless = 0;
        }
        let mut running = Vec::new();
        for (change, counts) in commit.windows.iter().zip(&outcome.windows) {
            let before = self.running.iter().find(|(window, _)| *window == change.window);
            let tally = before.map_or_else(Tally::default, |(_, tally)| *tally).and(counts);
            if change.state == WindowState::Running {
                if self.accounting.has_passed(&change.window) {
                    self.desk.await_proof(change.window, Unproved { tally, page: commit.page_number });
                } else {
                    running.push((change.window, tally));
                }
                continue;
            }
            self.desk.emit(&RunEvent::Window(WindowReport {
                pipeline: self.desk.spec.pipeline_name(),
                window: change.window,
                state: change.state,
                counts: tally.counts,
                pages: tally.pages,
                message: None,
            }));
        }
        self.behind = running.iter().map(|(window, _)| (*window, commit.page_number)).collect();
        self.running = running;
    }

    /// Counts the instant where the walk stands. Returns whether the scan is over.
    pub(super) async fn prove_instant(&mut self) -> Result<bool, RunError> {
        let (at, _) = self.walk.position();
        let query = self.desk.spec.query(self.desk.request.axis, at, self.walk.after());
        let counted = match self.desk.count(&query).await {
            Ok(counted) => counted,
            Err(unread) => return self.give_up(unread).await,
        };
        match self.walk.counted(counted) {
            Ok(Reached::End) => {
                let (commit, _) = self.entry(&query.count_text(), self.moment(None), &[], Reached::End);
                self.land(commit).await?;
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(problem) => self.give_up(Unread::Rest(problem.to_string())).await,
        }
    }

    /// Counts a question that is asked; an error if too many brought nothing.
    pub(super) fn spend(&mut self) -> Result<(), Unread> {
        self.fruitless += 1;
        if self.fruitless <= MOST_FRUITLESS {
            return Ok(());
        }
        Err(Unread::Rest(format!("the last {MOST_FRUITLESS} calls brought no new record")))
    }

    /// Deals with a page that contradicts its question or itself: it is asked for again, then taken without its odd records,
    /// then read in parts for which no order is needed. Returns whether the scan is over.
    async fn reconsider(&mut self, problem: WalkError) -> Result<bool, RunError> {
        match problem {
            WalkError::Unwitnessed => Ok(false),
            WalkError::UnreliableInstant => self.give_up(Unread::Rest(problem.to_string())).await,
            WalkError::Untimed => self.read_in_parts().await,
            WalkError::Outside | WalkError::Disorder => {
                let (in_a_row, in_all) = &mut self.contradictions;
                (*in_a_row, *in_all) = (*in_a_row + 1, *in_all + 1);
                if *in_a_row > ASKED_AGAIN {
                    self.contradictions.0 = 0;
                    return self.read_in_parts().await;
                }
                if *in_a_row == ASKED_AGAIN || *in_all > MOST_ASKED_AGAIN {
                    // What the next answer still says is taken as it is.
                    self.walk.tolerate();
                }
                self.desk
                    .pause(BEFORE_ASKED_AGAIN)
                    .await
                    .map_err(|failure| self.desk.error(self.here(), failure))?;
                Ok(false)
            }
        }
    }

    /// Gives up the windows that begin before an instant, and goes on behind them. Returns whether the scan is over.
    pub(super) async fn leave(&mut self, until: OffsetDateTime, message: &str) -> Result<bool, RunError> {
        let left = self.accounting.leave(until);
        if let Some(last) = left.last() {
            self.walk.go_to(last.end());
        }
        self.fruitless = 0;
        self.desk
            .fail(&left, message)
            .await
            .map_err(|error| self.desk.error(left.first().copied(), error))?;
        Ok(self.accounting.open().is_empty())
    }

    /// Deals with a question that was not answered. Returns whether the scan is over; otherwise the walk knows what to
    /// ask next.
    async fn overcome(&mut self, unread: Unread) -> Result<bool, RunError> {
        let error = match unread {
            Unread::TooMuch(_) if self.walk.too_much() => {
                self.walk.go_back();
                return Ok(false);
            }
            // Ids cannot be sorted by, as it seems.
            Unread::Rest(_) | Unread::Unavailable(_) if self.walk.leave_ids() => {
                return self.prove_instant().await;
            }
            Unread::Doubtful(error) if is_refused(&error) && self.walk.leave_ids() => {
                return self.prove_instant().await;
            }
            Unread::Doubtful(error) => match self.can_read_beside().await {
                Ok(true) => error,
                Ok(false) => return self.give_up(Unread::Doubtful(error)).await,
                Err(unread) => return self.give_up(unread).await,
            },
            Unread::TooMuch(error) | Unread::Poisoned(error) => error,
            other => return self.give_up(other).await,
        };
        match self.walk.poisoned() {
            Poisoned::Smaller => Ok(false),
            Poisoned::Next => self.get_past(&error).await,
            Poisoned::Crowd => self.read_crowd(&error).await,
        }
    }

    /// Records that the rest cannot be read. Returns that the scan is over.
    pub(super) async fn give_up(&mut self, unread: Unread) -> Result<bool, RunError> {
        let open = self.accounting.open();
        let window = open.first().copied();
        let message = match unread.settled() {
            Unread::Fatal(failure) => return Err(self.desk.error(window, failure)),
            Unread::Rest(message) => message,
            Unread::Unavailable(message) if self.desk.availability.deny(&message) => {
                let left_out = self.desk.leave_out(open, &message).await;
                return left_out.map(|()| true).map_err(|error| self.desk.error(window, error));
            }
            Unread::Unavailable(message) => format!("{message}, though records were read before"),
            Unread::TooMuch(error) | Unread::Poisoned(error) | Unread::Doubtful(error) => error.to_string(),
        };
        self.desk.fail(open, &message).await.map_err(|error| self.desk.error(window, error))?;
        Ok(true)
    }
}

/// Whether the question is one that QuickBooks does not accept.
pub(super) fn is_refused(error: &qbo_client::Error) -> bool {
    matches!(error.kind, ErrorKind::BadQuery { .. })
}

/// Puts a record of a window into a commit.
pub(crate) fn put(commit: &mut PageCommit, record: &RawRecord<'_>, window: usize) {
    let raw = record.bytes();
    if record.is_malformed() {
        let id = record.id().ok().map(Into::into);
        commit.rejected.push(RejectedRow { id, raw, reason: MALFORMED.into(), window });
        return;
    }
    match record.id() {
        Ok(id) => commit.rows.push(Row {
            id: id.into(),
            payload: raw,
            window,
            updated_at: record.updated_at(),
            sync_token: record.sync_token(),
        }),
        Err(problem) => {
            let reason = problem.to_string().into();
            commit.rejected.push(RejectedRow { id: None, raw, reason, window });
        }
    }
}

/// Keeps a record aside whose time cannot be believed.
fn set_aside(commit: &mut PageCommit, one: &Placed<'_>, window: usize) {
    let reason = one.odd.map(|odd| odd.to_string()).unwrap_or_default().into();
    let id = one.record.id().ok().map(Into::into);
    commit.rejected.push(RejectedRow { id, raw: one.record.bytes(), reason, window });
}

/// What was asked, as it is kept beside each row.
pub(crate) fn request_payload(query: &str) -> Box<str> {
    serde_json::json!({ "query": query, "minorversion": qbo_client::MINOR_VERSION }).to_string().into()
}
