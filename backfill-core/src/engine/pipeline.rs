//! One pipeline of a run: its lease, its scans with as many permits as there are, and their count check.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use failpoint::point;
use raw_store::{LogFilter, LogLine, Reopen, Window, WindowState, WindowUpdate};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use super::count_check::{About, count_mismatches, expected_counts};
use super::log_snapshot::{LogSnapshot, log_moved};
use super::refused_parts;
use super::run_context::{Learned, Permit, RunContext};
use crate::catalog::EntitySpec;
use crate::clock_check::Clocks;
use crate::engine::lease;
use crate::error::{RunError, broken};
use crate::event::RunEventKind;
use crate::plan::{PipelinePlan, Proof, RunRequest, consecutive};
use crate::scan::Scan;
use crate::scan::availability::Availability;
use crate::scan::pipeline_context::{FirstAnswer, PipelineContext};
use crate::scan::work_split::{PendingRange, WorkSplit};

/// Which reading of a run's windows this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Reads the windows that the log does not call done.
    First,
    /// Reads provisional windows once more, because they have ended long enough ago by now.
    Settling,
}

/// Reads one pipeline to its end, starting with one permit, and returns a snapshot of the log. Releases the lease whatever
/// happens.
pub(crate) async fn read(
    shared: RunContext,
    request: Arc<RunRequest>,
    plan: PipelinePlan,
    pass: Pass,
    permit: Permit,
) -> Result<LogSnapshot, RunError> {
    let pipeline = plan.spec.pipeline(request.axis);
    let name = plan.spec.pipeline_name();
    let taken = lease::take(&shared, &request, (&pipeline, &name), permit).await;
    let (guard, permit) =
        taken.map_err(|failure| RunError { pipeline: Some(name.clone()), window: None, failure })?;
    let read_at = shared.clock.elapsed();
    let database = shared.store.rows.clock().await;
    let database = match database {
        Ok(database) => database,
        Err(error) => {
            // A lease that cannot be released either expires by itself.
            drop(guard.release().await);
            return Err(RunError { pipeline: Some(name), window: None, failure: error.into() });
        }
    };
    let pages = shared.learned.pages_of(&pipeline.entity_name);
    let Learned { apart, answered, heads, .. } = shared.learned;
    let clocks = Clocks { database, read_at, found: apart, answered };
    // An entity may allow smaller pages than requested.
    let page_size = plan.spec.page_size(request.page_size);
    let request = Arc::new(RunRequest { page_size, ..RunRequest::clone(&request) });
    let context = Arc::new(PipelineContext {
        client: shared.client,
        store: shared.store,
        clock: shared.clock,
        events: shared.events,
        // A failure of one scan stops the pipeline's other scans.
        stop: shared.stop.child_token(),
        request,
        spec: plan.spec.clone(),
        pipeline,
        lease: guard.lease().clone(),
        pages,
        clocks,
        has_full_instants: AtomicBool::default(),
        timeless: Mutex::default(),
        unproved: Mutex::default(),
        availability: Availability::default(),
        first_answer: FirstAnswer::default(),
        heads: shared.keeps_heads.then(|| heads.of(plan.spec.entity_name())),
    });
    let read = tokio::select! {
        biased;
        read = read_as_accepted(&context, &shared.permits, (plan.windows, pass), permit) => read,
        lost = context.store.leases.lost(&context.lease) => Err(context.error(None, lost)),
    };
    let result = match read {
        Ok(windows) => {
            let resolved = context.store.quarantine.resolve_quarantine(context.owner()).await;
            resolved.map(|_| windows).map_err(|error| context.error(None, error))
        }
        Err(error) => Err(error),
    };
    // The log is read while no other process may change it.
    let snapshot = match result {
        Ok(windows) => snapshot(&context, &windows).await,
        Err(error) => Err(error),
    };
    let released = guard.release().await;
    let snapshot = snapshot?;
    released.map_err(|error| context.error(None, error))?;
    Ok(snapshot)
}

