//! Shows single rows of the store in memory.

use async_trait::async_trait;
use serde_json::Value;

use crate::digest::Digest;
use crate::memory::MemoryStore;
use crate::memory::state::{State, StoredRow};
use crate::{AsOf, NumberSearch, Pipeline, RowReader, RowRecord, StoreError};

#[async_trait]
impl RowReader for MemoryStore {
    async fn row(&self, search: &NumberSearch, id: &str) -> Result<AsOf<Option<RowRecord>>, StoreError> {
        let state = self.state();
        let row = state.tables.get(&search.pipeline.table).and_then(|table| table.get(id));
        Ok(AsOf { now: state.now(), value: row.map(|row| record(&state, search, row)) })
    }

    async fn rows_by_number(
        &self,
        searches: &[NumberSearch],
        number: &str,
        limit: u32,
    ) -> Result<AsOf<Vec<RowRecord>>, StoreError> {
        let state = self.state();
        let mut found = Vec::new();
        for search in searches {
            let rows = state.tables.get(&search.pipeline.table).into_iter().flat_map(|table| table.values());
            let same = rows.filter(|row| number_of(row, &search.member).as_deref() == Some(number));
            found.extend(same.map(|row| record(&state, search, row)));
        }
        found.truncate(limit as usize);
        Ok(AsOf { now: state.now(), value: found })
    }

    async fn document(&self, pipeline: &Pipeline, id: &str) -> Result<AsOf<Option<Box<str>>>, StoreError> {
        let state = self.state();
        let row = state.tables.get(&pipeline.table).and_then(|table| table.get(id));
        let text = row.map(|row| String::from_utf8_lossy(&row.payload).into());
        Ok(AsOf { now: state.now(), value: text })
    }
}

/// The member of a document that holds its number, as text.
fn number_of(row: &StoredRow, member: &str) -> Option<Box<str>> {
    let document: Value = serde_json::from_slice(&row.payload).ok()?;
    match document.get(member)? {
        Value::Null => None,
        Value::String(text) => Some(text.as_str().into()),
        other => Some(other.to_string().into()),
    }
}

fn record(state: &State, search: &NumberSearch, row: &StoredRow) -> RowRecord {
    let entity_name = &search.pipeline.entity_name;
    let brought = state.pages.iter().find(|((_, name, number), page)| {
        name == entity_name && *number == row.page_number && page.committed_at == row.ingested_at
    });
    RowRecord {
        entity_name: entity_name.clone(),
        id: row.id.clone(),
        number: number_of(row, &search.member),
        updated_at: row.updated_at,
        updated_on: row.updated_on,
        sync_token: row.sync_token,
        answered_at: row.answered_at,
        ingested_at: row.ingested_at,
        window: row.window,
        run: brought.map(|((run, ..), _)| run.clone()),
        page_number: row.page_number,
        page_size: row.page_size,
        request: Some(row.request.clone()),
        digest: Some(format!("{:?}", Digest::of(&row.payload)).into()),
        gone_found_at: row.gone_found_at,
        deleted_at: row.source_deleted_at,
    }
}
