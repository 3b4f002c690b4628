//! The store as a run uses it: each part by the trait that it needs.

use std::sync::Arc;

use raw_store::{
    BackfillLog, GoneMarks, Leases, PageSink, Quarantine, RawInspection, ReportArchive, RowLookup,
    SourceRefusals, Store, Tables, VerificationLog,
};

/// The parts of a store. A run uses one store for all of them; a verification puts other parts in their places.
#[derive(Clone, Debug)]
pub(crate) struct StoreParts {
    pub(crate) tables: Arc<dyn Tables>,
    pub(crate) leases: Arc<dyn Leases>,
    pub(crate) pages: Arc<dyn PageSink>,
    pub(crate) log: Arc<dyn BackfillLog>,
    pub(crate) rows: Arc<dyn RawInspection>,
    pub(crate) quarantine: Arc<dyn Quarantine>,
    pub(crate) gone: Arc<dyn GoneMarks>,
    pub(crate) refusals: Arc<dyn SourceRefusals>,
    pub(crate) verifications: Arc<dyn VerificationLog>,
    pub(crate) lookup: Arc<dyn RowLookup>,
    pub(crate) reports: Arc<dyn ReportArchive>,
}

/// Uses one store for everything.
impl From<Arc<dyn Store>> for StoreParts {
    fn from(store: Arc<dyn Store>) -> Self {
        Self {
            tables: store.clone(),
            leases: store.clone(),
            pages: store.clone(),
            log: store.clone(),
            rows: store.clone(),
            quarantine: store.clone(),
            gone: store.clone(),
            refusals: store.clone(),
            verifications: store.clone(),
            lookup: store.clone(),
            reports: store,
        }
    }
}
