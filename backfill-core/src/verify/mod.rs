//! Verification: reads everything as a run reads it, and compares it with what is stored.

mod by_count;
mod comparing_sink;
mod outcome;
mod request;
mod search;

pub use self::outcome::{Verification, VerifiedPipeline, VerifyMethod};
pub use self::request::VerifyRequest;

use std::sync::Arc;

use raw_store::{PipelineTotals, Reopen, Store, StoreError, StoreErrorKind, StoreIdentity};
use tokio_util::sync::CancellationToken;

use self::comparing_sink::ComparingSink;
use self::search::Search;
use crate::catalog::{Axis, EntitySpec};
use crate::engine::{Engine, RunOutcome};
use crate::error::RunError;
use crate::event::Emitter;
use crate::plan::{Proof, RunRequest, Settle};
use crate::store_parts::StoreParts;

impl Engine {
    /// Reads a span as a run would, and compares it with what is stored. The log does not change, and no row does, except that
    /// rows whose records are gone are marked if the request says so. The result is kept in the store.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the verification could not begin. A failure later on is in the result.
    pub async fn verify(
        &self,
        request: impl Into<VerifyRequest>,
        stop: CancellationToken,
    ) -> Result<Verification, RunError> {
        let request = request.into();
        request.run.check().map_err(RunError::general)?;
        self.check_company(&request.run.identity).await?;
        let (id, calls) = (request.run.id.clone(), self.client.usage().calls);
        let verification = match request.method {
            // The reports are compared by `reconcile`, which reads no records.
            VerifyMethod::Compared | VerifyMethod::Report => self.compare(request, &stop).await?,
            VerifyMethod::Count => self.verify_by_count(request, &stop).await?,
        };
        let (calls, now) = (verification.usage.calls - calls, self.clock.now_utc());
        let records: Vec<_> = verification.pipelines.iter().map(|one| one.record(&id, calls, now)).collect();
        self.store.verifications.keep_verifications(&records).await.map_err(RunError::general)?;
        Ok(verification)
    }

    /// Counts each pipeline, and compares the records of the windows whose numbers differ. If these records do not explain the
    /// difference, a count was wrong, and all records of the pipeline are compared.
    async fn verify_by_count(
        &self,
        request: VerifyRequest,
        stop: &CancellationToken,
    ) -> Result<Verification, RunError> {
        let request = VerifyRequest { run: self.as_accepted(request.run).await?, ..request };
        let events = self.events(&request.run.id);
        let mut pipelines = Vec::new();
        for spec in &request.run.entities {
            let counting = by_count::count(self, &request.run, spec, stop);
            let counted = match events.relaying(&*self.client, counting).await {
                Ok(counted) => counted,
                Err(failure) => return Ok(self.verification(pipelines, Some(failure))),
            };
            let mut found = counted.confirmed.clone();
            let mut failure = None;
            if !counted.differing.is_empty() {
                let compared = self.compare(request.only(spec, counted.differing.clone()), stop).await?;
                failure = compared.failure;
                found = found.with_compared(compared.pipelines);
                if failure.is_none() && !counted.is_explained_by(&found) {
                    let windows = request.run.windows(spec).map_err(RunError::general)?;
                    let compared = self.compare(request.only(spec, windows), stop).await?;
                    let marked = VerifiedPipeline {
                        gone: found.marked,
                        marked: found.marked,
                        ..VerifiedPipeline::new(spec, request.run.span)
                    };
                    failure = compared.failure;
                    found = marked.with_compared(compared.pipelines);
                }
            }
            let pipeline = [spec.pipeline(Axis::Updated)];
            let open = self.store.quarantine.open_quarantine(&pipeline, Some(request.run.span)).await;
            found.open_quarantine = open.map_err(RunError::general)?;
            pipelines.push(found);
            if failure.is_some() {
                return Ok(self.verification(pipelines, failure));
            }
        }
        Ok(self.verification(pipelines, None))
    }

    fn verification(&self, pipelines: Vec<VerifiedPipeline>, failure: Option<RunError>) -> Verification {
        Verification { pipelines, usage: self.client.usage(), failure }
    }

