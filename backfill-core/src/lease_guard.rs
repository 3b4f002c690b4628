//! Releases a lease whatever happens.

use std::sync::Arc;

use raw_store::{Lease, Leases, StoreError};

/// Releases its lease whatever happens, even if the task that holds it panics or is dropped halfway.
#[derive(Debug)]
pub(crate) struct LeaseGuard {
    leases: Arc<dyn Leases>,
    lease: Lease,
    released: bool,
}

impl LeaseGuard {
    pub(crate) fn new(leases: Arc<dyn Leases>, lease: Lease) -> Self {
        Self { leases, lease, released: false }
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Releases the lease.
    pub(crate) async fn release(mut self) -> Result<(), StoreError> {
        self.released = true;
        self.leases.release(&self.lease).await
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        if !self.released
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (leases, lease) = (Arc::clone(&self.leases), self.lease.clone());
            // If this fails, the lease expires once the process has ended.
            runtime.spawn(async move { drop(leases.release(&lease).await) });
        }
    }
}

#[cfg(test)]
mod tests {
    use raw_store::mock::MockLeases;

    use super::*;

    fn guard(releases: usize) -> LeaseGuard {
        let mut leases = MockLeases::new();
        leases.expect_release().withf(|lease| lease.epoch == 7).times(releases).returning(|_| Ok(()));
        LeaseGuard::new(Arc::new(leases), Lease { entity_name: "invoices".into(), epoch: 7 })
    }

    #[tokio::test]
    async fn a_lease_is_released_once_whether_its_guard_is_used_up_or_dropped() {
        guard(1).release().await.unwrap();
        drop(guard(1));
        tokio::task::yield_now().await;
    }

    /// The process is about to end, and the lease with it.
    #[test]
    fn without_a_runtime_a_dropped_guard_leaves_its_lease_to_expire() {
        drop(guard(0));
    }
}
