//! The one page loop: ask, take, land, and ask for the next page while this one lands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use qbo_auth::Clock;
use qbo_client::{Advice as SourceAdvice, ErrorKind, QboClient, Query, RawPage};
use raw_store::{
    Advice as StoreAdvice, Lease, OpenWindow, PageCommit, PageOutcome, Pipeline, RejectedRow, Row, RunId,
    ScanCursor, Store, StoreError, Window, WindowCounts, WindowFailure, WindowState,
};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::accounting::Accounting;
use crate::availability::Availability;
use crate::plan::span;
use crate::walk::{Reached, Step, Walk};
use crate::{EntitySpec, EventSink, Failure, RunError, RunEvent, RunRequest, WindowReport};

/// How often landing one page is tried again while the database restarts or is busy.
const LANDING_RETRIES: u32 = 5;

/// Windows that one scan may give up one by one before it gives up the rest: each costs a call.
const MOST_SKIPPED: usize = 20;

/// What every scan of one pipeline shares.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) client: Arc<dyn QboClient>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: Arc<dyn EventSink>,
    pub(crate) stop: CancellationToken,
    pub(crate) request: Arc<RunRequest>,
    pub(crate) spec: EntitySpec,
    pub(crate) pipeline: Pipeline,
    pub(crate) lease: Lease,
    pub(crate) pages: AtomicU32,
    pub(crate) availability: Availability,
}

impl Desk {
    pub(crate) fn run(&self) -> &RunId {
        &self.request.id
    }

    pub(crate) fn error(&self, window: Option<Window>, failure: impl Into<Failure>) -> RunError {
        RunError { pipeline: Some(self.spec.pipeline_name()), window, failure: failure.into() }
    }

    pub(crate) fn emit(&self, event: &RunEvent) {
        self.sink.emit(event);
    }

    /// Gives windows up: in the log, and to whoever listens.
    pub(crate) async fn fail(&self, windows: &[Window], message: &str) -> Result<(), StoreError> {
        let failure = WindowFailure { message: message.into(), at: self.clock.now_utc() };
        self.store.fail_windows(self.run(), &self.pipeline, windows, &failure).await?;
        self.tell_unread(windows, WindowState::Failed, message);
        Ok(())
    }

    /// Leaves windows unread because the company does not have what they are of.
    pub(crate) async fn leave_out(&self, windows: &[Window], message: &str) -> Result<(), StoreError> {
        let reason = WindowFailure { message: message.into(), at: self.clock.now_utc() };
        self.store.mark_unavailable(self.run(), &self.pipeline, windows, &reason).await?;
        self.tell_unread(windows, WindowState::Unavailable, message);
        Ok(())
    }

    fn tell_unread(&self, windows: &[Window], state: WindowState, message: &str) {
        for window in windows {
            self.emit(&RunEvent::Window(WindowReport {
                pipeline: self.spec.pipeline_name(),
                window: *window,
                state,
                counts: WindowCounts::default(),
                pages: 0,
                message: Some(message.into()),
            }));
        }
    }
}

/// One ordered read of consecutive windows.
#[derive(Debug)]
pub(crate) struct Scan<'d> {
    desk: &'d Desk,
    span: Window,
    walk: Walk,
    accounting: Accounting,
    /// What earlier pages brought for windows that are not closed.
    running: Vec<Tally>,
    skipped: usize,
    page_began: Duration,
    page_began_at: OffsetDateTime,
}

/// What this run has read in one window.
#[derive(Debug)]
struct Tally {
    window: Window,
    counts: WindowCounts,
    pages: u64,
}

impl Tally {
    /// What earlier pages brought, and a further one.
    fn after(before: Option<&Self>, window: Window, page: &WindowCounts) -> Self {
        let (mut counts, pages) = before.map_or_else(Default::default, |tally| (tally.counts, tally.pages));
        counts.inserted += page.inserted;
        counts.updated += page.updated;
        counts.unchanged += page.unchanged;
        counts.quarantined += page.quarantined;
        Self { window, counts, pages: pages + u64::from(page.read() > 0) }
    }
}

/// Why a scan's question was not answered.
pub(crate) enum Unread {
    /// The scan cannot go on, but the log is right and another run can.
    Fatal(Failure),
    /// The window where the scan stands cannot be read; those behind it may be.
    Here(String),
    /// Nothing of the rest can be read this way.
    Rest(String),
    /// The company does not have the entity.
    Unavailable(String),
}

impl<'d> Scan<'d> {
    pub(crate) fn new(desk: &'d Desk, windows: &[OpenWindow]) -> Self {
        let span = span(windows);
        let start = ScanCursor { at: span.start(), seen: Vec::new() };
        let cursor = windows[0].cursor.clone().unwrap_or(start);
        Self {
            desk,
            span,
            walk: Walk::new(
                desk.spec.scale(desk.request.axis, span),
                cursor,
                span.end(),
                desk.request.page_size,
            ),
            accounting: Accounting::new(windows, desk.request.axis),
            running: Vec::new(),
            skipped: 0,
            page_began: desk.clock.elapsed(),
            page_began_at: desk.clock.now_utc(),
        }
    }

