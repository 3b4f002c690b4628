//! The trait that prepares the tables of a schema, and binds the schema to one company.

use std::fmt;

use async_trait::async_trait;

use crate::{Pipeline, StoreError, StoreIdentity};

/// Prepares the tables of a schema, which belong to one company.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Tables: fmt::Debug + Send + Sync {
    /// Binds the schema to a company, or checks that it is bound to this one.
    async fn bind(&self, identity: &StoreIdentity) -> Result<(), StoreError>;

    /// The company that the schema is bound to, if any.
    async fn identity(&self) -> Result<Option<StoreIdentity>, StoreError>;

    /// Creates the pipeline's table where it is missing.
    async fn prepare(&self, pipeline: &Pipeline) -> Result<(), StoreError>;

    /// Number of rows in the pipeline's table.
    async fn count_rows(&self, pipeline: &Pipeline) -> Result<u64, StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn Tables) = |_| ();
