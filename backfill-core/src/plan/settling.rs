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
        let wait = request.wait_for(self.pipelines.iter().flat_map(|pipeline| &pipeline.windows), now)?;
        let (mut windows, mut calls) = (0, 0);
        for pipeline in &self.pipelines {
            let near: Vec<Window> =
                pipeline.windows.iter().filter(|window| !request.is_settled(window, now)).copied().collect();
            windows += near.len();
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
    /// Returns how long after `now` the last of these windows can be settled; `None` if this run does not wait for them. One
    /// window that is too far ahead leaves the range provisional, so the run does not wait for the others either.
    pub(crate) fn wait_for<'a>(
        &self,
        windows: impl IntoIterator<Item = &'a Window>,
        now: OffsetDateTime,
    ) -> Option<Duration> {
        let waits = windows.into_iter().map(|window| self.settles_after(window, now));
        let longest = waits.max().unwrap_or_default().max(time::Duration::ZERO);
        self.settle.waits(longest).then(|| longest.unsigned_abs())
    }

    /// Whether a window can be settled without waiting.
    pub(crate) fn is_settled(&self, window: &Window, now: OffsetDateTime) -> bool {
        !self.settles_after(window, now).is_positive()
    }

    /// Returns how long after `now` a window can be settled, negative if it could have been before.
    fn settles_after(&self, window: &Window, now: OffsetDateTime) -> time::Duration {
        // The calendar may end before the margin does.
        (window.end() - now) + self.axis.margin()
    }
}
