//! A snapshot of the state of a pipeline's windows in the log, taken when the pipeline was finished, and a check that it still
//! holds.
//!
//! Only the database knows what a run has committed. It may have been restored to an earlier state, or a standby that lagged
//! behind may have taken over. A log may move forward, by this run or by another, but never back.

use std::collections::HashMap;

use raw_store::{LogLine, Pipeline, Reopen, RunId, StoreError, StoreErrorKind, Window, WindowState};

/// The windows of one pipeline in ascending order, and the state of each.
#[derive(Debug)]
pub(crate) struct LogSnapshot {
    entity_name: Box<str>,
    windows: Vec<(Window, u32, WindowState)>,
    /// The number of windows that the run itself has closed.
    closed: u64,
}

impl LogSnapshot {
    /// Takes a snapshot of a plan's windows once a run has finished with them. Returns `None` if a window was not read or has
    /// no line: an earlier run has completed each window, or this one has closed it.
    pub(crate) fn of(
        pipeline: &Pipeline,
        plan: &[Window],
        (run, reopen): (&RunId, Reopen),
        log: &[LogLine],
    ) -> Option<Self> {
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

    /// Whether the log still says the same, or has moved forward: another run may have opened a window since.
    pub(crate) fn holds(&self, time_axis: &str, log: &[LogLine]) -> bool {
        let lines = by_window(&self.entity_name, time_axis, log);
        self.windows.iter().all(|(window, attempts, state)| {
            lines.get(window).is_some_and(|line| {
                line.attempts > *attempts || (line.attempts == *attempts && line.state == *state)
            })
        })
    }

    /// Returns how many of the windows the run itself has closed.
    pub(crate) fn closed(&self) -> u64 {
        self.closed
    }

    /// Returns the pipeline's name in the log.
    pub(crate) fn entity_name(&self) -> &str {
        &self.entity_name
    }
}

/// The error for a log that no longer says what it said.
pub(crate) fn log_moved(entity_name: &str) -> StoreError {
    StoreError::new("reading the log back", StoreErrorKind::LogMoved(entity_name.into()))
}

fn by_window<'l>(entity_name: &str, time_axis: &str, log: &'l [LogLine]) -> HashMap<Window, &'l LogLine> {
    let own = log.iter().filter(|line| *line.entity_name == *entity_name && *line.time_axis == *time_axis);
    own.map(|line| (line.window, line)).collect()
}
