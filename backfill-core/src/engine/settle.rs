//! Settles windows that ended too near to now: waits until the safety margin has passed, and reads them once more.
//!
//! While the run waits it holds no lease of a pipeline, so another process may read the same windows meanwhile. Nothing of the
//! wait is recorded: a run that is resumed, or another one, finds the windows provisional and settles them itself.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use raw_store::{LogLine, Pipeline, Reopen, Window, WindowState};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::Engine;
use super::lease::is_held;
use super::log_snapshot::LogSnapshot;
use super::pipeline::Pass;
use super::run_context::Learned;
use crate::error::{Failure, RunError};
use crate::event::RunEventKind;
use crate::plan::{PipelinePlan, Plan, RunRequest, Settle};

/// How often provisional windows are read again. The first reading settles them, unless a clock was set back meanwhile, or the
/// time of the source was not known before it.
const MOST_READINGS: u32 = 3;

/// Times of responses have whole seconds.
const PAST_THE_MARGIN: Duration = Duration::from_secs(1);

/// The provisional windows of a plan, and how long to wait for the last of them.
#[derive(Debug)]
struct Unsettled {
    pipelines: VecDeque<PipelinePlan>,
    windows: usize,
    wait: Duration,
}

impl Engine {
    /// Waits for the plan's provisional windows as the request says, and reads them once more. Returns snapshots of the log, or
    /// `None` if nothing was read.
    pub(super) async fn settle(
        &self,
        request: &Arc<RunRequest>,
        plan: &Plan,
        stop: &CancellationToken,
        learned: &Learned,
    ) -> Result<Option<Vec<LogSnapshot>>, RunError> {
        // A window that another process completes meanwhile stays as it is.
        let again = Arc::new(RunRequest { reopen: Reopen::Unfinished, ..RunRequest::clone(request) });
        let mut settled = None;
        for _ in 0..MOST_READINGS {
            let Some(unsettled) = self.unsettled(request, plan, learned).await? else { break };
            let Unsettled { pipelines, windows, wait } = unsettled;
            self.events(&request.id).emit(RunEventKind::Settling { windows, wait });
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(RunError::general(Failure::Stopped)),
                () = self.clock.sleep(wait) => {}
            }
            match self.read_all(&again, pipelines, Pass::Settling, (stop, learned)).await {
                Ok(read) => settled.get_or_insert_with(Vec::new).extend(read),
                // Another process reads these windows. What this run has read is stored, and stays as it is.
                Err(error) if is_held(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(settled)
    }

    /// Finds the windows that are still provisional, whichever run read them, and that this run waits for.
    async fn unsettled(
        &self,
        request: &RunRequest,
        plan: &Plan,
        learned: &Learned,
    ) -> Result<Option<Unsettled>, RunError> {
        if request.settle == Settle::Never {
            return Ok(None);
        }
        let log = self.log(request).await?;
        let provisional: Vec<_> = log.iter().filter(|line| line.state == WindowState::Provisional).collect();
        if provisional.is_empty() {
            return Ok(None);
        }
        let now = self.earliest(learned).await?;
        let mut pipelines = VecDeque::new();
        for one in &plan.pipelines {
            let known = windows_of(&one.spec.pipeline(request.axis), &provisional);
            let again: Vec<Window> =
                one.windows.iter().filter(|window| known.contains(*window)).copied().collect();
            if !again.is_empty() {
                pipelines.push_back(one.again(again));
            }
        }
        let all = pipelines.iter().flat_map(|one| &one.windows);
        // Where the run does not wait, what needs no wait any more is still read again.
        let wait = request.wait_for(all, now).unwrap_or_else(|| {
            pipelines.retain_mut(|one| {
                let settled =
                    one.windows.iter().filter(|window| request.is_settled(window, now)).copied().collect();
                *one = one.again(settled);
                !one.windows.is_empty()
            });
            Duration::ZERO
        });
        let windows = pipelines.iter().map(|one| one.windows.len()).sum();
        let wait = if wait.is_zero() { wait } else { wait + PAST_THE_MARGIN };
        Ok((windows > 0).then_some(Unsettled { pipelines, windows, wait }))
    }

    /// Returns the time by the earliest clock. A run that has not asked the source yet knows two clocks only.
    async fn earliest(&self, learned: &Learned) -> Result<OffsetDateTime, RunError> {
        let answered = *learned.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answered) = answered {
            return Ok(answered.shows(self.clock.elapsed()));
        }
        let database = self.store.rows.clock().await.map_err(RunError::general)?;
        Ok(database.min(self.clock.now_utc()))
    }

    /// Whether the log calls every window of the request completed, or has nothing to read for it.
    pub(super) async fn is_completed(&self, request: &RunRequest) -> Result<bool, RunError> {
        let log = self.log(request).await?;
        let done = |line: &&LogLine| matches!(line.state, WindowState::Completed | WindowState::Unavailable);
        let done: Vec<_> = log.iter().filter(done).collect();
        for spec in &request.entities {
            let done = windows_of(&spec.pipeline(request.axis), &done);
            let windows = request.windows(spec).map_err(RunError::general)?;
            if !windows.iter().all(|window| done.contains(window)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Returns the windows of one pipeline's lines.
fn windows_of(pipeline: &Pipeline, lines: &[&LogLine]) -> HashSet<Window> {
    let is_own =
        |line: &&&LogLine| line.entity_name == pipeline.entity_name && line.time_axis == pipeline.time_axis;
    lines.iter().filter(is_own).map(|line| line.window).collect()
}
