//! The request for a run.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use qbo_client::PageSize;
use raw_store::{Lease, Reopen, RunId, RunStart, SourceRefusal, StoreIdentity, Window};
use time::OffsetDateTime;

use crate::catalog::{Axis, EntitySpec};
use crate::chunk::{ChunkSize, MOST_WINDOWS, TooManyWindows};
use crate::id_hash::id_hash;
use crate::plan::settle::Settle;

/// A request for a run: what to read, and how.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The run's name.
    pub id: RunId,
    /// The seed of every random choice in the run.
    pub seed: u64,
    /// The company whose records are read, and its environment.
    pub identity: StoreIdentity,
    /// A lease that the run depends on, where it needs one: once it is lost, the run records nothing more.
    pub fence: Option<Lease>,
    /// Names the process that runs the request, for people: a host and process id.
    pub holder: Box<str>,
    /// How long to wait for a pipeline that another process holds.
    pub wait: Duration,
    /// The entities to read.
    pub entities: Vec<EntitySpec>,
    /// The range to read, in whole seconds.
    pub span: Window,
    /// The length of the run's windows.
    pub chunk: ChunkSize,
    /// Windows to read in place of the whole span, by the pipeline's name in the log: windows of the log that are to be read
    /// again.
    pub chosen: Option<BTreeMap<Box<str>, Vec<Window>>>,
    /// The time field that the windows measure; others call it the cursor field.
    pub axis: Axis,
    /// Records per page.
    pub page_size: PageSize,
    /// Concurrent API requests over all pipelines. With one, every scan is read in order.
    pub concurrency: NonZeroUsize,
    /// Which windows are read again.
    pub reopen: Reopen,
    /// Whether to repair rows that were changed by hand, at the cost of comparing their content; see
    /// [`PageCommit::by_content`](raw_store::PageCommit::by_content).
    pub by_content: bool,
    /// How the result is checked against the source.
    pub proof: Proof,
    /// Whether the run waits for windows that ended too near to now, and reads them once more.
    pub settle: Settle,
}

/// Stands for the chunk size in the log when the windows of a run were chosen one by one.
pub(crate) const CHOSEN: &str = "chosen";

