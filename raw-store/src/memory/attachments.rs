//! The downloads that the store in memory records.

use std::ops::Bound;

use async_trait::async_trait;

use super::MemoryStore;
use crate::{AttachmentLog, AttachmentRecord, AttachmentState, Pipeline, StoreError};

#[async_trait]
impl AttachmentLog for MemoryStore {
    async fn attachments(
        &self,
        pipeline: &Pipeline,
        after: &str,
        limit: u32,
    ) -> Result<Vec<AttachmentState>, StoreError> {
        let state = self.state();
        let Some(rows) = state.tables.get(&pipeline.table) else { return Ok(Vec::new()) };
        let later = rows.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        let live = later.filter(|(_, row)| row.gone_found_at.is_none());
        let known = live.map(|(id, row)| {
            let record = state.attachments.get(id).cloned();
            let is_current = record.as_ref().is_some_and(|one| one.sync_token >= row.sync_token);
            AttachmentState { id: id.clone(), record, is_current }
        });
        Ok(known.take(limit as usize).collect())
    }

    async fn keep_attachment(&self, record: &AttachmentRecord) -> Result<(), StoreError> {
        self.state().attachments.insert(record.id.clone(), record.clone());
        Ok(())
    }
}
