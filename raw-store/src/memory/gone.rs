//! Marks rows of the store in memory as gone at the source.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::MemoryStore;
use crate::{GoneMarks, GoneRecord, Lease, Pipeline, StoreError};

#[async_trait]
impl GoneMarks for MemoryStore {
    async fn mark_gone(
        &self,
        pipeline: &Pipeline,
        lease: &Lease,
        gone: &[GoneRecord],
        found_at: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let mut state = self.state();
        state.fence(lease).map_err(|kind| StoreError::new("marking rows as gone", kind))?;
        let Some(table) = state.tables.get_mut(&pipeline.table) else { return Ok(0) };
        let mut marked = 0;
        for one in gone {
            let row = table.get_mut(&one.id).filter(|row| row.gone_found_at.is_none());
            let Some(row) = row else { continue };
            row.gone_found_at = Some(found_at);
            row.source_deleted_at = one.deleted_at;
            marked += 1;
        }
        Ok(marked)
    }
}
