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
