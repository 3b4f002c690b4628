//! Contract cases: the results of verifications are kept.

use super::scene::{Scene, day, noon};
use crate::{Store, StoreError, VerificationRecord, VerifyMethod, VerifyResult};

/// The newest result of each pipeline and method is returned, and repeating one adds nothing.
pub async fn verifications_are_remembered(store: &dyn Store) -> Result<(), StoreError> {
    Scene::begin(store).await?;
    assert_eq!(store.last_verifications().await?, []);
    let record = |id: &str, entity: &str, method, at: i64| VerificationRecord {
        id: id.parse().unwrap(),
        entity_name: entity.into(),
        method,
        span: day(at),
        result: VerifyResult::Confirmed,
        counted: 1,
        same: 2,
        missing: 3,
        changed: 4,
        gone: 5,
        marked: 6,
        calls: 7,
        at: noon(at),
    };
    let first = [
        record("one", "invoices", VerifyMethod::Compared, 1),
        record("one", "bills", VerifyMethod::Compared, 1),
    ];
    store.keep_verifications(&first).await?;
    store.keep_verifications(&first).await?;
    let counted = VerificationRecord {
        result: VerifyResult::Differs,
        ..record("two", "invoices", VerifyMethod::Count, 2)
    };
    let newer = VerificationRecord {
        result: VerifyResult::Incomplete,
        ..record("three", "invoices", VerifyMethod::Compared, 3)
    };
    store.keep_verifications(std::slice::from_ref(&counted)).await?;
    store.keep_verifications(std::slice::from_ref(&newer)).await?;
    assert_eq!(store.last_verifications().await?, [first[1].clone(), newer, counted]);
    Ok(())
}
