//! Contract cases: one process owns a pipeline at a time, and a lost lease commits nothing.

use super::scene::{Scene, company, counts, day, noon, pipeline, row};
use crate::{
    LogFilter, Reopen, Store, StoreError, StoreErrorKind, StoreIdentity, WindowFailure, WindowUpdate,
};

/// Of two processes one owns a pipeline; the other can acquire it once it is released. `other` is the same store as another
/// process sees it.
pub async fn a_pipeline_has_one_owner(store: &dyn Store, other: &dyn Store) -> Result<(), StoreError> {
    let first = store.acquire(&pipeline(), "process 1").await?;
    let error = other.acquire(&pipeline(), "process 2").await.unwrap_err();
    assert!(
        matches!(&error.kind, StoreErrorKind::LeaseHeld { entity_name, holder, .. } if **entity_name == *"invoices" && **holder == *"process 1"),
        "{error}",
    );
    let twice = store.acquire(&pipeline(), "process 1, another task").await.unwrap_err();
    assert!(
        matches!(&twice.kind, StoreErrorKind::LeaseHeld { holder, .. } if **holder == *"process 1"),
        "{twice}"
    );
    store.release(&first).await?;
    let again = store.acquire(&pipeline(), "process 1").await?;
    assert!(again.epoch > first.epoch, "a new owner");
    store.release(&first).await?;
    assert!(
        other.acquire(&pipeline(), "process 2").await.is_err(),
        "an owner of the past gives nothing back"
    );
    store.release(&again).await?;
    assert!(other.acquire(&pipeline(), "process 2").await?.epoch > again.epoch);
    Ok(())
}

/// A process that lost its pipeline commits nothing, whatever it believes.
pub async fn a_lease_that_was_taken_over_commits_nothing(
    store: &dyn Store,
    other: &dyn Store,
) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    store.release(&scene.lease).await?;
    let taken = other.acquire(&scene.pipeline, "process 2").await?;
    let mut page = scene.page(vec![row("1", r#"{"Id":"1"}"#, noon(0))]);
    let error = store.commit_page(&page).await.unwrap_err();
    assert!(matches!(&error.kind, StoreErrorKind::LeaseLost(name) if **name == *"invoices"), "{error}");
    assert_eq!(store.count_rows(&scene.pipeline).await?, 0);
    page.lease = taken;
    assert_eq!(other.commit_page(&page).await?.total, counts(1, 0, 0, 0));
    Ok(())
}

/// A process that sent no heartbeat for as long as a lease lasts can be overtaken; when it wakes up, it changes neither rows
/// nor the log. `run_out` makes the leases of `store` run out.
pub async fn a_process_that_wakes_up_after_its_time_changes_nothing(
    store: &dyn Store,
    other: &dyn Store,
    run_out: impl AsyncFnOnce(),
) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.land(vec![row("1", r#"{"Id":"1"}"#, noon(0))]).await?;
    assert!(other.acquire(&scene.pipeline, "process 2").await.is_err());
    run_out().await;
    let taken = other.acquire(&scene.pipeline, "process 2").await?;
    assert_eq!(taken.epoch, scene.lease.epoch + 1);

    let lines = store.lines(&LogFilter::default()).await?;
    let totals = store.runs(9).await?.remove(0).pipelines;
    let page = scene.page(vec![row("2", r#"{"Id":"2"}"#, noon(0))]);
    let (owner, days) = (scene.owner(), [day(0)]);
    let reason = WindowFailure { message: "the source refused".into(), error_code: None, at: noon(20) };
    let refused = [
        store.commit_page(&page).await.map(drop),
        store.open_windows(owner, &[day(20)], Reopen::All).await.map(drop),
        store.update_windows(owner, &days, WindowUpdate::Reopen).await,
        store.update_windows(owner, &days, WindowUpdate::Failed(&reason)).await,
        store.update_windows(owner, &days, WindowUpdate::Unavailable(&reason)).await,
        store.resolve_quarantine(owner).await.map(drop),
    ];
    for (at, result) in refused.into_iter().enumerate() {
        let error = result.unwrap_err();
        assert!(
            matches!(&error.kind, StoreErrorKind::LeaseLost(name) if **name == *"invoices"),
            "{at}: {error}"
        );
    }
    assert_eq!(store.lines(&LogFilter::default()).await?, lines);
    assert_eq!(store.runs(9).await?.remove(0).pipelines, totals);
    assert_eq!(store.count_rows(&scene.pipeline).await?, 1);
    store.release(&scene.lease).await?;
    assert!(
        store.acquire(&scene.pipeline, "process 1").await.is_err(),
        "a lease of the past gives nothing back"
    );
    Ok(())
}

/// A schema is bound to the first company, permanently.
pub async fn a_schema_holds_one_company(store: &dyn Store) -> Result<(), StoreError> {
    assert_eq!(store.identity().await?, None);
    store.bind(&company()).await?;
    store.bind(&company()).await?;
    assert_eq!(store.identity().await?, Some(company()));
    for other in [
        StoreIdentity { realm_id: "1000000000000002".into(), ..company() },
        StoreIdentity { environment: "production".into(), ..company() },
    ] {
        let error = store.bind(&other).await.unwrap_err();
        assert!(
            matches!(&error.kind, StoreErrorKind::OtherCompany { bound, asked } if *bound == company() && *asked == other),
            "{error}",
        );
    }
    Ok(())
}
