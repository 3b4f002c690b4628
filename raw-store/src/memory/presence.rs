//! Looks up rows of the store in memory.

use async_trait::async_trait;

use super::MemoryStore;
use crate::{MemberRange, Pipeline, Presence, RowLookup, StoreError};

#[async_trait]
impl RowLookup for MemoryStore {
    async fn presence(
        &self,
        pipeline: &Pipeline,
        ids: &[Box<str>],
        member: &str,
    ) -> Result<Vec<Presence>, StoreError> {
        let state = self.state();
        let table = state.tables.get(&pipeline.table);
        let one = |id: &str| match table.and_then(|table| table.get(id)) {
            None => Presence::Absent,
            Some(row) if row.gone_found_at.is_some() => Presence::Gone,
            Some(_) if member.is_empty() => Presence::Live(None),
            Some(row) => Presence::Live(text(&row.payload, member)),
        };
        Ok(ids.iter().map(|id| one(id)).collect())
    }

    async fn ids_between(
        &self,
        pipeline: &Pipeline,
        between: &MemberRange,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Box<str>>, StoreError> {
        let state = self.state();
        let rows = state.tables.get(&pipeline.table).into_iter().flat_map(|table| table.values());
        let is_between = |payload: &[u8]| {
            text(payload, &between.member).is_some_and(|text| between.first <= text && text <= between.last)
        };
        let ids = rows
            .filter(|row| row.gone_found_at.is_none() && *row.id > *after && is_between(&row.payload))
            .map(|row| row.id.clone());
        Ok(ids.take(limit as usize).collect())
    }
}

/// The text that a document has in a member.
fn text(payload: &[u8], member: &str) -> Option<Box<str>> {
    let document: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
    document.get(member).and_then(|member| member.as_str()).map(Into::into)
}
