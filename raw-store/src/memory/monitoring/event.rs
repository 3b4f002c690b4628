//! Keeps events in memory.

use async_trait::async_trait;

use crate::memory::MemoryStore;
use crate::{EVENT_RETENTION_DAYS, EventLog, NewEvent, StoreError};

#[async_trait]
impl EventLog for MemoryStore {
    async fn record_events(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        let mut state = self.state();
        for event in events {
            let number = state.events.last_key_value().map_or(1, |(number, _)| number + 1);
            state.events.insert(number, event.clone());
        }
        Ok(())
    }

    async fn remove_old_events(&self) -> Result<u64, StoreError> {
        let mut state = self.state();
        let oldest = state.now() - time::Duration::days(i64::from(EVENT_RETENTION_DAYS));
        state.workers.retain(|_, worker| worker.seen_at >= oldest);
        let before = state.events.len();
        state.events.retain(|_, event| event.at >= oldest);
        Ok((before - state.events.len()) as u64)
    }
}
