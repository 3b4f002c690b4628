//! What leaves a vault so that a second copy of it can be found.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "shared with the stories about refreshing")]
mod fake;

use std::fs;

use fake::expired;
use qbo_auth::{SealedVault, SecretName, SecretVault, TokenSet, TokenVault};

#[tokio::test]
async fn copies_share_a_line_and_other_vaults_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let vault = SealedVault::init(&at("vault"), &at("key")).unwrap();
    assert_eq!(vault.consent_mark().await.unwrap(), None);
    vault.store(&expired()).await.unwrap();
    let mark = vault.consent_mark().await.unwrap().unwrap();
    fs::copy(at("vault"), at("copy")).unwrap();
    let copy = SealedVault::open(&at("copy"), &at("key")).unwrap();
    assert_eq!(copy.consent_mark().await.unwrap(), Some(mark.clone()));

    copy.store(&TokenSet {
        generation: 9,
        refresh: qbo_auth::RefreshToken::new("false-refresh-9"),
        ..expired()
    })
    .await
    .unwrap();
    let moved = copy.consent_mark().await.unwrap().unwrap();
    assert_eq!((&moved.lineage, moved.generation), (&mark.lineage, 9));
    assert_ne!(moved.fingerprint, mark.fingerprint);

    let other = SealedVault::init(&at("other"), &at("other.key")).unwrap();
    other.store(&expired()).await.unwrap();
    assert_ne!(other.consent_mark().await.unwrap().unwrap().lineage, mark.lineage);

    let rekeyed = vault.rekey(&at("new.key")).await.unwrap();
    assert_eq!(rekeyed.consent_mark().await.unwrap(), Some(mark.clone()));
    rekeyed.set(SecretName::QboRefreshToken, "false-refresh-new".into()).await.unwrap();
    assert_ne!(
        rekeyed.consent_mark().await.unwrap().unwrap().lineage,
        mark.lineage,
        "a new consent is a new line"
    );
    for half in [&mark.lineage, &mark.fingerprint] {
        assert!(half.len() == 32 && !half.contains("false"));
    }
}
