//! Compares documents with the rows of the store in memory.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::MemoryStore;
use super::commit::{replaces, stored_row};
use crate::prepare::PreparedPage;
use crate::{Deviation, PageCommit, PageComparison, Pipeline, RawInspection, StoreError, Window};

#[async_trait]
impl RawInspection for MemoryStore {
    async fn clock(&self) -> Result<OffsetDateTime, StoreError> {
        Ok(self.state().now())
    }

    async fn compare(&self, page: &PageCommit) -> Result<PageComparison, StoreError> {
        let landing = PreparedPage::of(page).map_err(|kind| StoreError::new("comparing a page", kind))?;
        let state = self.state();
        let table = state.tables.get(&page.pipeline.table);
        let is_kept = |digest| {
            let kept = state.quarantine.get(&(page.pipeline.entity_name.clone(), digest));
            kept.is_some_and(|aside| aside.shown.resolved_at.is_none())
        };
        let mut comparison = PageComparison::default();
        for (digest, document) in &landing.quarantine {
            if is_kept(*digest) {
                comparison.quarantined += 1;
            } else {
                let id = document.id.map(Into::into);
                comparison.missing.push(Deviation { id, window: document.window });
            }
        }
        for candidate in &landing.candidates {
            let row = candidate.row;
            let deviation = || Deviation { id: Some(row.id.clone()), window: row.window };
            match table.and_then(|table| table.get(&row.id)) {
                Some(stored)
                    if stored.gone_found_at.is_none() && !replaces(stored, &stored_row(page, row), page) =>
                {
                    comparison.same += 1;
                }
                // A document that is kept beside its row must have the row as well.
                _ if is_kept(candidate.digest) && !landing.beside.contains_key(&candidate.digest) => {
                    comparison.quarantined += 1;
                }
                Some(_) => comparison.changed.push(deviation()),
                None => comparison.missing.push(deviation()),
            }
        }
        Ok(comparison)
    }

    async fn stored_ids(
        &self,
        pipeline: &Pipeline,
        span: Option<Window>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Box<str>>, StoreError> {
        let state = self.state();
        let rows = state.tables.get(&pipeline.table).into_iter().flat_map(|table| table.values());
        let in_span = |at| span.is_none_or(|span| span.contains(at));
        let ids = rows
            .filter(|row| row.gone_found_at.is_none() && *row.id > *after)
            .filter(|row| row.updated_at.map_or(span.is_none(), in_span))
            .map(|row| row.id.clone());
        Ok(ids.take(limit as usize).collect())
    }

    async fn count_live(&self, pipeline: &Pipeline, windows: &[Window]) -> Result<Vec<u64>, StoreError> {
        let state = self.state();
        let rows = state.tables.get(&pipeline.table).into_iter().flat_map(|table| table.values());
        let mut counts = vec![0; windows.len()];
        for at in rows.filter(|row| row.gone_found_at.is_none()).filter_map(|row| row.updated_at) {
            let window = windows.partition_point(|window| window.end() <= at);
            if windows.get(window).is_some_and(|window| window.contains(at)) {
                counts[window] += 1;
            }
        }
        Ok(counts)
    }
}
