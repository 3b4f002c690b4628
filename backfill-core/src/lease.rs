//! Taking a pipeline, and waiting for whoever has it.

use std::time::Duration;

use raw_store::{Advice, Lease, Pipeline, StoreError, StoreErrorKind};

use crate::engine::Parts;
use crate::{Failure, RunEvent, RunRequest};

/// How often a pipeline that another process has is asked for, give or take a quarter: many may wait for one.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Takes a pipeline. One that another process has is waited for as long as the request allows, and said once whose it is.
pub(crate) async fn take(
    parts: &Parts,
    request: &RunRequest,
    pipeline: &Pipeline,
    name: &str,
) -> Result<Lease, Failure> {
    let began = parts.clock.elapsed();
    let mut told = false;
    let mut random = fastrand::Rng::with_seed(request.seed);
    loop {
        let error = match parts.store.acquire(pipeline, &request.holder).await {
            Ok(lease) => return Ok(lease),
            Err(error) => error,
        };
        let waited = parts.clock.elapsed().saturating_sub(began);
        let left = request.wait.saturating_sub(waited);
        if !may_become_free(&error) || left.is_zero() {
            return Err(error.into());
        }
        if let StoreErrorKind::LeaseHeld { holder, since, .. } = error.kind
            && !told
        {
            told = true;
            let (pipeline, patience) = (name.to_owned(), left);
            parts.sink.emit(&RunEvent::Held { pipeline, holder, since, patience });
        }
        let pause = ASK_AGAIN.mul_f64(0.75 + random.f64() / 2.0);
        tokio::select! {
            biased;
            () = parts.stop.cancelled() => return Err(Failure::Stopped),
            () = parts.clock.sleep(pause.min(left)) => {}
        }
    }
}

/// Whether waiting helps: another process has the pipeline, or is frozen in the middle of a page, whose lock the server
/// takes away after a while, or the database restarts.
fn may_become_free(error: &StoreError) -> bool {
    matches!(error.kind, StoreErrorKind::LeaseHeld { .. }) || error.advice() == Advice::Retry
}
