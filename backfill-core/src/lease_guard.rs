//! Releases a lease whatever happens.

use std::sync::Arc;

use raw_store::{Lease, Store, StoreError};

/// Releases its lease whatever happens, even if the task that holds it panics or is dropped halfway.
#[derive(Debug)]
pub(crate) struct LeaseGuard {
    store: Arc<dyn Store>,
    lease: Lease,
    released: bool,
}

impl LeaseGuard {
    pub(crate) fn new(store: Arc<dyn Store>, lease: Lease) -> Self {
        Self { store, lease, released: false }
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Releases the lease.
    pub(crate) async fn release(mut self) -> Result<(), StoreError> {
        self.released = true;
        self.store.release(&self.lease).await
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        if !self.released
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (store, lease) = (Arc::clone(&self.store), self.lease.clone());
            // If this fails, the lease expires once the process has ended.
            runtime.spawn(async move { drop(store.release(&lease).await) });
        }
    }
}