/// Takes a snapshot of the log for the windows that were to be read, now that they have been.
async fn snapshot(context: &PipelineContext, plan: &[Window]) -> Result<LogSnapshot, RunError> {
    let filter = LogFilter {
        entity_name: Some(context.pipeline.entity_name.clone()),
        span: Some(context.request.span),
        ..LogFilter::default()
    };
    let log = context.store.log.lines(&filter).await.map_err(|error| context.error(None, error))?;
    LogSnapshot::of(&context.pipeline, plan, (context.run(), context.request.reopen), &log)
        .ok_or_else(|| context.error(None, log_moved(&context.pipeline.entity_name)))
}

/// Reads and proves the windows of a plan. If QuickBooks refuses a part of the first request, reads without that part. Returns
/// the windows that were read in the end.
async fn read_as_accepted(
    context: &Arc<PipelineContext>,
    permits: &Arc<Semaphore>,
    (windows, pass): (Vec<Window>, Pass),
    permit: Permit,
) -> Result<Vec<Window>, RunError> {
    let Some(permit) = read_and_prove(context, permits, (&windows, pass), permit).await? else {
        return Ok(windows);
    };
    let Some(refusal) = context.first_answer.refusal() else { return Ok(windows) };
    let Some(spec) = refused_parts::accepted(context, &windows, refusal).await? else { return Ok(windows) };
    let was_snapshot = context.spec.is_snapshot();
    let context = Arc::new(context.with_accepted(spec));
    let windows = if context.spec.is_snapshot() && !was_snapshot {
        context.request.windows(&context.spec).map_err(|error| context.error(None, error))?
    } else {
        windows
    };
    read_and_prove(&context, permits, (&windows, pass), permit).await?;
    Ok(windows)
}

/// Reads and proves the windows of a plan. Returns the permit if QuickBooks refused the first request, so that nothing was
/// read.
async fn read_and_prove(
    context: &Arc<PipelineContext>,
    permits: &Arc<Semaphore>,
    (plan, pass): (&[Window], Pass),
    permit: Permit,
) -> Result<Option<Permit>, RunError> {
    let last = context.store.log.last_page(context.run(), &context.pipeline.entity_name).await;
    context.pages.fetch_max(last.map_err(|error| context.error(None, error))?, Ordering::Relaxed);
    if pass == Pass::Settling {
        reopen_provisional(context, plan).await?;
    }
    let reopen = context.request.reopen;
    let read = read_windows(context, permits, plan, reopen, permit).await?;
    if context.first_answer.refusal().is_some() {
        return Ok(Some(read.permit));
    }
    if let Some(message) = context.availability.missing() {
        let (pipeline, message) = (context.spec.pipeline_name(), message.into());
        context.events.emit(RunEventKind::Unavailable { pipeline, windows: read.windows, message });
        return Ok(None);
    }
    point!("proof.due");
    let about = if context.request.proof == Proof::None { About::Silence } else { About::All };
    let short = count_mismatches(context, expected_counts(context, plan, about).await?, &[]).await?;
    if short.is_empty() {
        return Ok(None);
    }
    // Reads these windows once more, alone; a difference that remains is reported with both numbers.
    let again: Vec<_> = short.iter().map(|one| one.window).collect();
    context
        .store
        .log
        .update_windows(context.owner(), &again, WindowUpdate::Reopen)
        .await
        .map_err(|error| context.error(None, error))?;
    let _read = read_windows(context, permits, &again, Reopen::Unfinished, read.permit).await?;
    for still in
        count_mismatches(context, expected_counts(context, &again, About::All).await?, &short).await?
    {
        still.fail(context).await?;
    }
    Ok(None)
}

