//! The companies that a console shows, and how their stores are opened.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use backfill_core::Catalog;
use raw_store::store::Store;
use raw_store::{
    AsOf, CoverageMonth, EventLog, Monitoring, StoreError, StoreErrorKind, StoreIdentity, TriggerQueue,
    Validation,
};

use crate::consents::Consents;
use crate::problem::Problem;
use crate::secret_shelf::SecretShelf;

/// One company of the console: a profile of the settings.
///
/// The consent and the secrets stand beside the store, because a company that cannot be opened is often opened with them.
#[derive(Clone, Debug)]
pub struct Company {
    /// Name of the profile, which is part of every address of its pages.
    pub profile: Box<str>,
    /// QuickBooks environment of the company: `sandbox` or `production`.
    pub environment: Box<str>,
    /// Zone in which times are shown beside UTC, by its name in the zone database, such as `America/Guayaquil`.
    pub zone: Box<str>,
    /// Entities that can be read.
    pub catalog: Catalog,
    /// Calls that QuickBooks allows in a month; `None` if no limit is set.
    pub monthly_calls: Option<u64>,
    /// Opens the company's store.
    pub store: Arc<dyn OpenStore>,
    /// Starts a consent in the browser; `None` if this process cannot.
    pub consents: Option<Arc<dyn Consents>>,
    /// Lists and replaces secrets; `None` if this process cannot.
    pub secrets: Option<Arc<dyn SecretShelf>>,
}

/// Opens the store of one company.
#[async_trait]
pub trait OpenStore: fmt::Debug + Send + Sync {
    /// Returns the store, and connects if necessary. It is called for every view, so an open store should be kept and
    /// returned again. A vault, a consent or the database can be away: the problem then says what a person can do.
    async fn open(&self) -> Result<Arc<OpenCompany>, Problem>;
}

/// A company whose store is open.
#[derive(Clone, Debug)]
pub struct OpenCompany {
    /// The company that the schema is bound to; `None` before the first run.
    pub identity: Option<StoreIdentity>,
    /// The store, as far as pages use it.
    pub store: Arc<dyn CompanyStore>,
}

impl OpenCompany {
    /// Sums up the log by month of a zone, or of UTC if the store does not know the zone.
    pub(crate) async fn months(&self, zone: &str) -> Result<AsOf<Vec<CoverageMonth>>, StoreError> {
        match self.store.months(zone).await {
            Err(StoreError { kind: StoreErrorKind::Configuration(_), .. }) => self.store.months("UTC").await,
            answer => answer,
        }
    }
}

/// Everything that pages use of a store. They write nothing into the log but requests to stop, triggers and events; the whole
/// [`Store`] is needed to build a report.
pub trait CompanyStore: Store + Monitoring + Validation + TriggerQueue + EventLog {}

impl<T: Store + Monitoring + Validation + TriggerQueue + EventLog> CompanyStore for T {}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn CompanyStore, &dyn OpenStore) = |_, _| ();
