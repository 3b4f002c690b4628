//! The backfill log of the store in memory.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::MemoryStore;
use super::state::{Line, LineKey, State};
use crate::{
    BackfillLog, Confirmation, LogFilter, LogLine, OpenWindow, Owner, Pipeline, PipelineTotals, Reopen,
    RunEnd, RunId, RunRecord, RunStart, RunStatus, StopRequest, StoreError, StoreErrorKind, Window,
    WindowFailure, WindowMetrics, WindowState, WindowUpdate,
};

#[async_trait]
impl BackfillLog for MemoryStore {
    async fn begin_run(&self, run: &RunStart) -> Result<(), StoreError> {
        let mut state = self.state();
        let fenced = run.fence.as_ref().map_or(Ok(()), |lease| state.fence(lease));
        let begun = fenced.and_then(|()| begin(&mut state, run));
        begun.map_err(|kind| StoreError::new("recording the start of a run", kind))
    }

    async fn finish_run(&self, run: &RunId, end: &RunEnd) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(lease) = &end.fence {
            state.fence(lease).map_err(|kind| StoreError::new("recording the end of a run", kind))?;
        }
        let moved = || {
            let kind = StoreErrorKind::LogMoved(format!("run {run}").into());
            StoreError::new("recording the end of a run", kind)
        };
        let is_under_way = |line: &Line| {
            line.shown.run.as_ref() == Some(run)
                && matches!(line.shown.state, WindowState::Pending | WindowState::Running)
        };
        let is_left = state.lines.values().any(is_under_way);
        let record = state.runs.iter_mut().find(|record| record.id == *run).ok_or_else(moved)?;
        let closed = |part: &PipelineTotals| {
            part.windows_completed + part.windows_provisional + part.windows_failed + part.windows_unavailable
        };
        let closed: u64 = record.pipelines.iter().map(closed).sum();
        if end.status.says_all_is_read() && (is_left || closed < end.closed) {
            return Err(moved());
        }
        record.status = end.status;
        record.message.clone_from(&end.message);
        record.error_code.clone_from(&end.error_code);
        record.finished_at = Some(end.finished_at);
        record.calls += end.calls;
        record.retries += end.retries;
        record.waited_seconds += end.waited_seconds;
        Ok(())
    }

    async fn open_windows<'a>(
        &self,
        owner: Owner<'a>,
        windows: &[Window],
        reopen: Reopen,
    ) -> Result<Vec<OpenWindow>, StoreError> {
        let Owner { run, pipeline, .. } = owner;
        let mut state = self.state();
        if totals(&mut state, run, &pipeline.entity_name).is_none() {
            return Err(StoreError::new(
                "opening windows",
                StoreErrorKind::LogMoved(pipeline.entity_name.clone()),
            ));
        }
        for lease in std::iter::once(owner.lease).chain(owner.fence) {
            state.fence(lease).map_err(|kind| StoreError::new("opening windows", kind))?;
        }
        let mut windows = windows.to_vec();
        windows.sort_unstable();
        windows.dedup();
        let (mut open, mut opened) = (Vec::new(), 0);
        for window in windows {
            let line =
                state.lines.entry(key(pipeline, window)).or_insert_with(|| untouched(pipeline, window));
            let wanted = reopen == Reopen::All || line.shown.state != WindowState::Completed;
            if wanted && line.shown.run.as_ref() != Some(run) {
                line.open(run, reopen);
                opened += 1;
            }
            let starts_over = matches!(line.shown.state, WindowState::Running | WindowState::Failed);
            if line.shown.run.as_ref() == Some(run) && starts_over && line.cursor.is_none() {
                line.shown.metrics = WindowMetrics::default();
                line.shown.duration = Duration::ZERO;
                line.shown.started_at = None;
                line.shown.all_fields = true;
            }
            if line.shown.run.as_ref() == Some(run) && starts_over {
                line.page = 0;
            }
            let closed = matches!(
                line.shown.state,
                WindowState::Completed | WindowState::Provisional | WindowState::Unavailable
            );
            if line.shown.run.as_ref() == Some(run) && !closed {
                open.push(OpenWindow { window, cursor: line.cursor.clone() });
            }
        }
        if let Some(totals) = totals(&mut state, run, &pipeline.entity_name) {
            totals.windows_opened += opened;
        }
        Ok(open)
    }

    async fn update_windows<'a>(
        &self,
        owner: Owner<'a>,
        windows: &[Window],
        update: WindowUpdate<'a>,
    ) -> Result<(), StoreError> {
        let (state, asked) = (&mut self.state(), (owner, windows));
        let (operation, updated) = match update {
            WindowUpdate::Reopen => ("opening windows again", reopen(state, asked)),
            WindowUpdate::Counted(by) => ("recording counted windows", close(state, asked, by, Some(by.at))),
            WindowUpdate::Confirmed(by) => ("closing windows", close(state, asked, by, None)),
            WindowUpdate::Failed(why) => {
                ("marking windows as failed", give_up(state, asked, WindowState::Failed, why))
            }
            WindowUpdate::Unavailable(why) => {
                ("marking windows as unavailable", give_up(state, asked, WindowState::Unavailable, why))
            }
        };
        updated.map_err(|kind| StoreError::new(operation, kind))
    }

    async fn lines(&self, filter: &LogFilter) -> Result<Vec<LogLine>, StoreError> {
        let state = self.state();
        Ok(state
            .lines
            .values()
            .map(|line| &line.shown)
            .filter(|line| filter.matches(line))
            .cloned()
            .collect())
    }

    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        let mut runs = self.state().runs.clone();
        runs.sort_by(|a, b| (b.started_at, &b.id).cmp(&(a.started_at, &a.id)));
        runs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(runs)
    }

    async fn request_stop(&self, run: &RunId, by: &str) -> Result<bool, StoreError> {
        let mut state = self.state();
        let under_way = state.runs.iter().any(|one| one.id == *run && one.status == RunStatus::Running);
        if under_way {
            let request = StopRequest { at: state.now(), by: Some(by.into()) };
            state.to_stop.entry(run.clone()).or_insert(request);
        }
        Ok(under_way)
    }

    async fn stop_requested(&self, run: &RunId) -> Result<bool, StoreError> {
        Ok(self.state().to_stop.contains_key(run))
    }

    async fn last_page(&self, run: &RunId, entity_name: &str) -> Result<u32, StoreError> {
        let state = self.state();
        let own = state.pages.keys().filter(|(of, name, _)| of == run && **name == *entity_name);
        Ok(own.map(|(_, _, number)| *number).max().unwrap_or(0))
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>, StoreError> {
        Ok(self.state().runs.iter().find(|record| record.id == *run).cloned())
    }
}

