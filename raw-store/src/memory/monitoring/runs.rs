//! Shows the runs of the store in memory.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::memory::MemoryStore;
use crate::memory::state::{Line, State};
use crate::{
    AsOf, PipelineProgress, PipelineTotals, RecentPages, RunFilter, RunId, RunKey, RunProgress, RunReader,
    RunRecord, StopRequest, StoreError, Trigger, WindowState,
};

/// Number of pages that the pace is measured over.
const RECENT: usize = 20;

#[async_trait]
impl RunReader for MemoryStore {
    async fn page_of_runs<'a>(
        &self,
        filter: &RunFilter,
        before: Option<&'a RunKey>,
        limit: u32,
    ) -> Result<AsOf<Vec<RunRecord>>, StoreError> {
        let state = self.state();
        let reads = |run: &RunRecord, name: &str| run.pipelines.iter().any(|part| *part.entity_name == *name);
        let mut runs: Vec<&RunRecord> = state
            .runs
            .iter()
            .filter(|run| before.is_none_or(|before| RunKey::from(*run) < *before))
            .filter(|run| filter.status.is_none_or(|status| run.status == status))
            .filter(|run| filter.entity_name.as_ref().is_none_or(|name| reads(run, name)))
            .collect();
        runs.sort_by_key(|run| std::cmp::Reverse(RunKey::from(*run)));
        let runs = runs.into_iter().take(limit as usize).cloned();
        Ok(AsOf { now: state.now(), value: runs.collect() })
    }

    async fn progress(&self, run: &RunId) -> Result<AsOf<Option<RunProgress>>, StoreError> {
        let state = self.state();
        let record = state.runs.iter().find(|record| record.id == *run);
        let progress = record.map(|record| RunProgress {
            run: record.clone(),
            stop: stop_request(&state, run),
            pipelines: record.pipelines.iter().map(|totals| pipeline(&state, record, totals)).collect(),
        });
        Ok(AsOf { now: state.now(), value: progress })
    }
}

/// The request to stop a run, or else that to stop the trigger which started it.
fn stop_request(state: &State, run: &RunId) -> Option<StopRequest> {
    if let Some(request) = state.to_stop.get(run) {
        return Some(request.clone());
    }
    let started = |one: &&Trigger| one.run.as_ref() == Some(run) && one.stop_requested;
    let trigger = state.triggers.all.values().find(started)?;
    let history = state.triggers.history.get(&trigger.asked.name)?;
    // The first of the requests since it fired.
    let asked = history.iter().rev().take_while(|event| &*event.event != "fired");
    let first = asked.filter(|event| &*event.event == "stop requested").last()?;
    Some(StopRequest { at: first.at, by: first.by.clone() })
}

fn pipeline(state: &State, run: &RunRecord, totals: &PipelineTotals) -> PipelineProgress {
    let is_own = |line: &&Line| {
        line.shown.run.as_ref() == Some(&run.id) && line.shown.entity_name == totals.entity_name
    };
    let own: Vec<&Line> = state.lines.values().filter(is_own).collect();
    let is_open = |line: &&&Line| matches!(line.shown.state, WindowState::Pending | WindowState::Running);
    let open: Vec<&&Line> = own.iter().filter(is_open).collect();
    let reached = |line: &Line| line.cursor.as_ref().map(|cursor| cursor.at);
    let time_left = open.iter().map(|line| {
        let window = line.shown.window;
        let from = reached(line).unwrap_or(window.start()).clamp(window.start(), window.end());
        (window.end() - from).unsigned_abs()
    });
    let pages: Vec<(u32, OffsetDateTime)> = state
        .pages
        .iter()
        .filter(|((id, name, _), _)| *id == run.id && *name == totals.entity_name)
        .map(|((_, _, number), page)| (*number, page.committed_at))
        .collect();
    PipelineProgress {
        time_axis: own.first().map_or_else(|| "".into(), |line| line.shown.time_axis.clone()),
        totals: totals.clone(),
        windows_left: open.len() as u64,
        time_left: time_left.sum(),
        cursor: open.iter().filter_map(|line| reached(line)).max(),
        last_page_at: pages.last().map(|(_, at)| *at),
        recent: recent(&pages, run.started_at, &own),
    }
}

/// The pace of the last pages.
fn recent(pages: &[(u32, OffsetDateTime)], began: OffsetDateTime, own: &[&Line]) -> Option<RecentPages> {
    let (_, last) = pages.last()?;
    let first = pages.len().saturating_sub(RECENT);
    let before = if first == 0 { began } else { pages[first - 1].1 };
    let covered = own.iter().filter(|line| line.page >= pages[first].0).map(|line| {
        let window = line.shown.window;
        let reached = match (&line.cursor, line.shown.state) {
            (Some(cursor), _) => cursor.at.clamp(window.start(), window.end()),
            (None, WindowState::Pending | WindowState::Running) => window.start(),
            (None, _) => window.end(),
        };
        (reached - window.start()).unsigned_abs()
    });
    Some(RecentPages {
        pages: u32::try_from(pages.len() - first).unwrap_or(u32::MAX),
        elapsed: Duration::try_from(*last - before).unwrap_or_default(),
        covered: covered.sum(),
    })
}
