//! One pipeline of a run: its lease, its scans, and their proof.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use raw_store::{LogFilter, OpenWindow, Window, WindowState};

use crate::availability::Availability;
use crate::engine::Parts;
use crate::plan::{consecutive, span};
use crate::scan::{Desk, Scan, Unread, count};
use crate::{EntitySpec, Failure, PipelinePlan, Proof, RunError, RunEvent, RunRequest};

/// Reads one pipeline to its end. The lease is given back whatever happens.
pub(crate) async fn read(parts: Parts, request: Arc<RunRequest>, plan: PipelinePlan) -> Result<(), RunError> {
    let pipeline = plan.spec.pipeline(request.axis);
    let failed = |error| RunError {
        pipeline: Some(plan.spec.pipeline_name()),
        window: None,
        failure: Failure::Land(error),
    };
    let lease = parts.store.acquire(&pipeline, &request.holder).await.map_err(failed)?;
    // What an entity bears may be less than what was asked for.
    let page_size = plan.spec.page_size(request.page_size);
    let request = Arc::new(RunRequest { page_size, ..RunRequest::clone(&request) });
    let desk = Desk {
        client: parts.client,
        store: parts.store,
        clock: parts.clock,
        sink: parts.sink,
        stop: parts.stop,
        request,
        spec: plan.spec.clone(),
        pipeline,
        lease,
        pages: AtomicU32::new(0),
        availability: Availability::default(),
    };
    let result = read_scans(&desk, &plan.windows).await;
    let released = desk.store.release(&desk.lease).await;
    result.and(released.map_err(|error| desk.error(None, error)))
}

async fn read_scans(desk: &Desk, plan: &[Window]) -> Result<(), RunError> {
    let request = &desk.request;
    let open = desk
        .store
        .open_windows(desk.run(), &desk.pipeline, plan, request.reopen)
        .await
        .map_err(|error| desk.error(None, error))?;
    if open.iter().any(|window| window.cursor.is_some()) {
        // An earlier run has read some of it.
        desk.availability.confirm();
    }
    let all = open.len();
    for scan in consecutive(open) {
        if let Some(message) = desk.availability.missing() {
            let windows: Vec<_> = scan.iter().map(|open| open.window).collect();
            desk.leave_out(&windows, message).await.map_err(|error| desk.error(None, error))?;
            continue;
        }
        Scan::new(desk, &scan).read().await?;
        let counted = desk.spec.is_counted() && desk.availability.missing().is_none();
        if request.proof == Proof::Count && counted {
            prove(desk, plan, &scan).await?;
        }
    }
    if let Some(message) = desk.availability.missing() {
        let (pipeline, message) = (desk.spec.pipeline_name(), message.into());
        desk.emit(&RunEvent::Unavailable { pipeline, windows: all, message });
    }
    Ok(())
}

/// Counts what QBO has in the completed stretches of a scan, and compares it with what the log says was read. There is
/// one stretch, unless windows in the middle were given up.
///
/// Fewer at the source is harmless: records that were edited or deleted after they were read. More means that
/// something was missed, so the windows are given up, and the next run reads them again. An answer without
/// records is proof enough and costs no second call.
async fn prove(desk: &Desk, plan: &[Window], scan: &[OpenWindow]) -> Result<(), RunError> {
    for Stretch { windows, read } in completed(desk, plan, span(scan)).await? {
        if read == 0 {
            continue;
        }
        let span = span(&windows);
        let query = desk.spec.query(desk.request.axis, span.start(), span.end());
        let source = match count(desk, &query).await {
            Ok(source) => source,
            // An entity that cannot be counted has been read all the same.
            Err(Unread::Here(_) | Unread::Rest(_) | Unread::Unavailable(_)) => continue,
            Err(Unread::Fatal(failure)) => return Err(desk.error(None, failure)),
        };
        if source != read {
            let pipeline = desk.spec.pipeline_name();
            desk.emit(&RunEvent::CountDiffers { pipeline, span, source, read });
        }
        if source > read {
            let windows: Vec<_> = windows.iter().map(|open| open.window).collect();
            let message = format!("QuickBooks counts {source} records here, {read} were read");
            desk.fail(&windows, &message).await.map_err(|error| desk.error(None, error))?;
        }
    }
    Ok(())
}

/// Consecutive completed windows, and the records read in them.
struct Stretch {
    windows: Vec<OpenWindow>,
    read: u64,
}

/// The completed stretches that a scan touches. Windows beside it that an earlier run completed belong to them: a run that
/// was stopped before its count leaves the proof to the one that goes on.
async fn completed(desk: &Desk, plan: &[Window], scan: Window) -> Result<Vec<Stretch>, RunError> {
    let filter = LogFilter {
        entity_name: Some(desk.pipeline.entity_name.clone()),
        run: None,
        span: Some(desk.request.span),
        state: Some(WindowState::Completed),
    };
    let mut lines = desk.store.lines(&filter).await.map_err(|error| desk.error(None, error))?;
    let planned: HashSet<_> = plan.iter().collect();
    lines.retain(|line| line.time_axis == desk.pipeline.time_axis && planned.contains(&line.window));
    let read: HashMap<_, _> = lines.iter().map(|line| (line.window, line.metrics.records_read)).collect();
    let open = lines.iter().map(|line| OpenWindow { window: line.window, cursor: None });
    let stretch = |windows: Vec<OpenWindow>| {
        let read = windows.iter().map(|open| read[&open.window]).sum();
        Stretch { windows, read }
    };
    let touches = |windows: &Vec<OpenWindow>| {
        let stretch = span(windows);
        stretch.start() < scan.end() && scan.start() < stretch.end()
    };
    Ok(consecutive(open).into_iter().filter(touches).map(stretch).collect())
}

/// The name that users know a pipeline by.
pub(crate) fn names(entities: &[EntitySpec]) -> Vec<String> {
    entities.iter().map(EntitySpec::pipeline_name).collect()
}