/// Reopens the windows that are still provisional, now that no other process may change them.
async fn reopen_provisional(context: &PipelineContext, plan: &[Window]) -> Result<(), RunError> {
    let filter = LogFilter {
        entity_name: Some(context.pipeline.entity_name.clone()),
        span: Some(context.request.span),
        state: Some(WindowState::Provisional),
        run: None,
    };
    let lines = context.store.log.lines(&filter).await.map_err(|error| context.error(None, error))?;
    let is_planned = |line: &LogLine| {
        line.time_axis == context.pipeline.time_axis && plan.binary_search(&line.window).is_ok()
    };
    let provisional: Vec<_> = lines.iter().filter(|line| is_planned(line)).map(|line| line.window).collect();
    if provisional.is_empty() {
        return Ok(());
    }
    let reopened =
        context.store.log.update_windows(context.owner(), &provisional, WindowUpdate::Reopen).await;
    reopened.map_err(|error| context.error(None, error))
}

/// What was read.
struct Read {
    windows: usize,
    permit: Permit,
}

/// Reads the open part of some windows.
async fn read_windows(
    context: &Arc<PipelineContext>,
    permits: &Arc<Semaphore>,
    windows: &[Window],
    reopen: Reopen,
    permit: Permit,
) -> Result<Read, RunError> {
    let open = context.store.log.open_windows(context.owner(), windows, reopen).await;
    let open = open.map_err(|error| context.error(None, error))?;
    if let Some(heads) = &context.heads {
        heads.open(&open);
    }
    if open.iter().any(|window| window.cursor.is_some()) {
        // An earlier run has read some of it.
        context.availability.confirm();
    }
    let windows = open.len();
    let stretches = consecutive(open);
    let mut reading = Reading {
        context: Arc::clone(context),
        news: Arc::default(),
        waiting: stretches.into_iter().map(PendingRange::new).collect(),
        idle: vec![permit],
        shares: Vec::new(),
        scans: JoinSet::new(),
    };
    reading.run(permits).await?;
    let permit = reading.idle.pop().ok_or_else(|| context.error(None, broken("the place is gone")))?;
    Ok(Read { windows, permit })
}

/// The scans of a pipeline that are in progress.
#[derive(Debug)]
struct Reading {
    context: Arc<PipelineContext>,
    /// Notifies that a scan has handed over a part.
    news: Arc<Notify>,
    /// Ranges that wait for a scan.
    waiting: VecDeque<PendingRange>,
    /// Unused permits: each waits for the part that a scan has promised.
    idle: Vec<Permit>,
    shares: Vec<Arc<WorkSplit>>,
    scans: JoinSet<Ended>,
}

/// How a scan ended, and the permit that it returns.
type Ended = (Result<(), RunError>, Permit, Arc<WorkSplit>);