/// Records that a run has begun or is resumed.
pub(super) fn begin(state: &mut State, run: &RunStart) -> Result<(), StoreErrorKind> {
    match &state.identity {
        None => return Err(StoreErrorKind::Configuration("the schema is not bound to a company".into())),
        Some(bound) if *bound != run.identity => {
            let (bound, asked) = (bound.clone(), run.identity.clone());
            return Err(StoreErrorKind::OtherCompany { bound, asked });
        }
        Some(_) => {}
    }
    state.to_stop.remove(&run.id);
    match state.runs.iter_mut().find(|known| known.id == run.id) {
        Some(known) => {
            (known.status, known.finished_at) = (RunStatus::Running, None);
            (known.message, known.error_code) = (None, None);
        }
        None => state.runs.push(begun(run)),
    }
    Ok(())
}

/// Makes sure that the log still has a line for every window.
fn check_lines(state: &State, pipeline: &Pipeline, windows: &[Window]) -> Result<(), StoreErrorKind> {
    if windows.iter().all(|window| state.lines.contains_key(&key(pipeline, *window))) {
        return Ok(());
    }
    Err(StoreErrorKind::LogMoved(pipeline.entity_name.clone()))
}

/// Reopens windows, to be read from their start.
fn reopen(state: &mut State, (owner, windows): (Owner<'_>, &[Window])) -> Result<(), StoreErrorKind> {
    let Owner { run, pipeline, lease, .. } = owner;
    state.fence(lease)?;
    check_lines(state, pipeline, windows)?;
    for window in windows {
        let Some(line) = state.lines.get_mut(&key(pipeline, *window)) else {
            continue;
        };
        let before = line.closed_by(run);
        let is_own = line.shown.run.as_ref() == Some(run);
        line.open(run, Reopen::All);
        recount(state, run, &pipeline.entity_name, before, None);
        if let Some(totals) = totals(state, run, &pipeline.entity_name) {
            totals.windows_opened += u64::from(!is_own);
        }
    }
    Ok(())
}

/// Closes windows of a run that were read to their end, and records when a count confirmed the completed ones.
fn close(
    state: &mut State,
    (owner, windows): (Owner<'_>, &[Window]),
    confirmed: Confirmation<'_>,
    counted_at: Option<OffsetDateTime>,
) -> Result<(), StoreErrorKind> {
    let Owner { run, pipeline, lease, .. } = owner;
    state.fence(lease)?;
    let read: u64 = windows
        .iter()
        .filter_map(|window| state.lines.get(&key(pipeline, *window)))
        .filter(|line| {
            line.shown.state == WindowState::Completed || line.closed_by(run) == Some(WindowState::Running)
        })
        .map(|line| line.shown.metrics.records_read)
        .sum();
    let stands_at = |(window, page): &(Window, u32)| {
        let line = state.lines.get(&key(pipeline, *window));
        line.is_some_and(|line| line.shown.run.as_ref() == Some(run) && line.page == *page)
    };
    let is_put_back = confirmed.records_read.is_some_and(|claimed| claimed != read)
        || !confirmed.last_pages.iter().all(stands_at);
    if is_put_back {
        return Err(StoreErrorKind::LogMoved(pipeline.entity_name.clone()));
    }
    for window in windows {
        let Some(line) = state.lines.get_mut(&key(pipeline, *window)) else { continue };
        let closes = line.closed_by(run) == Some(WindowState::Running);
        if !closes && line.shown.state != WindowState::Completed {
            continue;
        }
        line.shown.counted_at = counted_at.or(line.shown.counted_at);
        if closes {
            line.shown.state = WindowState::Completed;
            line.shown.finished_at = Some(confirmed.at);
            line.cursor = None;
            recount(state, run, &pipeline.entity_name, None, Some(WindowState::Completed));
        }
    }
    Ok(())
}

/// Closes windows without a page.
fn give_up(
    state: &mut State,
    (owner, windows): (Owner<'_>, &[Window]),
    closed_as: WindowState,
    reason: &WindowFailure,
) -> Result<(), StoreErrorKind> {
    let Owner { run, pipeline, lease, .. } = owner;
    state.fence(lease)?;
    check_lines(state, pipeline, windows)?;
    for window in windows {
        let Some(line) = state.lines.get_mut(&key(pipeline, *window)) else {
            continue;
        };
        let before = line.closed_by(run);
        line.shown.state = closed_as;
        line.shown.error_message = Some(reason.message.clone());
        line.shown.error_code.clone_from(&reason.error_code);
        line.shown.finished_at = Some(reason.at);
        line.shown.run = Some(run.clone());
        recount(state, run, &pipeline.entity_name, before, Some(closed_as));
    }
    Ok(())
}

impl LogFilter {
    fn matches(&self, line: &LogLine) -> bool {
        self.entity_name.as_ref().is_none_or(|name| *name == line.entity_name)
            && self.run.as_ref().is_none_or(|run| line.run.as_ref() == Some(run))
            && self.state.is_none_or(|state| state == line.state)
            && self
                .span
                .is_none_or(|span| line.window.start() < span.end() && span.start() < line.window.end())
    }
}

impl Line {
    /// Assigns the window to a run.
    fn open(&mut self, run: &RunId, reopen: Reopen) {
        let resumable = matches!(self.shown.state, WindowState::Running | WindowState::Failed);
        if reopen == Reopen::All || !resumable || self.cursor.is_none() {
            self.cursor = None;
            self.shown.metrics = WindowMetrics::default();
            self.shown.duration = Duration::ZERO;
            self.shown.started_at = None;
            self.shown.all_fields = true;
        }
        self.shown.state = if self.cursor.is_some() { WindowState::Running } else { WindowState::Pending };
        self.shown.finished_at = None;
        (self.shown.error_message, self.shown.error_code) = (None, None);
        self.shown.run = Some(run.clone());
        self.shown.attempts += 1;
        self.shown.counted_at = None;
        self.page = 0;
    }

    /// The state, if this run put the line into it.
    pub(super) fn closed_by(&self, run: &RunId) -> Option<WindowState> {
        (self.shown.run.as_ref() == Some(run)).then_some(self.shown.state)
    }
}

/// The totals of one run and pipeline.
pub(super) fn totals<'a>(
    state: &'a mut State,
    run: &RunId,
    entity_name: &str,
) -> Option<&'a mut PipelineTotals> {
    let record = state.runs.iter_mut().find(|record| record.id == *run)?;
    record.pipelines.iter_mut().find(|totals| *totals.entity_name == *entity_name)
}

/// Moves one window between the run's counts of closed windows.
pub(super) fn recount(
    state: &mut State,
    run: &RunId,
    entity_name: &str,
    before: Option<WindowState>,
    after: Option<WindowState>,
) {
    let Some(totals) = totals(state, run, entity_name) else {
        return;
    };
    if let Some(count) = totals.windows_in(before) {
        *count -= 1;
    }
    if let Some(count) = totals.windows_in(after) {
        *count += 1;
    }
}

impl PipelineTotals {
    fn windows_in(&mut self, state: Option<WindowState>) -> Option<&mut u64> {
        match state? {
            WindowState::Completed => Some(&mut self.windows_completed),
            WindowState::Provisional => Some(&mut self.windows_provisional),
            WindowState::Failed => Some(&mut self.windows_failed),
            WindowState::Unavailable => Some(&mut self.windows_unavailable),
            WindowState::Pending | WindowState::Running => None,
        }
    }
}

fn key(pipeline: &Pipeline, window: Window) -> LineKey {
    (pipeline.entity_name.clone(), pipeline.time_axis.clone(), window)
}

fn untouched(pipeline: &Pipeline, window: Window) -> Line {
    let shown = LogLine {
        entity_name: pipeline.entity_name.clone(),
        time_axis: pipeline.time_axis.clone(),
        window,
        state: WindowState::Pending,
        metrics: WindowMetrics::default(),
        duration: Duration::ZERO,
        started_at: None,
        finished_at: None,
        error_message: None,
        error_code: None,
        run: None,
        attempts: 0,
        counted_at: None,
        all_fields: true,
    };
    Line { shown, cursor: None, page: 0 }
}

fn begun(run: &RunStart) -> RunRecord {
    let mut names: Vec<_> = run.pipelines.iter().map(|pipeline| pipeline.entity_name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    RunRecord {
        id: run.id.clone(),
        identity: run.identity.clone(),
        seed: run.seed,
        span: run.span,
        chunk: run.chunk.clone(),
        status: RunStatus::Running,
        message: None,
        error_code: None,
        started_at: run.started_at,
        finished_at: None,
        calls: 0,
        retries: 0,
        waited_seconds: 0.0,
        pipelines: names.into_iter().map(PipelineTotals::none).collect(),
    }
}

impl PipelineTotals {
    fn none(entity_name: Box<str>) -> Self {
        Self {
            entity_name,
            counts: crate::WindowCounts::default(),
            pages: 0,
            windows_opened: 0,
            windows_completed: 0,
            windows_provisional: 0,
            windows_failed: 0,
            windows_unavailable: 0,
        }
    }
}