impl RunRequest {
    /// Creates a request to read some entities of a company over a range, with the defaults of the command: windows by day and
    /// by last update, pages of 1000 records, ten concurrent API requests, completed windows left as they are, the result
    /// counted, and a range that ends now settled.
    ///
    /// The seed is derived from the run's name; the holder is this process.
    ///
    /// ```
    /// use backfill_core::{Catalog, ChunkSize, RunRequest};
    /// use raw_store::{StoreIdentity, Window};
    /// use time::macros::datetime;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let company = StoreIdentity { realm_id: "9130000000000001".into(), environment: "sandbox".into() };
    /// let year = Window::new(datetime!(2024-01-01 0:00 UTC), datetime!(2025-01-01 0:00 UTC))?;
    /// let entities = Catalog::bundled().select(["Invoice", "Customer"])?;
    /// let request = RunRequest::new("first-run".parse()?, company, entities, year).with_chunk(ChunkSize::Month);
    /// assert!(request.check().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(id: RunId, company: StoreIdentity, entities: Vec<EntitySpec>, range: Window) -> Self {
        Self {
            seed: id_hash(id.as_str()),
            id,
            identity: company,
            fence: None,
            holder: format!("process {}", std::process::id()).into(),
            wait: Duration::ZERO,
            entities,
            span: range,
            chunk: ChunkSize::Day,
            chosen: None,
            axis: Axis::Updated,
            page_size: PageSize::MAX,
            concurrency: Self::MOST_AT_ONCE,
            reopen: Reopen::Unfinished,
            by_content: false,
            proof: Proof::Count,
            settle: Settle::Soon,
        }
    }

    /// Sets the seed of every random choice, to repeat a run.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Names the process that runs the request, for people who wait for a pipeline.
    #[must_use]
    pub fn with_holder(self, holder: impl Into<Box<str>>) -> Self {
        Self { holder: holder.into(), ..self }
    }

    /// Waits this long for a pipeline that another process holds, instead of failing at once.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Sets the length of the windows.
    #[must_use]
    pub fn with_chunk(self, chunk: ChunkSize) -> Self {
        Self { chunk, ..self }
    }

    /// Sets the time field that the windows measure; others call it the cursor field.
    #[must_use]
    pub fn with_axis(self, axis: Axis) -> Self {
        Self { axis, ..self }
    }

    /// Sets how many records a page holds.
    #[must_use]
    pub fn with_page_size(self, page_size: PageSize) -> Self {
        Self { page_size, ..self }
    }

    /// Sets the number of concurrent API requests over all pipelines (1 to 10).
    #[must_use]
    pub fn with_concurrency(self, concurrency: NonZeroUsize) -> Self {
        Self { concurrency, ..self }
    }

    /// Sets which windows are read again.
    #[must_use]
    pub fn with_reopen(self, reopen: Reopen) -> Self {
        Self { reopen, ..self }
    }

    /// Sets how the result is checked against the source.
    #[must_use]
    pub fn with_proof(self, proof: Proof) -> Self {
        Self { proof, ..self }
    }

    /// Sets whether the run waits for windows that ended too near to now, and reads them once more.
    #[must_use]
    pub fn with_settle(self, settle: Settle) -> Self {
        Self { settle, ..self }
    }

    /// Makes the run depend on this lease: once the lease is lost, the run records nothing more.
    #[must_use]
    pub fn with_fence(self, fence: Lease) -> Self {
        Self { fence: Some(fence), ..self }
    }

    /// Leaves out of the requests what QuickBooks has refused, as far as the refusals still count.
    #[must_use]
    pub fn with_refusals(self, refusals: &[SourceRefusal], now: OffsetDateTime) -> Self {
        let entities =
            self.entities.into_iter().map(|spec| spec.as_accepted(self.axis, refusals, now)).collect();
        Self { entities, ..self }
    }

    /// Returns the windows that account for an entity, in ascending order.
    pub(crate) fn windows(&self, spec: &EntitySpec) -> Result<Vec<Window>, TooManyWindows> {
        let Some(chosen) = &self.chosen else { return spec.windows(self.span, self.chunk) };
        let mut windows = chosen.get(spec.entity_name()).cloned().unwrap_or_default();
        windows.sort_unstable();
        windows.dedup();
        if windows.len() > MOST_WINDOWS {
            return Err(TooManyWindows { chunk: CHOSEN });
        }
        Ok(windows)
    }

    /// Checks that the request can be planned, without calling QuickBooks or the store.
    ///
    /// # Errors
    ///
    /// [`TooManyWindows`] if a pipeline has more windows than a request may have.
    pub fn check(&self) -> Result<(), TooManyWindows> {
        self.entities.iter().try_for_each(|spec| self.windows(spec).map(drop))
    }

    /// The most concurrent API requests that QBO allows.
    pub const MOST_AT_ONCE: NonZeroUsize = NonZeroUsize::new(10).unwrap();

    /// Builds the record of the run's start for the log.
    pub(crate) fn start(&self, at: OffsetDateTime) -> RunStart {
        RunStart {
            id: self.id.clone(),
            identity: self.identity.clone(),
            seed: self.seed,
            pipelines: self.entities.iter().map(|spec| spec.pipeline(self.axis)).collect(),
            span: self.span,
            chunk: self.chunk_word().into(),
            started_at: at,
            fence: self.fence.clone(),
        }
    }

    /// Returns the size of the run's windows as a word.
    pub(crate) fn chunk_word(&self) -> &'static str {
        if self.chosen.is_some() { CHOSEN } else { self.chunk.as_str() }
    }
}

/// How a pipeline's result is checked against the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// Counts each range that was read with one `COUNT(*)`, which is one call. Windows that fall short are read again, and fail
    /// if they stay short.
    #[default]
    Count,
    /// Counts only the windows that rest on the evidence of a scan's last response, because a response that is empty or shorter
    /// than requested proves nothing alone. This costs one call as well, over fewer windows.
    None,
}
