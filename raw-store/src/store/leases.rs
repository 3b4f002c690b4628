//! The trait for leases: which process may write for a pipeline.

use std::fmt;

use async_trait::async_trait;

use crate::{Lease, Pipeline, StoreError};

/// Gives each pipeline to one process at a time.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Leases: fmt::Debug + Send + Sync {
    /// Acquires the pipeline for `holder` (a text for people, such as a host and process id), and keeps it while this process
    /// runs. Refused with `LeaseHeld` while another process owns it: that process must have ended, or have sent no heartbeat
    /// for as long as a lease lasts.
    async fn acquire(&self, pipeline: &Pipeline, holder: &str) -> Result<Lease, StoreError>;

    /// Returns once this process no longer owns the pipeline: another process took it over, or ownership could not be confirmed
    /// for so long that another may. Fencing does not depend on this; it saves work that could not be committed.
    async fn lost(&self, lease: &Lease) -> StoreError;

    /// Releases the pipeline. Does nothing if it has been taken over.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn Leases) = |_| ();
