//! The page loop of a scan: fetches a page, takes its records, commits it, and fetches the next page during the commit.

pub(crate) mod availability;
mod undeliverable_place;
pub(crate) mod undeliverable_record;
pub(crate) mod pipeline_context;
mod page_span;
pub(crate) mod record_heads;
mod id_order;
pub(crate) mod keyset;
mod implausible_time;
mod page_sizing;
mod record_key;
mod unordered;
mod window_progress;
pub(crate) mod work_split;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use failpoint::point;
use qbo_client::{ErrorKind, Include, PageSize, Property, Query, RawPage, RawRecord};
use raw_store::{
    OpenWindow, PageCommit, PageOutcome, RejectedRow, Row, ScanCursor, Window, WindowChange, WindowCounts,
    WindowState,
};
use time::OffsetDateTime;
use tokio::sync::Notify;

use self::keyset::{KeysetCursor, KeysetError, Placed, Poisoned, Reached, Step};
use self::page_span::page_span;
use self::pipeline_context::{FetchFailure, FirstRefusal, PipelineContext, Tally, Unproved};
use self::record_heads::Head;
use self::record_key::key;
use self::window_progress::WindowProgress;
use self::work_split::{PendingRange, Remaining, WorkSplit, later_part};
use crate::catalog::RequestPart;
use crate::clock_check::{Moment, Reading};
use crate::error::RunError;
use crate::event::{RunEventKind, WindowReport};
use crate::plan::span;

/// How often a request is repeated whose response contradicts it, before its odd records are set aside.
const ASKED_AGAIN: u32 = 2;

/// The most contradictions of one scan for which requests are repeated. Beyond that, responses are taken as they come.
const MOST_ASKED_AGAIN: u32 = 40;

/// Delay before such a repeat, so that a copy that lags behind catches up.
const BEFORE_ASKED_AGAIN: Duration = Duration::from_secs(1);

/// Requests in a row that bring no new record and close no window, before the rest of the scan is given up. The most that can
/// be of use are thirty passes over some pages of one second, and a page that is searched for many records that cannot be
/// delivered.
const MOST_FRUITLESS: u32 = 500;

/// The reason that is kept with such a record.
const MALFORMED: &str = "QuickBooks sent this record as text that is not JSON";

/// One ordered read of consecutive windows.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(super) context: Arc<PipelineContext>,
    share: Arc<WorkSplit>,
    news: Arc<Notify>,
    pub(super) span: Window,
    pub(super) keyset: KeysetCursor,
    pub(super) progress: WindowProgress,
    /// What was read for windows that are not closed.
    running: Vec<(Window, Tally)>,
    /// The page that last changed the line of each of these windows.
    behind: Vec<(Window, u32)>,
    /// The heads of the page that is being committed.
    heads: Vec<Head>,
    /// The number of records that were found to be unreadable.
    pub(super) lost: u32,
    /// Responses in a row, and in all, that contradicted their request.
    contradictions: (u32, u32),
    /// Requests since one brought a new record or closed a window.
    fruitless: u32,
    /// A request for one record that was answered.
    pub(super) readable: Option<Query>,
    /// The time that a full page covers, estimated from the last one.
    pub(super) page_span: Option<time::Duration>,
    /// Where the scan began, and full pages read since.
    from: OffsetDateTime,
    whole_pages: u32,
    page_began: Duration,
    page_began_at: OffsetDateTime,
}

impl Tally {
    /// Adds the counts of another page.
    fn and(self, page: &WindowCounts) -> Self {
        let mut counts = self.counts;
        counts += *page;
        Self { counts, pages: self.pages + u64::from(page.read() > 0) }
    }
}

