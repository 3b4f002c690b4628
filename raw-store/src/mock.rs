//! Mocks of the store's traits, made by [`mockall`], for the tests of services that embed it.
//!
//! ```
//! use raw_store::mock::MockLeases;
//! use raw_store::{Lease, Leases};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let mut leases = MockLeases::new();
//! leases.expect_release().withf(|lease| lease.epoch == 7).times(1).returning(|_| Ok(()));
//! leases.release(&Lease { entity_name: "invoices".into(), epoch: 7 }).await?;
//! # Ok::<(), raw_store::StoreError>(())
//! # }).unwrap();
//! ```
//!
//! A [`MemoryStore`](crate::MemoryStore) often says more than a mock: it keeps the whole contract of every trait.

pub use crate::store::{
    MockActivityReader, MockAttachmentLog, MockBackfillLog, MockCallLedger, MockCoverageReader, MockEventLog,
    MockGoneMarks, MockHistoryReader, MockIssueReader, MockLeases, MockPageSink, MockQuarantine,
    MockRawInspection, MockReportArchive, MockRowLookup, MockRowReader, MockRunReader, MockSourceRefusals,
    MockTableDigests, MockTables, MockTokenLineage, MockTriggerQueue, MockValidation, MockVerificationLog,
    MockWorkerLog,
};
