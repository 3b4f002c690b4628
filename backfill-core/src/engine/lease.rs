//! Takes a pipeline's lease, and waits for one that another process holds.

use std::sync::Arc;
use std::time::Duration;

use raw_store::{Advice, Pipeline, StoreError, StoreErrorKind};

use super::run_context::{Permit, RunContext};
use crate::error::{Failure, RunError, broken};
use crate::event::RunEventKind;
use crate::lease_guard::LeaseGuard;
use crate::plan::RunRequest;

/// Delay between attempts to take a lease that another process holds, with a jitter of a quarter, because many processes may
/// wait for one lease.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Takes a pipeline's lease. If another process holds it, reports the holder once and waits as long as the request allows,
/// while other pipelines use the permit.
pub(crate) async fn take(
    shared: &RunContext,
    request: &RunRequest,
    (pipeline, name): (&Pipeline, &str),
    permit: Permit,
) -> Result<(LeaseGuard, Permit), Failure> {
    let began = shared.clock.elapsed();
    let mut permit = Some(permit);
    let mut told = false;
    let mut random = fastrand::Rng::with_seed(request.seed);
    loop {
        let error = match shared.store.leases.acquire(pipeline, &request.holder).await {
            Ok(lease) => {
                let guard = LeaseGuard::new(Arc::clone(&shared.store.leases), lease);
                return match permit {
                    Some(permit) => Ok((guard, permit)),
                    None => with_a_permit(shared, guard).await,
                };
            }
            Err(error) => error,
        };
        let waited = shared.clock.elapsed().saturating_sub(began);
        let left = request.wait.saturating_sub(waited);
        if !may_become_free(&error) || left.is_zero() {
            return Err(error.into());
        }
        if let StoreErrorKind::LeaseHeld { holder, since, .. } = error.kind
            && !told
        {
            told = true;
            let (pipeline, patience) = (name.to_owned(), left);
            shared.events.emit(RunEventKind::Held { pipeline, holder, since, patience });
        }
        permit = None;
        let pause = ASK_AGAIN.mul_f64(0.75 + random.f64() / 2.0);
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return Err(Failure::Stopped),
            () = shared.clock.sleep(pause.min(left)) => {}
        }
    }
}

/// Waits for a permit while holding the lease; releases the lease if the run is stopped first.
async fn with_a_permit(shared: &RunContext, guard: LeaseGuard) -> Result<(LeaseGuard, Permit), Failure> {
    tokio::select! {
        biased;
        () = shared.stop.cancelled() => {
            guard.release().await?;
            Err(Failure::Stopped)
        }
        lost = shared.store.leases.lost(guard.lease()) => Err(lost.into()),
        permit = Arc::clone(&shared.permits).acquire_owned() => match permit {
            Ok(permit) => Ok((guard, permit)),
            Err(_) => Err(broken("the places are gone")),
        },
    }
}

/// Whether waiting helps: another process holds the lease, or is frozen in the middle of a page and the server will take its
/// lock away after a while, or the database restarts.
fn may_become_free(error: &StoreError) -> bool {
    matches!(error.kind, StoreErrorKind::LeaseHeld { .. }) || error.advice() == Advice::Retry
}

/// Whether another process holds the pipeline.
pub(super) fn is_held(error: &RunError) -> bool {
    let Failure::Land(error) = &error.failure else { return false };
    matches!(error.kind, StoreErrorKind::LeaseHeld { .. })
}
