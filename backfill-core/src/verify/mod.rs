//! Verification: reads everything as a run reads it, and compares it with what is stored.

mod comparing_sink;
mod outcome;
mod request;
mod search;

pub use self::outcome::{Verification, VerifiedPipeline};
pub use self::request::VerifyRequest;

use std::sync::Arc;

use raw_store::{PipelineTotals, Reopen, Store, StoreError, StoreErrorKind};
use tokio_util::sync::CancellationToken;

use self::comparing_sink::ComparingSink;
use self::search::Search;
use crate::catalog::Axis;
use crate::engine::{Engine, RunOutcome};
use crate::error::RunError;
use crate::event::Emitter;
use crate::plan::{Proof, RunRequest};
use crate::store_parts::StoreParts;

impl Engine {
    /// Reads a span as a run would, and compares it with what is stored. The log does not change, and no row does, except that
    /// rows whose records are gone are marked if the request says so.
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
        self.check_company(&request.run).await?;
        let VerifyRequest { run: request, marks_gone } = request;
        let request = RunRequest {
            axis: Axis::Updated,
            proof: Proof::Count,
            reopen: Reopen::All,
            by_content: true,
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
        let request = VerifyRequest { run: engine.as_accepted(request).await?, marks_gone };
        let conclusion = self.conclude(&request, outcome, &comparing, (&events, &stop));
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
            pipelines.push(VerifiedPipeline {
                unread,
                is_unavailable: unavailable > 0,
                open_quarantine: open_quarantine.map_err(RunError::general)?,
                ..found.verified
            });
        }
        Ok(Verification { pipelines, usage: self.client.usage(), failure })
    }

    /// Checks that the stored rows are of this company. A schema that holds nothing yet belongs to none.
    async fn check_company(&self, request: &RunRequest) -> Result<(), RunError> {
        match self.store.tables.identity().await.map_err(RunError::general)? {
            Some(bound) if bound != request.identity => {
                let kind = StoreErrorKind::OtherCompany { bound, asked: request.identity.clone() };
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
