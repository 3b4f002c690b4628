//! Contract case: an outdated or diverged copy of a vault is recognised by its token's lineage.

use crate::{LineageCheck, StoreError, TokenFingerprint, TokenLineage};

fn seen(lineage: &str, generation: u64, fingerprint: &str) -> TokenFingerprint {
    TokenFingerprint {
        lineage: lineage.into(),
        generation,
        fingerprint: fingerprint.into(),
        host: format!("host of {fingerprint}").into(),
    }
}

/// A copy of a vault that is behind or has diverged is recognised; the current one goes on.
pub async fn a_second_copy_of_a_consent_is_found(log: &dyn TokenLineage) -> Result<(), StoreError> {
    for newer in [seen("one", 1, "a"), seen("one", 1, "a"), seen("one", 3, "c")] {
        assert_eq!(log.testify(&newer).await?, LineageCheck::Newest);
    }
    assert_eq!(log.testify(&seen("one", 2, "b")).await?, LineageCheck::Behind(seen("one", 3, "c")));
    assert_eq!(log.testify(&seen("one", 3, "x")).await?, LineageCheck::Apart(seen("one", 3, "c")));
    // The current token after fewer refreshes, as in a backup from before a refresh that did not rotate it.
    assert_eq!(log.testify(&seen("one", 2, "c")).await?, LineageCheck::Lagging(seen("one", 3, "c")));
    assert_eq!(log.testify(&seen("one", 2, "b")).await?, LineageCheck::Behind(seen("one", 3, "c")));
    assert_eq!(log.testify(&seen("one", 4, "d")).await?, LineageCheck::Newest);
    // Another vault has a consent of its own.
    assert_eq!(log.testify(&seen("other", 1, "z")).await?, LineageCheck::Newest);
    Ok(())
}
