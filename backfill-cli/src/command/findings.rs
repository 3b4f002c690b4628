use backfill_core::{Report, Thresholds};
use raw_store::{StoreError, Validation};
use time::OffsetDateTime;

/// Looks over the rows of a run, keeps what was found, and puts it into the report.
pub(super) async fn look_over(
    report: &mut Report,
    store: &dyn Validation,
    thresholds: &Thresholds,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    report.validated = report.validate(store, thresholds, now).await?;
    for validated in &report.validated {
        tracing::info!(
            phase = "validate",
            entity_name = &*validated.entity_name,
            rows = validated.rows,
            findings = validated.findings.len(),
            "rows looked over"
        );
    }
    store.keep_validated(&report.run.id, &report.validated).await
}

/// Puts into the report what was found when its run ended. Where nobody has looked, as after a run that was killed, somebody
/// does now; what is found is kept where the run has ended and the role may write.
pub(super) async fn recall(
    report: &mut Report,
    store: &dyn Validation,
    thresholds: &Thresholds,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    report.validated = store.validated(&report.run.id).await?;
    if !report.validated.is_empty() {
        return Ok(());
    }
    match report.validate(store, thresholds, now).await {
        Ok(validated) => report.validated = validated,
        // The log is for all to see, the documents are not.
        Err(error) => {
            tracing::info!(phase = "validate", error = error.to_string(), "the rows were not looked over");
            return Ok(());
        }
    }
    if report.run.finished_at.is_some()
        && let Err(error) = store.keep_validated(&report.run.id, &report.validated).await
    {
        tracing::info!(phase = "validate", error = error.to_string(), "what was found is shown and not kept");
    }
    Ok(())
}
