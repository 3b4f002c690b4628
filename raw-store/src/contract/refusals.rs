//! Contract case: what the source refused is remembered once for each part.

use time::Duration;

use super::scene::noon;
use crate::{SourceRefusal, SourceRefusals, StoreError};

/// A refusal is remembered, and a later one of the same part takes its place.
pub async fn a_refusal_of_the_source_is_remembered(store: &dyn SourceRefusals) -> Result<(), StoreError> {
    let refused = |entity: &str, part: &str, day, program: &str| SourceRefusal {
        entity_name: entity.into(),
        part: part.into(),
        refused_at: noon(day),
        program: program.into(),
    };
    assert_eq!(store.refusals().await?, []);
    store.keep_refusals(&[]).await?;
    let first = [refused("vendors", "active", 1, "1.0"), refused("terms", "order", 1, "1.0")];
    store.keep_refusals(&first).await?;
    let again = refused("vendors", "active", 2, "1.1");
    store.keep_refusals(std::slice::from_ref(&again)).await?;
    let other =
        SourceRefusal { refused_at: noon(2) + Duration::SECOND, ..refused("vendors", "include", 2, "1.1") };
    store.keep_refusals(std::slice::from_ref(&other)).await?;
    assert_eq!(store.refusals().await?, [refused("terms", "order", 1, "1.0"), again, other]);
    Ok(())
}
