use std::sync::Arc;

use raw_store::{Lease, Store, StoreError};

/// A lease that is given back whatever happens: also where its task panics, or is dropped in the middle.
#[derive(Debug)]
pub(crate) struct Held {
    store: Arc<dyn Store>,
    lease: Option<Lease>,
}

impl Held {
    pub(crate) fn new(store: Arc<dyn Store>, lease: Lease) -> Self {
        Self { store, lease: Some(lease) }
    }

    /// Gives it back.
    pub(crate) async fn release(mut self) -> Result<(), StoreError> {
        match self.lease.take() {
            Some(lease) => self.store.release(&lease).await,
            None => Ok(()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let store = Arc::clone(&self.store);
            // Where it fails, the lease ends with the process.
            runtime.spawn(async move { drop(store.release(&lease).await) });
        }
    }
}
