//! The trait that remembers which parts of a request the source refuses.

use std::fmt;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::StoreError;

/// A part of a request that the source refused for an entity, so that later runs leave it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRefusal {
    /// Name of the pipeline in the log.
    pub entity_name: Box<str>,
    /// The part, in one word.
    pub part: Box<str>,
    /// When the source refused it, by our clock.
    pub refused_at: OffsetDateTime,
    /// Version of the program that asked.
    pub program: Box<str>,
}

/// Remembers refusals of the source (`raw.source_refusal`).
///
/// # Contract
///
/// - An entity has one refusal for each part: a later one replaces it.
/// - Nothing is removed. Whoever reads a refusal decides by its age and version whether it still counts.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SourceRefusals: fmt::Debug + Send + Sync {
    /// Returns all refusals, sorted by entity and part.
    async fn refusals(&self) -> Result<Vec<SourceRefusal>, StoreError>;

    /// Remembers refusals.
    async fn keep_refusals(&self, refusals: &[SourceRefusal]) -> Result<(), StoreError>;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn SourceRefusals) = |_| ();
