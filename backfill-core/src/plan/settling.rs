//! What settling the windows that end too near to now adds to a run.

use std::time::Duration;

use raw_store::Window;
use time::OffsetDateTime;

use super::{PipelinePlan, Plan, PlannedScan, RunRequest, span, stretches};

/// What settling adds to a run, as far as it is known before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settling {
    /// The number of windows that are read once more.
    pub windows: usize,
    /// The least number of API calls for that: one for each range of windows, and one to count it.
    pub calls: u64,
    /// How long the run waits, if it has read everything at once.
    pub wait: Duration,
}

impl Plan {
    /// Returns what settling will add to the run, at a time by the caller's clock; `None` if nothing has to be settled.
    pub fn settling(&self, request: &RunRequest, now: OffsetDateTime) -> Option<Settling> {
        let (mut windows, mut calls) = (0, 0);
        let mut wait = Duration::ZERO;
        for pipeline in &self.pipelines {
            let near = |window: &&Window| request.wait_for(window, now).is_some_and(|wait| !wait.is_zero());
            let near: Vec<Window> = pipeline.windows.iter().filter(near).copied().collect();
            windows += near.len();
            wait = near.iter().filter_map(|window| request.wait_for(window, now)).fold(wait, Duration::max);
            let per_scan = 1 + u64::from(pipeline.spec.is_counted());
            calls += per_scan * stretches(near).len() as u64;
        }
        (windows > 0).then_some(Settling { windows, calls, wait })
    }
}

impl PipelinePlan {
    /// Plans to read some windows of a pipeline once more.
    pub(crate) fn again(&self, windows: Vec<Window>) -> Self {
        let scans = stretches(windows.iter().copied());
        let scans = scans.iter().map(|scan| PlannedScan { span: span(scan), windows: scan.len() }).collect();
        Self { spec: self.spec.clone(), windows, completed: 0, uncounted: 0, scans }
    }
}

impl RunRequest {
    /// Returns how long after `now` a window can be settled; `None` if this run does not settle it.
    pub(crate) fn wait_for(&self, window: &Window, now: OffsetDateTime) -> Option<Duration> {
        // The calendar may end before the margin does.
        let wait = (window.end() - now) + self.axis.margin();
        self.settle.waits(wait).then(|| Duration::try_from(wait).unwrap_or(Duration::ZERO))
    }
}
