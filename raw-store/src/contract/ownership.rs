use super::scene::{Scene, company, counts, noon, pipeline, row};
use crate::{Store, StoreError, StoreErrorKind, StoreIdentity};

/// Of two processes one owns a pipeline; the other may have it when it is given back. `other` is the same store
/// as another process sees it.
pub async fn a_pipeline_has_one_owner(store: &dyn Store, other: &dyn Store) -> Result<(), StoreError> {
    let first = store.acquire(&pipeline(), "process 1").await?;
    let error = other.acquire(&pipeline(), "process 2").await.unwrap_err();
    assert!(
        matches!(&error.kind, StoreErrorKind::LeaseHeld { entity_name, holder } if **entity_name == *"invoices" && **holder == *"process 1"),
        "{error}",
    );
    let again = store.acquire(&pipeline(), "process 1").await?;
    assert!(again.epoch > first.epoch, "the same process may take it again, as a new owner");
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

/// A schema is bound to the first company, for good.
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