    /// Reads to the end. Windows that cannot be read are given up in the log; an error leaves the rest as it
    /// is, for another run.
    pub(crate) async fn read(mut self) -> Result<(), RunError> {
        let mut query = self.query();
        let mut answer = self.ask(&query).await;
        loop {
            let page = match answer {
                Ok(page) => page,
                Err(unread) => {
                    if self.give_up(unread).await? {
                        return Ok(());
                    }
                    query = self.query();
                    answer = self.ask(&query).await;
                    continue;
                }
            };
            self.desk.availability.confirm();
            let step = match self.walk.take(&page) {
                Ok(step) => step,
                Err(problem) => {
                    self.give_up(Unread::Rest(problem.to_string())).await?;
                    return Ok(());
                }
            };
            let reached = step.reached;
            let commit = self.commit(&query, &page, &step);
            drop(page);
            match reached {
                Reached::End => return self.land(commit).await,
                Reached::Instant(_) => {
                    query = self.query();
                    let next = query.clone();
                    // While page n lands, page n+1 is on its way.
                    let (desk, landing) = (self.desk, land(self.desk, &commit));
                    let (landed, next) = tokio::join!(landing, ask(desk, &next));
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
                    query = self.query();
                    answer = self.ask(&query).await;
                }
            }
        }
    }

    fn query(&self) -> Query {
        let (at, position) = self.walk.position();
        let request = &self.desk.request;
        self.desk.spec.query(request.axis, at, self.span.end()).page(position, request.page_size)
    }

    fn here(&self) -> Option<Window> {
        self.accounting.open().first().copied()
    }

    async fn ask(&self, query: &Query) -> Result<RawPage, Unread> {
        ask(self.desk, query).await
    }

    /// Turns a page into everything that becomes true with it.
    fn commit(&mut self, query: &Query, page: &RawPage, step: &Step<'_>) -> PageCommit {
        let times: Vec<_> = step.fresh.iter().map(|(_, time)| *time).collect();
        let answered_at = page.answered_at().unwrap_or(self.page_began_at);
        let (mut commit, places) = self.entry(&query.text(), answered_at, &times, step.reached);
        for ((record, _), place) in step.fresh.iter().zip(places) {
            let raw = record.bytes();
            match record.id() {
                Ok(id) => commit.rows.push(Row {
                    id: id.into(),
                    payload: raw,
                    window: place,
                    updated_at: record.updated_at(),
                    sync_token: record.sync_token(),
                }),
                Err(problem) => commit.rejected.push(RejectedRow {
                    id: None,
                    raw,
                    reason: problem.to_string().into(),
                    window: place,
                }),
            }
        }
        commit
    }

    /// The commit without its records, and the window of each.
    fn entry(
        &mut self,
        query: &str,
        answered_at: OffsetDateTime,
        times: &[OffsetDateTime],
        reached: Reached,
    ) -> (PageCommit, Vec<usize>) {
        let now = self.desk.clock.elapsed();
        let spent = now.saturating_sub(self.page_began);
        let entry = self.accounting.enter(answered_at, times, (&self.walk, reached), spent);
        let started_at = self.page_began_at;
        (self.page_began, self.page_began_at) = (now, self.desk.clock.now_utc());
        let commit = PageCommit {
            pipeline: self.desk.pipeline.clone(),
            run: self.desk.run().clone(),
            lease: self.desk.lease.clone(),
            page_number: self.desk.pages.fetch_add(1, Ordering::Relaxed) + 1,
            page_size: self.desk.request.page_size.get().into(),
            request: request_payload(query),
            started_at,
            ingested_at: self.page_began_at,
            answered_at,
            rows: Vec::with_capacity(times.len()),
            rejected: Vec::new(),
            windows: entry.changes,
        };
        (commit, entry.places)
    }

    async fn land(&mut self, commit: PageCommit) -> Result<(), RunError> {
        let outcome =
            land(self.desk, &commit).await.map_err(|failure| self.desk.error(self.here(), failure))?;
        self.settle(&commit, &outcome);
        Ok(())
    }

    /// Tells what a landed page brought.
    fn settle(&mut self, commit: &PageCommit, outcome: &PageOutcome) {
        self.desk.emit(&RunEvent::PageLanded {
            pipeline: self.desk.spec.pipeline_name(),
            page: commit.page_number,
            rows: outcome.total.read(),
            counts: outcome.total,
            time: commit.windows.iter().map(|change| change.duration).sum(),
        });
        let mut running = Vec::new();
        for (change, counts) in commit.windows.iter().zip(&outcome.windows) {
            let before = self.running.iter().find(|tally| tally.window == change.window);
            let tally = Tally::after(before, change.window, counts);
            if change.state == WindowState::Running {
                running.push(tally);
                continue;
            }
            self.desk.emit(&RunEvent::Window(WindowReport {
                pipeline: self.desk.spec.pipeline_name(),
                window: tally.window,
                state: change.state,
                counts: tally.counts,
                pages: tally.pages,
                message: None,
            }));
        }
        self.running = running;
    }