impl Reading {
    /// Reads until nothing waits and no scan is in progress. The first error stops the other scans after their page.
    async fn run(&mut self, permits: &Arc<Semaphore>) -> Result<(), RunError> {
        let mut first_error = None;
        loop {
            if first_error.is_none() {
                self.leave_out().await?;
                self.occupy(permits);
            }
            if self.scans.is_empty() {
                break;
            }
            let wants_permit = first_error.is_none() && self.has_work_for_another();
            let news = Arc::clone(&self.news);
            tokio::select! {
                biased;
                Some(ended) = self.scans.join_next() => {
                    let error = match ended {
                        Ok((result, permit, share)) => {
                            self.collect();
                            self.shares.retain(|other| !Arc::ptr_eq(other, &share));
                            self.idle.push(permit);
                            result.err()
                        }
                        Err(_) => Some(self.context.error(None, broken("a task panicked"))),
                    };
                    if let Some(error) = error {
                        self.context.stop.cancel();
                        first_error.get_or_insert(error);
                    }
                }
                () = news.notified() => self.collect(),
                Ok(permit) = Arc::clone(permits).acquire_owned(), if wants_permit => self.idle.push(permit),
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Leaves the waiting ranges unread if the company does not have the entity.
    async fn leave_out(&mut self) -> Result<(), RunError> {
        let context = Arc::clone(&self.context);
        if context.first_answer.refusal().is_some() {
            // Requested in the same way, they would be refused as well.
            self.waiting.clear();
        }
        let Some(message) = context.availability.missing() else { return Ok(()) };
        for stretch in self.waiting.drain(..) {
            let windows: Vec<_> = stretch.windows.iter().map(|open| open.window).collect();
            context.leave_out(&windows, message).await.map_err(|error| context.error(None, error))?;
        }
        Ok(())
    }

    /// Gives every idle permit a range, or the promise of a part of one; returns permits that are not needed, except for the
    /// last.
    fn occupy(&mut self, permits: &Arc<Semaphore>) {
        while self.waiting.len() < self.idle.len().saturating_sub(self.promised()) && self.cut_waiting() {}
        while !self.waiting.is_empty() {
            let Some(permit) = self.idle.pop() else {
                // There is nothing to give: no scan may wait for it.
                self.shares.iter().for_each(|share| share.consider());
                return;
            };
            if let Some(stretch) = self.waiting.pop_front() {
                self.start(&stretch, permit);
            }
        }
        // All free permits are requested together, so that a scan is cut once, and evenly.
        while self.has_work_for_another()
            && let Ok(permit) = Arc::clone(permits).try_acquire_owned()
        {
            self.idle.push(permit);
        }
        let mut free = self.idle.len().saturating_sub(self.promised());
        while free > 0 {
            match self.ask_for(free) {
                0 => break,
                permits => free -= permits,
            }
        }
        self.shares.iter().for_each(|share| share.consider());
        let kept = self.idle.len() - free;
        self.idle.truncate(if self.scans.is_empty() { kept.max(1) } else { kept });
    }

    /// Cuts the longest waiting range.
    fn cut_waiting(&mut self) -> bool {
        let longest = (0..self.waiting.len()).max_by_key(|at| self.waiting[*at].worth_cutting());
        let Some(stretch) = longest.and_then(|at| self.waiting.get_mut(at)) else { return false };
        if stretch.worth_cutting().is_none() {
            return false;
        }
        let later = stretch.cut();
        self.waiting.push_back(later);
        true
    }

    /// Asks the scan with the longest time left for a part of it. Returns for how many permits.
    fn ask_for(&self, free: usize) -> usize {
        let longest = self.shares.iter().filter_map(|share| Some((share.worth_asking()?, share)));
        let Some(((_, others), share)) = longest.max_by_key(|((left, _), _)| *left) else { return 0 };
        let permits = others.min(u16::try_from(free).unwrap_or(u16::MAX));
        share.ask(permits);
        permits.into()
    }

    /// Returns the number of permits that wait for a promised part.
    fn promised(&self) -> usize {
        self.shares.iter().map(|share| usize::from(share.asked())).sum()
    }

    /// Returns how many permits there is work for, including those that wait.
    fn useful(&self) -> usize {
        let others = self.shares.iter().filter_map(|share| share.worth_asking());
        self.waiting.len() + self.promised() + others.map(|(_, others)| usize::from(others)).sum::<usize>()
    }

    /// Whether another permit would be of use: not before the first response, which may be that there is nothing.
    fn has_work_for_another(&self) -> bool {
        if !self.context.availability.is_settled() {
            return false;
        }
        self.useful() > self.idle.len()
    }

    /// Collects what the scans have handed over.
    fn collect(&mut self) {
        let handed: Vec<_> = self.shares.iter().filter_map(|share| share.take()).collect();
        for part in handed {
            let parts = part.divide();
            for later in &parts[1..] {
                let (pipeline, at) = (self.context.spec.pipeline_name(), later.windows[0].window.start());
                self.context.events.emit(RunEventKind::ScanSplit { pipeline, at });
            }
            self.waiting.extend(parts);
        }
    }

    fn start(&mut self, stretch: &PendingRange, permit: Permit) {
        let share = Arc::new(WorkSplit::default());
        self.shares.push(Arc::clone(&share));
        let (context, news) = (Arc::clone(&self.context), Arc::clone(&self.news));
        let scan = Scan::new(context, &stretch.windows, Arc::clone(&share), news);
        self.scans.spawn(async move { (scan.read().await, permit, share) });
    }
}

/// Returns the names that users know the pipelines by.
pub(crate) fn names(entities: &[EntitySpec]) -> Vec<String> {
    entities.iter().map(EntitySpec::pipeline_name).collect()
}
