//! Sums up the tables of the store in memory.

use async_trait::async_trait;

use super::MemoryStore;
use crate::digest::Digest;
use crate::prepare::TableSum;
use crate::{Pipeline, StoreError, TableDigest, TableDigests};

#[async_trait]
impl TableDigests for MemoryStore {
    async fn table_digest(&self, pipeline: &Pipeline) -> Result<TableDigest, StoreError> {
        let state = self.state();
        let mut sum = TableSum::default();
        for row in state.tables.get(&pipeline.table).into_iter().flat_map(|table| table.values()) {
            sum.add(&row.id, Digest::of(&row.payload).as_bytes(), row.gone_found_at.is_some());
        }
        Ok(sum.finish())
    }
}
