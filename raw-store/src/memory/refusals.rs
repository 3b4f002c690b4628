//! The refusals of the source that the store in memory remembers.

use async_trait::async_trait;

use super::MemoryStore;
use crate::{SourceRefusal, SourceRefusals, StoreError};

#[async_trait]
impl SourceRefusals for MemoryStore {
    async fn refusals(&self) -> Result<Vec<SourceRefusal>, StoreError> {
        Ok(self.state().refusals.values().cloned().collect())
    }

    async fn keep_refusals(&self, refusals: &[SourceRefusal]) -> Result<(), StoreError> {
        let mut state = self.state();
        for one in refusals {
            state.refusals.insert((one.entity_name.clone(), one.part.clone()), one.clone());
        }
        Ok(())
    }
}
