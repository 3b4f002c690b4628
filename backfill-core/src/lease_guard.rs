//! A lease that is given back whatever happens.

use std::sync::Arc;

use raw_store::{Lease, Store, StoreError};

/// A lease that is given back whatever happens: also where its task panics, or is dropped in the middle.
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

    /// Gives it back.
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
            // Where it fails, the lease ends with the process.
            runtime.spawn(async move { drop(store.release(&lease).await) });
        }
    }
}