impl Scan {
    /// Creates a scan of a range that no other scan reads; others see it through `share`, and hear of it through `news`.
    pub(crate) fn new(
        context: Arc<PipelineContext>,
        windows: &[OpenWindow],
        share: Arc<WorkSplit>,
        news: Arc<Notify>,
    ) -> Self {
        let span = span(windows);
        let start = ScanCursor { at: span.start(), seen: Vec::new() };
        let cursor = windows[0].cursor.clone().unwrap_or(start);
        let from = cursor.at;
        let scale = context.spec.scale(context.request.axis, span);
        let keyset = KeysetCursor::new(scale, cursor, span.end(), context.request.page_size);
        let has_ids = context.spec.has_ids() && !context.spec.leaves_out(RequestPart::Order);
        let keyset = if has_ids { keyset } else { keyset.without_ids() };
        Self {
            share,
            news,
            span,
            keyset,
            progress: WindowProgress::new(windows, context.request.axis),
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
            page_began: context.clock.elapsed(),
            page_began_at: context.clock.now_utc(),
            context,
        }
    }

    /// Reads to the end. Windows that cannot be read are given up in the log; an error leaves the rest as it is, for another
    /// run.
    pub(crate) async fn read(mut self) -> Result<(), RunError> {
        let result = self.read_pages().await;
        self.share.end(&self.news);
        result
    }