    /// Counts the instant where the walk stands. Returns whether the scan is over.
    async fn prove_instant(&mut self) -> Result<bool, RunError> {
        let (at, _) = self.walk.position();
        let query = self.desk.spec.query(self.desk.request.axis, at, self.walk.after());
        let counted = match count(self.desk, &query).await {
            Ok(counted) => counted,
            Err(unread) => return self.give_up(unread).await,
        };
        match self.walk.counted(counted) {
            Ok(Reached::End) => {
                let now = self.desk.clock.now_utc();
                let (commit, _) = self.entry(&query.count_text(), now, &[], Reached::End);
                self.land(commit).await?;
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(problem) => self.give_up(Unread::Rest(problem.to_string())).await,
        }
    }

    /// Records what cannot be read. Returns whether the scan is over; otherwise it goes on behind the window.
    async fn give_up(&mut self, unread: Unread) -> Result<bool, RunError> {
        let desk = self.desk;
        let open = self.accounting.open();
        let Some(window) = open.first().copied() else {
            return Ok(true);
        };
        let (message, here_only) = match unread {
            Unread::Fatal(failure) => return Err(desk.error(Some(window), failure)),
            Unread::Here(message) => (message, self.skipped < MOST_SKIPPED && open.len() > 1),
            Unread::Unavailable(message) if desk.availability.deny(&message) => {
                desk.leave_out(open, &message).await.map_err(|error| desk.error(Some(window), error))?;
                return Ok(true);
            }
            Unread::Unavailable(message) => (format!("{message}, though records were read before"), false),
            Unread::Rest(message) => (message, false),
        };
        let lost = if here_only { vec![window] } else { open.to_vec() };
        desk.fail(&lost, &message).await.map_err(|error| desk.error(Some(window), error))?;
        if !here_only {
            return Ok(true);
        }
        self.skipped += 1;
        self.accounting.skip();
        let next = ScanCursor { at: window.end(), seen: Vec::new() };
        let scale = desk.spec.scale(desk.request.axis, self.span);
        self.walk = Walk::new(scale, next, self.span.end(), desk.request.page_size);
        Ok(false)
    }
}

async fn ask(desk: &Desk, query: &Query) -> Result<RawPage, Unread> {
    tokio::select! {
        biased;
        () = desk.stop.cancelled() => Err(Unread::Fatal(Failure::Stopped)),
        page = desk.client.fetch_page(query) => page.map_err(unread),
    }
}

/// Counts, unless the run is stopped first.
pub(crate) async fn count(desk: &Desk, query: &Query) -> Result<u64, Unread> {
    tokio::select! {
        biased;
        () = desk.stop.cancelled() => Err(Unread::Fatal(Failure::Stopped)),
        counted = desk.client.count(query) => counted.map_err(unread),
    }
}

fn unread(error: qbo_client::Error) -> Unread {
    match (error.advice(), &error.kind) {
        (
            SourceAdvice::GiveUp,
            ErrorKind::PoisonedPage { .. } | ErrorKind::PageTooLarge | ErrorKind::BodyTooLarge { .. },
        ) => Unread::Here(error.to_string()),
        (SourceAdvice::GiveUp, ErrorKind::EntityUnavailable { .. }) => {
            Unread::Unavailable(error.kind.to_string())
        }
        (SourceAdvice::GiveUp, _) => Unread::Rest(error.to_string()),
        _ => Unread::Fatal(Failure::Read(error)),
    }
}

/// Lands a page, patiently: the same commit again is a no-op if the first one succeeded after all.
async fn land(desk: &Desk, commit: &PageCommit) -> Result<PageOutcome, Failure> {
    let mut attempt = 0;
    loop {
        match desk.store.commit_page(commit).await {
            Ok(outcome) => return Ok(outcome),
            Err(error) if error.advice() == StoreAdvice::Retry && attempt < LANDING_RETRIES => {
                attempt += 1;
                desk.emit(&RunEvent::StoreRetry { pipeline: desk.spec.pipeline_name(), attempt });
                desk.clock.sleep(Duration::from_secs(1 << (attempt - 1))).await;
            }
            Err(error) => return Err(Failure::Land(error)),
        }
    }
}

/// What was asked, as it is kept beside each row.
fn request_payload(query: &str) -> Box<str> {
    serde_json::json!({ "query": query, "minorversion": qbo_client::MINOR_VERSION }).to_string().into()
}
