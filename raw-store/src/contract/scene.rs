//! The fixture of the contract cases: a run of one pipeline in progress, and builders for its pages and windows.

use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::{
    Lease, LogFilter, LogLine, OpenWindow, Owner, PageCommit, PageOutcome, Pipeline, Reopen, Row, RunEnd,
    RunId, RunStart, RunStatus, ScanCursor, Store, StoreError, StoreIdentity, Window, WindowChange,
    WindowCounts, WindowState,
};

/// The first instant of every case.
const START: OffsetDateTime = datetime!(2024-01-01 0:00 UTC);

/// A run of one pipeline, in progress.
pub(super) struct Scene<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) pipeline: Pipeline,
    pub(super) run: RunId,
    pub(super) lease: Lease,
    pages: u32,
    /// When the run reads its next page: each a minute after the one before.
    reads_at: OffsetDateTime,
}

/// The `n`th day of the case, from 0.
pub(super) fn day(n: i64) -> Window {
    let start = START + time::Duration::days(n);
    Window::new(start, start + time::Duration::DAY).unwrap()
}

/// An instant inside the `n`th day.
pub(super) fn noon(n: i64) -> OffsetDateTime {
    day(n).start() + time::Duration::hours(12)
}

/// An invented company.
pub(super) fn company() -> StoreIdentity {
    StoreIdentity { realm_id: "1000000000000001".into(), environment: "sandbox".into() }
}

/// An invented pipeline; its table is one of those every new schema has.
pub(super) fn pipeline() -> Pipeline {
    Pipeline {
        entity_name: "invoices".into(),
        table: "qb_invoices".parse().unwrap(),
        time_axis: "updated".into(),
    }
}

/// The plan of the run `name`.
pub(super) fn run_start(name: &str) -> RunStart {
    RunStart {
        id: name.parse().unwrap(),
        identity: company(),
        seed: u64::MAX,
        pipelines: vec![pipeline()],
        span: Window::new(day(0).start(), day(9).end()).unwrap(),
        chunk: "day".into(),
        started_at: noon(20),
        fence: None,
    }
}

/// The end of a run that completed.
pub(super) fn run_end() -> RunEnd {
    RunEnd {
        status: RunStatus::Completed,
        closed: 0,
        message: None,
        error_code: None,
        finished_at: noon(21),
        calls: 3,
        retries: 1,
        waited_seconds: 0.5,
        fence: None,
    }
}

/// A document of the first window of its page, with a version of its own time and `sync_token` 0.
pub(super) fn row(id: &str, payload: &str, updated_at: OffsetDateTime) -> Row {
    Row {
        id: id.into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        window: 0,
        updated_at: Some(updated_at),
        updated_on: None,
        sync_token: Some(0),
    }
}

/// What a page says about a window.
pub(super) fn change(window: Window, state: WindowState) -> WindowChange {
    WindowChange { window, state, cursor: None, duration: Duration::from_millis(250), after: None }
}

/// Counts in the order inserted, updated, unchanged, quarantined.
pub(super) fn counts(inserted: u64, updated: u64, unchanged: u64, quarantined: u64) -> WindowCounts {
    WindowCounts { inserted, updated, unchanged, quarantined }
}

impl<'a> Scene<'a> {
    /// Begins the run `first` with the windows of ten days open.
    pub(super) async fn begin(store: &'a dyn Store) -> Result<Self, StoreError> {
        store.bind(&company()).await?;
        store.prepare(&pipeline()).await?;
        let lease = store.acquire(&pipeline(), "the story").await?;
        let mut scene = Self {
            store,
            pipeline: pipeline(),
            run: "first".parse().unwrap(),
            lease,
            pages: 0,
            reads_at: noon(20) - time::Duration::MINUTE,
        };
        scene.next_run("first").await?;
        scene.open(0..10, Reopen::Unfinished).await?;
        Ok(scene)
    }

    /// Continues with another run.
    pub(super) async fn next_run(&mut self, name: &str) -> Result<(), StoreError> {
        self.store.begin_run(&run_start(name)).await?;
        (self.run, self.pages) = (name.parse().unwrap(), 0);
        self.reads_at += time::Duration::MINUTE;
        Ok(())
    }

    /// The owner that changes the log.
    pub(super) fn owner(&self) -> Owner<'_> {
        Owner { run: &self.run, pipeline: &self.pipeline, lease: &self.lease, fence: None }
    }

    /// Opens the windows of some days.
    pub(super) async fn open(
        &self,
        days: std::ops::Range<i64>,
        reopen: Reopen,
    ) -> Result<Vec<OpenWindow>, StoreError> {
        let windows: Vec<Window> = days.map(day).collect();
        self.store.open_windows(self.owner(), &windows, reopen).await
    }

    /// Builds the next page of the run, with the first day as its window.
    pub(super) fn page(&mut self, rows: Vec<Row>) -> PageCommit {
        self.pages += 1;
        PageCommit {
            pipeline: self.pipeline.clone(),
            run: self.run.clone(),
            lease: self.lease.clone(),
            page_number: self.pages,
            page_size: 1000,
            request: r#"{"query":"select * from Invoice"}"#.into(),
            started_at: self.reads_at,
            ingested_at: self.reads_at + time::Duration::SECOND,
            answered_at: noon(20),
            latest_at: noon(20),
            all_fields: true,
            by_content: false,
            rows,
            rejected: Vec::new(),
            windows: vec![change(day(0), WindowState::Running)],
        }
    }

    /// Commits documents as the next page.
    pub(super) async fn land(&mut self, rows: Vec<Row>) -> Result<WindowCounts, StoreError> {
        let page = self.page(rows);
        let outcome: PageOutcome = self.store.commit_page(&page).await?;
        assert_eq!(outcome.windows, [outcome.total], "a page of one window");
        Ok(outcome.total)
    }

    /// Closes a window with an empty page.
    pub(super) async fn close(&mut self, window: Window, state: WindowState) -> Result<(), StoreError> {
        let mut page = self.page(Vec::new());
        page.windows = vec![change(window, state)];
        self.store.commit_page(&page).await?;
        Ok(())
    }

    /// Leaves a window in the middle.
    pub(super) async fn pause(
        &mut self,
        window: Window,
        cursor: &ScanCursor,
        rows: Vec<Row>,
    ) -> Result<(), StoreError> {
        let mut page = self.page(rows);
        page.windows =
            vec![WindowChange { cursor: Some(cursor.clone()), ..change(window, WindowState::Running) }];
        self.store.commit_page(&page).await?;
        Ok(())
    }

    /// The log line of one day.
    pub(super) async fn line(&self, n: i64) -> Result<LogLine, StoreError> {
        let filter = LogFilter { span: Some(day(n)), ..LogFilter::default() };
        let mut lines = self.store.lines(&filter).await?;
        assert_eq!(lines.len(), 1, "a day has one line");
        Ok(lines.remove(0))
    }
}