    async fn read_pages(&mut self) -> Result<(), RunError> {
        let context = Arc::clone(&self.context);
        let mut asked = self.ask_next().await?;
        while let Some((query, answer)) = asked {
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
                    asked = self.ask_next().await?;
                    continue;
                }
            };
            self.confirm();
            let step = match self.keyset.take(&page) {
                Ok(step) => step,
                Err(problem) => {
                    drop(page);
                    if self.reconsider(problem).await? {
                        return Ok(());
                    }
                    asked = self.ask_next().await?;
                    continue;
                }
            };
            self.contradictions.0 = 0;
            self.note_readable(&query, &page);
            let reached = step.reached;
            let page_span =
                page_span(step.fresh.len(), self.context.request.page_size.get(), |n| step.fresh[n].time);
            let commit = self.commit(&query, &page, &step);
            drop(page);
            point!("scan.taken");
            match reached {
                Reached::End => return self.land(commit).await,
                Reached::Instant(_) | Reached::Silent(_) if self.is_unordered() => {
                    self.land(commit).await?;
                    asked = self.ask_next().await?;
                }
                Reached::Instant(_) | Reached::Silent(_) => {
                    self.whole_pages += 1;
                    self.page_span = page_span.or(self.page_span);
                    self.show();
                    if self.whole_pages == 1 {
                        // The first page shows how much there is. Free permits get a part of it now, not a page later.
                        self.considered().await;
                    }
                    let query = self.next_query();
                    // While page n is committed, page n+1 is on its way.
                    let (landed, next) = tokio::join!(context.land(&commit), context.ask(&query));
                    let window = self.here();
                    let outcome = landed.map_err(|failure| context.error(window, failure))?;
                    self.settle(&commit, &outcome);
                    asked = Some((query, next));
                }
                Reached::Unproved => {
                    self.land(commit).await?;
                    if self.prove_instant().await? {
                        return Ok(());
                    }
                    asked = self.ask_next().await?;
                }
            }
        }
        Ok(())
    }

    /// Sends the next request. If QuickBooks refuses to sort the records, everything up to the next instant that holds more than
    /// a page is read before, in parts that need no order. `None` if the scan is over.
    async fn ask_next(&mut self) -> Result<Option<(Query, Result<RawPage, FetchFailure>)>, RunError> {
        while self.is_unordered() && !self.keyset.is_at_instant() {
            if self.read_in_parts().await? {
                return Ok(None);
            }
        }
        let query = self.next_query();
        let answer = self.context.ask(&query).await;
        Ok(Some((query, answer)))
    }

    /// Whether QuickBooks refuses to sort the records.
    fn is_unordered(&self) -> bool {
        let spec = &self.context.spec;
        !spec.is_ordered() && !spec.is_snapshot()
    }

    /// Waits until the pipeline has considered what is left.
    async fn considered(&self) {
        tokio::select! {
            biased;
            () = self.share.considered() => {}
            () = self.context.stop.cancelled() => {}
        }
    }

    /// Notes that a request was answered.
    pub(super) fn confirm(&self) {
        if self.context.availability.confirm() {
            // Scans that waited for this can begin.
            self.news.notify_one();
        }
    }

    /// Keeps a request for one record that was answered.
    fn note_readable(&mut self, query: &Query, page: &RawPage) {
        let begins = self.keyset.position().1 == 1;
        if self.readable.is_none() && begins && !page.is_empty() {
            self.readable = Some(query.clone().page(1, PageSize::ONE));
        }
    }

    /// Returns the next request, after handing over a later part if one was requested.
    fn next_query(&mut self) -> Query {
        let places = self.share.asked();
        if places > 0 {
            let part = self.cut(places);
            self.share.hand_over(part, &self.news);
        }
        let (at, position) = self.keyset.position();
        let size = self.keyset.ask();
        let (spec, axis) = (&self.context.spec, self.context.request.axis);
        let end = if self.keyset.is_at_instant() { self.keyset.after() } else { self.span.end() };
        let query = self.in_order(spec.query(axis, at, end)).page(position, size);
        if self.keyset.is_searching() { query.probe() } else { query }
    }

    /// Orders a query for the cursor's instant without ties, if there is such an order: a position then means the same record
    /// at the next request.
    pub(super) fn in_order(&self, query: Query) -> Query {
        if self.keyset.is_by_id() { query.order_by(Property::ID) } else { query }
    }

    /// Cuts off the later part of what is left, for this many permits, at the beginning of a window.
    fn cut(&mut self, places: u16) -> Option<PendingRange> {
        let open = self.progress.open();
        if open.len() < 2 || self.keyset.is_reading_rest() {
            return None;
        }
        let windows = self.progress.split_off(later_part(open, self.keyset.position().0, places));
        let end = windows[0].start();
        self.span = Window::new(self.span.start(), end).ok()?;
        self.keyset.end_at(end);
        let density = self.density();
        self.show();
        let pipeline = self.context.spec.pipeline_name();
        self.context.events.emit(RunEventKind::ScanSplit { pipeline, at: end });
        let windows = windows.into_iter().map(|window| OpenWindow { window, cursor: None }).collect();
        Some(PendingRange { windows, density, places })
    }

    /// Publishes how much is left.
    fn show(&self) {
        let at = self.keyset.position().0;
        // What is read in the order of ids is not divided by time.
        let windows = if self.keyset.is_reading_rest() { 1 } else { self.progress.open().len() };
        let left = Remaining { span: self.span.end() - at, density: self.density(), windows };
        self.share.show(left, &self.news);
    }

    /// Returns the pages per second, estimated from the last page or else from all of the time read so far.
    fn density(&self) -> f64 {
        if let Some(span) = self.page_span {
            return span.as_seconds_f64().recip();
        }
        let seconds = (self.keyset.position().0 - self.from).as_seconds_f64();
        f64::from(self.whole_pages) / seconds.max(1.0)
    }

    pub(super) fn here(&self) -> Option<Window> {
        self.progress.open().first().copied()
    }

    /// Turns a page into a commit of everything that becomes true with it.
    pub(super) fn commit(&mut self, query: &Query, page: &RawPage, step: &Step<'_>) -> PageCommit {
        let fresh: Vec<_> = step.fresh.iter().filter(|one| self.is_new(one)).collect();
        let times: Vec<_> = fresh.iter().map(|one| one.time).collect();
        let answered = self.moment(page.answered_at());
        let (mut commit, places) =
            self.entry(request_payload(&query.text(), query.included()), answered, &times, step.reached);
        for (one, place) in fresh.into_iter().zip(places) {
            if one.odd.is_some() {
                set_aside(&mut commit, one, place);
                continue;
            }
            put(&mut commit, &one.record, place);
            if let (Some(_), Ok(id), false) =
                (&self.context.heads, one.record.id(), one.record.is_malformed())
            {
                self.heads.push(Head::of(&one.record, id, place));
            }
        }
        commit
    }

    /// Whether this run has not taken the record yet. A record without a time may come with every range of times.
    fn is_new(&self, one: &Placed<'_>) -> bool {
        let is_timed =
            self.context.spec.is_snapshot() || self.context.request.axis.time_of(&one.record).is_some();
        is_timed || self.context.takes_timeless((key(&one.record), one.record.sync_token()))
    }

    /// Determines the time of a response that has come since the last page was entered: its own time, if it states one, as far
    /// as the other clocks agree.
    pub(super) fn moment(&self, source: Option<OffsetDateTime>) -> Moment {
        let asked = Reading { elapsed: self.page_began, host: self.page_began_at };
        self.context.clocks.moment(source, asked, self.context.reading())
    }

    /// Builds the commit without its records, and the window of each.
    pub(super) fn entry(
        &mut self,
        request: Box<str>,
        answered: Moment,
        times: &[OffsetDateTime],
        reached: Reached,
    ) -> (PageCommit, Vec<usize>) {
        let now = self.context.clock.elapsed();
        let spent = now.saturating_sub(self.page_began);
        let mut entry = self.progress.enter(answered, times, (&self.keyset, reached), spent);
        if self.keyset.is_reading_rest() {
            // No instant has been read to its end: another run begins the window again.
            entry.changes.iter_mut().for_each(|change| change.cursor = None);
        }
        if reached == Reached::End && self.context.spec.is_snapshot() {
            // An entity that is read whole is as of one moment: a later run does not continue where this one ended.
            entry.changes.iter_mut().for_each(|change| change.cursor = None);
        }
        for change in &mut entry.changes {
            let before = self.behind.iter().find(|(window, _)| *window == change.window);
            change.after = Some(before.map_or(0, |(_, page)| *page));
        }
        if entry.is_held_back {
            self.context.clocks.note(answered.apart);
        }
        let started_at = self.page_began_at;
        (self.page_began, self.page_began_at) = (now, self.context.clock.now_utc());
        self.heads.clear();
        let commit = PageCommit {
            pipeline: self.context.pipeline.clone(),
            run: self.context.run().clone(),
            lease: self.context.lease.clone(),
            page_number: self.context.pages.fetch_add(1, Ordering::Relaxed) + 1,
            page_size: self.context.request.page_size.get().into(),
            request,
            started_at,
            ingested_at: self.page_began_at,
            answered_at: answered.likely,
            latest_at: answered.latest,
            rows: Vec::with_capacity(times.len()),
            all_fields: self.context.spec.asks_for_all_fields(),
            by_content: self.context.request.by_content,
            rejected: Vec::new(),
            windows: entry.changes,
        };
        (commit, entry.places)
    }

    pub(super) async fn land(&mut self, commit: PageCommit) -> Result<(), RunError> {
        let outcome =
            self.context.land(&commit).await.map_err(|failure| self.context.error(self.here(), failure))?;
        self.settle(&commit, &outcome);
        Ok(())
    }

    /// Reports what a committed page brought.
    fn settle(&mut self, commit: &PageCommit, outcome: &PageOutcome) {
        if let Some(heads) = &self.context.heads {
            heads.add(commit, &self.heads, outcome);
        }
        self.context.events.emit(RunEventKind::PageCommitted {
            pipeline: self.context.spec.pipeline_name(),
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
                if self.progress.has_passed(&change.window) {
                    self.context.await_proof(change.window, Unproved { tally, page: commit.page_number });
                } else {
                    running.push((change.window, tally));
                }
                continue;
            }
            self.context.events.emit(RunEventKind::Window(WindowReport {
                pipeline: self.context.spec.pipeline_name(),
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

    /// Counts the instant at which the cursor stands. Returns whether the scan is over.
    pub(super) async fn prove_instant(&mut self) -> Result<bool, RunError> {
        let (at, _) = self.keyset.position();
        let query = self.context.spec.query(self.context.request.axis, at, self.keyset.after());
        let counted = match self.context.count(&query).await {
            Ok(counted) => counted,
            Err(unread) => return self.give_up(unread).await,
        };
        match self.keyset.counted(counted) {
            Ok(Reached::End) => {
                let (commit, _) = self.entry(
                    request_payload(&query.count_text(), None),
                    self.moment(None),
                    &[],
                    Reached::End,
                );
                self.land(commit).await?;
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(problem) => self.give_up(FetchFailure::Rest(problem.to_string())).await,
        }
    }

    /// Counts what lies before the time that a single record gives. If it is what its page has, the page is requested again and
    /// believed; otherwise the time cannot be trusted, and the range is read in parts. Returns whether the scan is over.
    async fn confirm_by_count(&mut self, until: OffsetDateTime, before: u64) -> Result<bool, RunError> {
        let (at, _) = self.keyset.position();
        let query = self.context.spec.query(self.context.request.axis, at, until);
        match self.context.count(&query).await {
            Ok(counted) if counted == before => {
                self.keyset.confirm(until);
                Ok(false)
            }
            Ok(_) => self.read_in_parts().await,
            Err(unread) => self.give_up(unread).await,
        }
    }

    /// Counts a request; fails if too many brought nothing.
    pub(super) fn spend(&mut self) -> Result<(), FetchFailure> {
        self.fruitless += 1;
        if self.fruitless <= MOST_FRUITLESS {
            return Ok(());
        }
        Err(FetchFailure::Rest(format!("the last {MOST_FRUITLESS} calls brought no new record")))
    }

    /// Deals with a page that contradicts its request or itself: the page is requested again, then taken without its odd
    /// records, then read in parts that need no order. Returns whether the scan is over.
    async fn reconsider(&mut self, problem: KeysetError) -> Result<bool, RunError> {
        match problem {
            KeysetError::Unwitnessed => Ok(false),
            KeysetError::UnreliableInstant => self.give_up(FetchFailure::Rest(problem.to_string())).await,
            KeysetError::Untimed => self.read_timeless().await,
            KeysetError::Unconfirmed { until, before } => self.confirm_by_count(until, before).await,
            KeysetError::Outside | KeysetError::Disorder => {
                let (in_a_row, in_all) = &mut self.contradictions;
                (*in_a_row, *in_all) = (*in_a_row + 1, *in_all + 1);
                if *in_a_row > ASKED_AGAIN {
                    self.contradictions.0 = 0;
                    return self.read_in_parts().await;
                }
                if *in_a_row == ASKED_AGAIN || *in_all > MOST_ASKED_AGAIN {
                    // What the next response still says is taken as it is.
                    self.keyset.tolerate();
                }
                self.context
                    .pause(BEFORE_ASKED_AGAIN)
                    .await
                    .map_err(|failure| self.context.error(self.here(), failure))?;
                Ok(false)
            }
        }
    }

    /// Gives up the windows that begin before an instant, and moves the cursor behind them. Returns whether the scan is over.
    pub(super) async fn leave(&mut self, until: OffsetDateTime, message: &str) -> Result<bool, RunError> {
        let left = self.progress.leave(until);
        if let Some(last) = left.last() {
            self.keyset.go_to(last.end());
        }
        self.fruitless = 0;
        self.context
            .fail(&left, (message, "window.unreadable"))
            .await
            .map_err(|error| self.context.error(left.first().copied(), error))?;
        Ok(self.progress.open().is_empty())
    }

    /// Deals with a request that was not answered. Returns whether the scan is over; otherwise the cursor knows what to request
    /// next.
    async fn overcome(&mut self, unread: FetchFailure) -> Result<bool, RunError> {
        let error = match unread {
            // The pipeline finds out what is refused, and reads the windows in another way.
            FetchFailure::Refused(error) => {
                self.leave_to_pipeline(error);
                return Ok(true);
            }
            FetchFailure::TooMuch(_) if self.keyset.too_much() => {
                self.keyset.go_back();
                return Ok(false);
            }
            // It seems that this entity cannot be sorted by id.
            FetchFailure::Rest(_) | FetchFailure::Unavailable(_) if self.keyset.leave_ids() => {
                return self.prove_instant().await;
            }
            FetchFailure::Doubtful(error) if is_refused(&error) && self.keyset.leave_ids() => {
                return self.prove_instant().await;
            }
            FetchFailure::Doubtful(error) => match self.can_read_beside().await {
                Ok(true) => error,
                Ok(false) => return self.give_up(FetchFailure::Doubtful(error)).await,
                Err(unread) => return self.give_up(unread).await,
            },
            FetchFailure::TooMuch(error) | FetchFailure::Poisoned(error) => error,
            other => return self.give_up(other).await,
        };
        match self.keyset.poisoned() {
            Poisoned::Smaller => Ok(false),
            Poisoned::Next => self.get_past(&error).await,
            Poisoned::Crowd => self.read_crowd(&error).await,
        }
    }

    /// Leaves the windows open for the pipeline, which finds out what is refused.
    fn leave_to_pipeline(&self, why: qbo_client::Error) {
        let range = Window::new(self.keyset.position().0, self.span.end()).unwrap_or(self.span);
        let page_size = self.context.request.page_size;
        self.context.first_answer.refuse(FirstRefusal { why, range, page_size });
    }

    /// Records that the rest cannot be read. Returns that the scan is over.
    pub(super) async fn give_up(&mut self, unread: FetchFailure) -> Result<bool, RunError> {
        let open = self.progress.open();
        let window = open.first().copied();
        if let FetchFailure::Refused(error) = unread {
            self.leave_to_pipeline(error);
            return Ok(true);
        }
        let code = unread.code();
        let message = match unread.settled() {
            FetchFailure::Fatal(failure) => return Err(self.context.error(window, failure)),
            FetchFailure::Rest(message) => message,
            FetchFailure::Unavailable(message) if self.context.availability.deny(&message) => {
                let left_out = self.context.leave_out(open, &message).await;
                return left_out.map(|()| true).map_err(|error| self.context.error(window, error));
            }
            FetchFailure::Unavailable(message) => format!("{message}, though records were read before"),
            FetchFailure::TooMuch(error)
            | FetchFailure::Poisoned(error)
            | FetchFailure::Doubtful(error)
            | FetchFailure::Refused(error) => error.to_string(),
        };
        let failed = self.context.fail(open, (&message, code)).await;
        failed.map_err(|error| self.context.error(window, error))?;
        Ok(true)
    }
}

/// Whether QuickBooks refuses the query.
pub(crate) fn is_refused(error: &qbo_client::Error) -> bool {
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
            updated_on: record.updated_on(),
            sync_token: record.sync_token(),
        }),
        Err(problem) => {
            let reason = problem.to_string().into();
            commit.rejected.push(RejectedRow { id: None, raw, reason, window });
        }
    }
}

/// Quarantines a record whose time cannot be believed.
fn set_aside(commit: &mut PageCommit, one: &Placed<'_>, window: usize) {
    let reason = one.odd.map(|odd| odd.to_string()).unwrap_or_default().into();
    let id = one.record.id().ok().map(Into::into);
    commit.rejected.push(RejectedRow { id, raw: one.record.bytes(), reason, window });
}

/// Formats the query as it is kept beside each row.
pub(crate) fn request_payload(query: &str, include: Option<Include>) -> Box<str> {
    let mut request = serde_json::json!({ "query": query, "minorversion": qbo_client::MINOR_VERSION });
    if let Some(include) = include {
        request["include"] = include.as_str().into();
    }
    request.to_string().into()
}
