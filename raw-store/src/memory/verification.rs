//! Keeps the results of verifications in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::MemoryStore;
use crate::{StoreError, VerificationLog, VerificationRecord};

#[async_trait]
impl VerificationLog for MemoryStore {
    async fn keep_verifications(&self, records: &[VerificationRecord]) -> Result<(), StoreError> {
        let verified = &mut self.state().verified;
        for record in records {
            if !verified.iter().any(|one| one.id == record.id && one.entity_name == record.entity_name) {
                verified.push(record.clone());
            }
        }
        Ok(())
    }

    async fn last_verifications(&self) -> Result<Vec<VerificationRecord>, StoreError> {
        let state = self.state();
        let mut newest: BTreeMap<_, &VerificationRecord> = BTreeMap::new();
        for record in &state.verified {
            let last = newest.entry((&record.entity_name, record.method)).or_insert(record);
            if (last.at, &last.id) < (record.at, &record.id) {
                *last = record;
            }
        }
        Ok(newest.into_values().cloned().collect())
    }
}