    /// Reads the windows of a request as a run does, and compares each record with its row.
    async fn compare(
        &self,
        request: VerifyRequest,
        stop: &CancellationToken,
    ) -> Result<Verification, RunError> {
        let VerifyRequest { run: request, marks_gone, method } = request;
        let request = RunRequest {
            axis: Axis::Updated,
            proof: Proof::Count,
            reopen: Reopen::All,
            by_content: true,
            // The rows are compared as they are now.
            settle: Settle::Never,
            ..self.as_accepted(request).await?
        };
        let events = self.events(&request.id);
        let rows = Arc::clone(&self.store.rows);
        let comparing = Arc::new(ComparingSink::new(Arc::clone(&rows), events.clone(), &request));
        let log: Arc<dyn Store> = comparing.log();
        let engine = Self {
            client: Arc::clone(&self.client),
            store: StoreParts { pages: comparing.clone(), rows, ..log.into() },
            clock: Arc::clone(&self.clock),
            sink: Arc::clone(&self.sink),
            // A verification commits nothing.
            keeps_heads: false,
        };
        let outcome = engine.run(request.clone(), stop.clone()).await?;
        // What QuickBooks refused meanwhile, the verification's own log knows.
        let request = VerifyRequest { run: engine.as_accepted(request).await?, marks_gone, method };
        let conclusion = self.conclude(&request, outcome, &comparing, (&events, stop));
        events.relaying(&*self.client, conclusion).await
    }

    /// Searches for the rows that were not met, and puts the results together.
    async fn conclude(
        &self,
        asked: &VerifyRequest,
        outcome: RunOutcome,
        comparing: &ComparingSink,
        (events, stop): (&Emitter, &CancellationToken),
    ) -> Result<Verification, RunError> {
        let request = &asked.run;
        let mut failure = outcome.failure;
        let mut pipelines = Vec::new();
        for spec in &request.entities {
            let Some(mut found) = comparing.take(spec) else { continue };
            if found.has_unreadable() {
                let known = self
                    .store
                    .quarantine
                    .quarantined(Some(spec.entity_name()))
                    .await
                    .map_err(RunError::general)?;
                found.know_unreadable(events, known, &spec.pipeline(Axis::Updated).time_axis);
            }
            let totals = outcome.record.pipelines.iter().find(|one| *one.entity_name == *spec.entity_name());
            let (unread, unavailable) =
                totals.map_or((0, 0), |totals| (totals.windows_failed, windows_without_entity(totals)));
            if failure.is_none() && unread == 0 && unavailable == 0 {
                let search = Search::new((self, spec), asked, events, stop);
                failure = search.account_for_unmet(&mut found).await.err();
                found.verified.looked_for_gone = failure.is_none();
            }
            let windows = request.windows(spec).map_err(RunError::general)?;
            let read = comparing.read(spec).await.map_err(RunError::general)?;
            found.bridge(&windows, &read, spec.page_size(request.page_size).get().into());
            let pipeline = [spec.pipeline(request.axis)];
            let open_quarantine = self.store.quarantine.open_quarantine(&pipeline, Some(request.span)).await;
            if unavailable > 0 {
                // Stored rows of an entity that QuickBooks denies now are rows that nothing was compared with.
                found.verified.unknown += self.rows_within(spec, request).await?;
            }
            pipelines.push(VerifiedPipeline {
                unread,
                is_unavailable: unavailable > 0,
                open_quarantine: open_quarantine.map_err(RunError::general)?,
                ..found.verified
            });
        }
        Ok(self.verification(pipelines, failure))
    }

    /// Counts the stored rows of an entity within the span of a request.
    async fn rows_within(&self, spec: &EntitySpec, request: &RunRequest) -> Result<u64, RunError> {
        let pipeline = spec.pipeline(request.axis);
        if spec.is_snapshot() {
            return self.store.tables.count_rows(&pipeline).await.map_err(RunError::general);
        }
        let rows = self.store.rows.count_live(&pipeline, &[request.span]).await;
        Ok(rows.map_err(RunError::general)?.into_iter().sum())
    }

    /// Checks that the stored rows are of this company. A schema that holds nothing yet belongs to none.
    pub(crate) async fn check_company(&self, identity: &StoreIdentity) -> Result<(), RunError> {
        match self.store.tables.identity().await.map_err(RunError::general)? {
            Some(bound) if bound != *identity => {
                let kind = StoreErrorKind::OtherCompany { bound, asked: identity.clone() };
                Err(RunError::general(StoreError::new("comparing with what is stored", kind)))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the number of windows that the company has no entity for. Windows that stay behind because the entity was read as a
/// whole are none.
fn windows_without_entity(totals: &PipelineTotals) -> u64 {
    let is_read = totals.windows_completed + totals.windows_provisional > 0;
    if is_read { 0 } else { totals.windows_unavailable }
}
