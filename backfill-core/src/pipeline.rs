//! One pipeline of a run: its lease, its scans, and their proof.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use qbo_client::Advice;
use raw_store::{LogFilter, OpenWindow, Window, WindowState};

use crate::engine::Parts;
use crate::plan::{consecutive, span};
use crate::scan::{Desk, Scan};
use crate::{EntitySpec, Failure, PipelinePlan, Proof, RunError, RunEvent, RunRequest};

/// Reads one pipeline to its end. The lease is given back whatever happens.
pub(crate) async fn read(parts: Parts, request: Arc<RunRequest>, plan: PipelinePlan) -> Result<(), RunError> {
    let pipeline = plan.spec.pipeline(request.axis);
    let failed = |error| RunError {
        pipeline: Some(plan.spec.pipeline_name()),
        window: None,
        failure: Failure::Land(error),
    };
    let lease = parts
        .store
        .acquire(&pipeline, &request.holder)
        .await
        .map_err(failed)?;
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
    };
    let result = read_scans(&desk, &plan.windows).await;
    let released = desk.store.release(&desk.lease).await;
    result.and(released.map_err(|error| desk.error(None, error)))
}

async fn read_scans(desk: &Desk, windows: &[Window]) -> Result<(), RunError> {
    let request = &desk.request;
    let open = desk
        .store
        .open_windows(desk.run(), &desk.pipeline, windows, request.reopen)
        .await
        .map_err(|error| desk.error(None, error))?;
    for windows in consecutive(open) {
        Scan::new(desk, &windows).read().await?;
        if request.proof == Proof::Count {
            prove(desk, &windows).await?;
        }
    }
    Ok(())
}

/// Counts what QBO has in the completed part of a scan, and compares it with what the log says was read.
///
/// Fewer at the source is harmless: records that were edited or deleted after they were read. More means that
/// something was missed, so the windows are given up, and the next run reads them again. An answer without
/// records is proof enough and costs no second call.
async fn prove(desk: &Desk, scan: &[OpenWindow]) -> Result<(), RunError> {
    let Some((span, read)) = completed_part(desk, span(scan)).await? else {
        return Ok(());
    };
    if read == 0 {
        return Ok(());
    }
    let query = desk.spec.query(desk.request.axis, span.start(), span.end());
    let source = match desk.client.count(&query).await {
        Ok(source) => source,
        Err(error) if error.advice() == Advice::GiveUp => return Ok(()),
        Err(error) => return Err(desk.error(None, Failure::Read(error))),
    };
    if source != read {
        let pipeline = desk.spec.pipeline_name();
        desk.emit(&RunEvent::CountDiffers {
            pipeline,
            span,
            source,
            read,
        });
    }
    if source > read {
        let inside = |open: &&OpenWindow| open.window.end() <= span.end();
        let windows: Vec<_> = scan.iter().filter(inside).map(|open| open.window).collect();
        let message = format!("QuickBooks counts {source} records here, {read} were read");
        desk.fail(&windows, &message)
            .await
            .map_err(|error| desk.error(None, error))?;
    }
    Ok(())
}

/// The part of a scan up to its first window that is not completed, and the records read in it.
async fn completed_part(desk: &Desk, scan: Window) -> Result<Option<(Window, u64)>, RunError> {
    let filter = LogFilter {
        entity_name: Some(desk.pipeline.entity_name.clone()),
        run: Some(desk.run().clone()),
        span: Some(scan),
        state: None,
    };
    let lines = desk
        .store
        .lines(&filter)
        .await
        .map_err(|error| desk.error(None, error))?;
    let mut end = scan.start();
    let mut read = 0;
    for line in lines
        .iter()
        .filter(|line| line.time_axis == desk.pipeline.time_axis)
    {
        if line.state != WindowState::Completed || line.window.start() != end {
            break;
        }
        end = line.window.end();
        read += line.metrics.records_read;
    }
    Ok(Window::new(scan.start(), end).ok().map(|part| (part, read)))
}

/// The name that users know a pipeline by.
pub(crate) fn names(entities: &[EntitySpec]) -> Vec<String> {
    entities.iter().map(EntitySpec::pipeline_name).collect()
}
