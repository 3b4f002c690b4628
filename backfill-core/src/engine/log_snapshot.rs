//! How the log said that the windows of a pipeline stand when it was through with them, and whether it still says so.
//!
//! What a run has committed is the database's to know, not the run's: it may have been put back to an earlier state, or a
//! standby that lagged behind may have taken over. A log may move forward, by this run or by another; never back.

use raw_store::{StoreError, StoreErrorKind};
use std::collections::HashMap;

use qbo_auth::planted::is_planted;
use raw_store::{LogLine, Pipeline, Reopen, RunId, Window, WindowState};

/// The windows of one pipeline, in ascending order, and how each stood.
#[derive(Debug)]
pub(crate) struct LogSnapshot {
    entity_name: Box<str>,
    windows: Vec<(Window, u32, WindowState)>,
    /// Those that the run itself has closed.
    closed: u64,
}

impl LogSnapshot {
    /// How the windows of a plan stand once a run is through with them. Nothing if one of them was not read, or has no line:
    /// either an earlier run has completed it, or this one has closed it.
    pub(crate) fn of(
        pipeline: &Pipeline,
        plan: &[Window],
        (run, reopen): (&RunId, Reopen),
        log: &[LogLine],
    ) -> Option<Self> {
        if is_planted("completeness from memory") {
            return Some(Self { entity_name: pipeline.entity_name.clone(), windows: Vec::new(), closed: 0 });
        }
        let lines = by_window(&pipeline.entity_name, &pipeline.time_axis, log);
        let stands = |window: &Window| {
            let line = lines.get(window)?;
            let is_own = line.run.as_ref() == Some(run);
            let is_through = match line.state {
                WindowState::Completed => is_own || reopen == Reopen::Unfinished,
                WindowState::Provisional | WindowState::Failed | WindowState::Unavailable => is_own,
                WindowState::Pending | WindowState::Running => false,
            };
            is_through.then_some((*window, line.attempts, line.state))
        };
        let windows = plan.iter().map(stands).collect::<Option<_>>()?;
        let is_own = |window: &&Window| lines.get(*window).is_some_and(|line| line.run.as_ref() == Some(run));
        let closed = plan.iter().filter(is_own).count() as u64;
        Some(Self { entity_name: pipeline.entity_name.clone(), windows, closed })
    }

    /// Whether the log still says so, or has moved forward: another run may have opened a window since.
    pub(crate) fn holds(&self, time_axis: &str, log: &[LogLine]) -> bool {
        let lines = by_window(&self.entity_name, time_axis, log);
        self.windows.iter().all(|(window, attempts, state)| {
            lines.get(window).is_some_and(|line| {
                line.attempts > *attempts || (line.attempts == *attempts && line.state == *state)
            })
        })
    }

    /// How many of the windows the run itself has closed.
    pub(crate) fn closed(&self) -> u64 {
        self.closed
    }

    /// The pipeline's name in the log.
    pub(crate) fn entity_name(&self) -> &str {
        &self.entity_name
    }
}

/// The log does not say any more what it said.
pub(crate) fn log_moved(entity_name: &str) -> StoreError {
    StoreError::new("reading the log back", StoreErrorKind::LogMoved(entity_name.into()))
}

fn by_window<'l>(entity_name: &str, time_axis: &str, log: &'l [LogLine]) -> HashMap<Window, &'l LogLine> {
    let own = log.iter().filter(|line| *line.entity_name == *entity_name && *line.time_axis == *time_axis);
    own.map(|line| (line.window, line)).collect()
}
