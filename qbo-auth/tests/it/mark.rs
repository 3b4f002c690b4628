//! What leaves a vault so that a second copy of it can be found.

use std::fs;

use qbo_auth::{ClientSecret, SealedVault, SecretName, SecretVault, TokenSet, TokenVault};

use crate::fake::expired;

fn secret() -> ClientSecret {
    ClientSecret::new("false client secret")
}

#[tokio::test]
async fn vaults_that_began_with_one_token_share_a_line_and_others_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let vault = SealedVault::init(&at("vault"), &at("key")).unwrap();
    assert_eq!(vault.consent_mark(&secret()).await.unwrap(), None);
    vault.store(&expired()).await.unwrap();
    let mark = vault.consent_mark(&secret()).await.unwrap().unwrap();
    fs::copy(at("vault"), at("copy")).unwrap();
    let copy = SealedVault::open(&at("copy"), &at("key")).unwrap();
    assert_eq!(copy.consent_mark(&secret()).await.unwrap(), Some(mark.clone()));

    copy.store(&TokenSet {
        generation: 9,
        refresh: qbo_auth::RefreshToken::new("false-refresh-9"),
        ..expired()
    })
    .await
    .unwrap();
    let moved = copy.consent_mark(&secret()).await.unwrap().unwrap();
    assert_eq!((&moved.lineage, moved.generation), (&mark.lineage, 9));
    assert_ne!(moved.fingerprint, mark.fingerprint);

    // Made from the same token, whatever became of the other vault; known only to those who have the app's secret.
    let other = SealedVault::init(&at("other"), &at("other.key")).unwrap();
    other.store(&expired()).await.unwrap();
    assert_eq!(other.consent_mark(&secret()).await.unwrap(), Some(mark.clone()));
    let stranger = other.consent_mark(&ClientSecret::new("another false secret")).await.unwrap().unwrap();
    assert_ne!(stranger.lineage, mark.lineage);
    assert_ne!(stranger.fingerprint, mark.fingerprint);

    let rekeyed = vault.rekey(&at("new.key")).await.unwrap();
    assert_eq!(rekeyed.consent_mark(&secret()).await.unwrap(), Some(mark.clone()));
    rekeyed.set(SecretName::QboRefreshToken, "false-refresh-new".into()).await.unwrap();
    assert_ne!(
        rekeyed.consent_mark(&secret()).await.unwrap().unwrap().lineage,
        mark.lineage,
        "a new consent is a new line"
    );
    for half in [&mark.lineage, &mark.fingerprint] {
        assert!(half.len() == 32 && !half.contains("false"));
    }
}
