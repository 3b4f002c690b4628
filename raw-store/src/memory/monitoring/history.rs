//! Shows what happened to the store in memory, in the order of time.

use async_trait::async_trait;

use super::entries;
use crate::memory::MemoryStore;
use crate::{
    AsOf, HistoryEntry, HistoryFilter, HistoryKey, HistoryKind, HistoryOrder, HistoryReader, StoreError,
    Window,
};

#[async_trait]
impl HistoryReader for MemoryStore {
    async fn happened<'a>(
        &self,
        span: Window,
        filter: &HistoryFilter,
        order: HistoryOrder,
        after: Option<&'a HistoryKey>,
        limit: u32,
    ) -> Result<AsOf<Vec<HistoryEntry>>, StoreError> {
        let state = self.state();
        let mut found = entries::all(&state);
        found.retain(|entry| {
            let key = HistoryKey::from(entry);
            let is_behind = after.is_none_or(|after| match order {
                HistoryOrder::NewestFirst => key < *after,
                HistoryOrder::OldestFirst => key > *after,
            });
            is_behind && span.contains(entry.at) && matches(filter, entry)
        });
        found.sort_by_key(|entry| HistoryKey::from(entry));
        if order == HistoryOrder::NewestFirst {
            found.reverse();
        }
        found.truncate(limit as usize);
        Ok(AsOf { now: state.now(), value: found })
    }
}

/// Whether an entry matches every field that is set.
fn matches(filter: &HistoryFilter, entry: &HistoryEntry) -> bool {
    let HistoryFilter { level, phase, run, entity_name, who, text } = filter;
    let contains = |text: &str| {
        if entry.kind == HistoryKind::Page {
            return false;
        }
        let parts = [Some(&entry.event), entry.code.as_ref(), entry.detail.as_ref()];
        parts.into_iter().flatten().any(|part| part.to_lowercase().contains(&text.to_lowercase()))
    };
    level.is_none_or(|level| entry.level >= level)
        && phase.is_none_or(|phase| entry.phase == phase)
        && run.as_ref().is_none_or(|run| entry.run.as_ref() == Some(run))
        && entity_name.as_ref().is_none_or(|name| entry.entity_name.as_ref() == Some(name))
        && who.as_ref().is_none_or(|who| entry.who.as_ref() == Some(who))
        && text.as_ref().is_none_or(|text| contains(text))
}
