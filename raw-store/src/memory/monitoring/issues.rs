//! Shows the findings and the quarantine of the store in memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::memory::MemoryStore;
use crate::{
    AsOf, IssueReader, NewestFinding, QuarantineFilter, QuarantineKey, Quarantined, RunId, StoreError,
    ValidationResult,
};

#[async_trait]
impl IssueReader for MemoryStore {
    async fn newest_findings(&self, limit: u32) -> Result<AsOf<Vec<NewestFinding>>, StoreError> {
        let state = self.state();
        let mut newest: BTreeMap<&str, (&RunId, &ValidationResult)> = BTreeMap::new();
        for (run, result) in &state.validated {
            let last = newest.entry(&result.entity_name).or_insert((run, result));
            if (last.1.at, last.0) < (result.at, run) {
                *last = (run, result);
            }
        }
        let mut found: Vec<NewestFinding> = Vec::new();
        for (run, result) in newest.into_values() {
            found.extend(result.findings.iter().map(|finding| NewestFinding {
                entity_name: result.entity_name.clone(),
                run: run.clone(),
                validated_at: result.at,
                finding: finding.clone(),
            }));
        }
        // Findings about everything come last, as null does in the database.
        let span =
            |one: &NewestFinding| (one.finding.span.is_none(), one.finding.span.map(crate::Window::start));
        found.sort_by(|a, b| {
            let key =
                |one: &NewestFinding| (Reverse(one.finding.severity), one.entity_name.clone(), span(one));
            key(a).cmp(&key(b))
        });
        found.truncate(limit as usize);
        Ok(AsOf { now: state.now(), value: found })
    }

    async fn page_of_quarantine<'a>(
        &self,
        filter: &QuarantineFilter,
        after: Option<&'a QuarantineKey>,
        limit: u32,
    ) -> Result<AsOf<Vec<Quarantined>>, StoreError> {
        let mut kept = self.quarantine();
        kept.retain(|one| {
            filter.entity_name.as_ref().is_none_or(|name| one.entity_name == *name)
                && (!filter.open || one.is_open())
                && after.is_none_or(|after| QuarantineKey::from(one) > *after)
        });
        kept.sort_by_key(|one| QuarantineKey::from(one));
        kept.truncate(limit as usize);
        Ok(AsOf { now: self.state().now(), value: kept })
    }
}
