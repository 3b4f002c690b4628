//! Keeps reports of the source in memory.

use async_trait::async_trait;

use super::MemoryStore;
use crate::{KeptReport, ReportArchive, StoreError, TableName};

#[async_trait]
impl ReportArchive for MemoryStore {
    async fn keep_report(&self, table: &TableName, report: &KeptReport) -> Result<(), StoreError> {
        let reports = &mut self.state().reports;
        let kept = reports.entry((table.clone(), report.question.clone())).or_insert_with(|| report.clone());
        if kept.received_at <= report.received_at {
            *kept = report.clone();
        }
        Ok(())
    }

    async fn kept_report(&self, table: &TableName, question: &str) -> Result<Option<KeptReport>, StoreError> {
        Ok(self.state().reports.get(&(table.clone(), question.into())).cloned())
    }
}
