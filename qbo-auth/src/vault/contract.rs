//! What every vault must do, as functions that test a fresh and empty one.
//!
//! The vault must wait on a [`crate::ManualClock::auto`], otherwise the deadline of a held lock is waited for in real time.
//! Each function panics where the contract is broken.

use std::time::Duration;

use secrecy::ExposeSecret;
use time::OffsetDateTime;

use super::{SecretName, SecretVault, TokenSet, TokenVault, VaultErrorKind};
use crate::oauth::TokenAnswer;
use crate::secret::{AccessToken, RefreshToken};

const NOW: OffsetDateTime = time::macros::datetime!(2026-01-01 00:00 UTC);

/// A set with every field filled.
fn full_set() -> TokenSet {
    let first = TokenSet::from_consent(RefreshToken::new("false-refresh-one"), 1, NOW);
    let mut answer = TokenAnswer::new(AccessToken::new("false-access-one"), Duration::from_secs(3_600));
    answer.refresh = Some(RefreshToken::new("false-refresh-two"));
    answer.refresh_expires_in = Some(Duration::from_secs(8_640_000));
    answer.refresh_hard_expires_in = Some(Duration::from_secs(144_000_000));
    first.rotated(&first.refresh, &answer, NOW)
}

/// An empty vault loads nothing, and later the last stored set is loaded.
///
/// # Panics
///
/// If the contract is broken.
pub async fn the_last_store_is_what_is_loaded(vault: &dyn TokenVault) {
    assert_eq!(vault.load().await.expect("load"), None);
    let _lock = vault.lock().await.expect("lock");
    let second = full_set();
    let third = second.rotated(
        &second.refresh,
        &TokenAnswer::new(AccessToken::new("false-access-two"), Duration::from_secs(3_600)),
        NOW,
    );
    for tokens in [second, third] {
        vault.store(&tokens).await.expect("store");
        assert_eq!(vault.load().await.expect("load"), Some(tokens));
    }
}

/// Even if the lock was lost, a newer set stays, and so does a different one of the same generation.
///
/// # Panics
///
/// If the contract is broken.
pub async fn a_newer_set_is_never_overwritten(vault: &dyn TokenVault) {
    let _lock = vault.lock().await.expect("lock");
    let newest = TokenSet { generation: 7, ..full_set() };
    vault.store(&newest).await.expect("store");
    let apart = TokenSet { refresh: RefreshToken::new("false-refresh-apart"), ..newest.clone() };
    let older = TokenSet { generation: 6, ..newest.clone() };
    for overtaken in [&apart, &older] {
        for refused in [vault.store(overtaken).await, vault.begin(overtaken, &[]).await] {
            assert_eq!(refused.expect_err("it is overtaken").kind(), VaultErrorKind::Overtaken);
        }
        assert_eq!(vault.load().await.expect("load").as_ref(), Some(&newest));
    }
    // A note does not change the order.
    let noted = newest.intending(NOW);
    vault.store(&noted).await.expect("store the same token again");
    assert_eq!(vault.load().await.expect("load"), Some(noted));
}

/// A lineage that once began here is known for ever, and the values that belong to it are kept with it.
///
/// # Panics
///
/// If the contract is broken.
pub async fn a_line_is_remembered_with_what_it_is_for<V: TokenVault + SecretVault>(vault: &V) {
    let first = TokenSet::from_consent(RefreshToken::new("false-refresh-first"), 1, NOW);
    let second = TokenSet::from_consent(RefreshToken::new("false-refresh-second"), 2, NOW);
    for (tokens, realm) in [(&first, "1000000000000001"), (&second, "1000000000000002")] {
        let line = tokens.refresh.fingerprint();
        assert!(!vault.has_begun(&line).await.expect("look"));
        let lock = vault.lock().await.expect("lock");
        vault.begin(tokens, &[(SecretName::QboRealmId, realm)]).await.expect("begin");
        drop(lock);
        assert!(vault.has_begun(&line).await.expect("look"));
    }
    // A value that was stored before stays.
    let realm = vault.get(SecretName::QboRealmId).await.expect("get").expect("is there");
    assert_eq!(realm.expose_secret(), "1000000000000001");
    assert!(vault.remove(SecretName::QboRefreshToken).await.expect("remove"));
    assert!(vault.has_begun(&first.refresh.fingerprint()).await.expect("look"));
}

/// While one guard lives, another caller is refused at the deadline; then the next one succeeds.
///
/// # Panics
///
/// If the contract is broken.
pub async fn a_lock_excludes_until_it_is_dropped(vault: &dyn TokenVault) {
    let lock = vault.lock().await.expect("lock");
    let refused = vault.lock().await.expect_err("a second lock");
    assert_eq!(refused.kind(), VaultErrorKind::Busy);
    assert_eq!(vault.load().await.expect("loading needs no lock"), None);
    drop(lock);
    drop(vault.lock().await.expect("lock after unlock"));
}

/// A secret can be set, replaced, listed without its value, and removed.
///
/// # Panics
///
/// If the contract is broken.
pub async fn a_secret_is_kept_until_it_is_removed(vault: &dyn SecretVault) {
    let names = async || -> Vec<SecretName> {
        vault.list().await.expect("list").into_iter().map(|info| info.name).collect()
    };
    assert_eq!(names().await, []);
    for name in SecretName::ALL {
        assert!(vault.get(name).await.expect("get").is_none());
        vault.set(name, "false-value-one".into()).await.expect("set");
        vault.set(name, name.as_str().into()).await.expect("replace");
    }
    assert_eq!(names().await, SecretName::ALL);
    for name in SecretName::ALL {
        let value = vault.get(name).await.expect("get").expect("was set");
        assert_eq!(value.expose_secret(), name.as_str());
        assert!(vault.remove(name).await.expect("remove"));
        assert!(!vault.remove(name).await.expect("remove again"));
    }
    assert_eq!(names().await, []);
}

/// A secret that could not be read again is refused before anything changes.
///
/// # Panics
///
/// If the contract is broken.
pub async fn a_secret_that_is_too_long_changes_nothing<V: TokenVault + SecretVault>(vault: &V) {
    let lock = vault.lock().await.expect("lock");
    vault.store(&full_set()).await.expect("store");
    drop(lock);
    let longest = "x".repeat(16 * 1024);
    for name in SecretName::ALL.into_iter().filter(|name| *name != SecretName::QboRefreshToken) {
        vault.set(name, longest.as_str().into()).await.expect("the longest secret");
    }
    for length in [longest.len() + 1, 1_500_000] {
        for name in SecretName::ALL {
            let refused = vault.set(name, "y".repeat(length).into()).await.expect_err("it is too long");
            assert_eq!(refused.kind(), VaultErrorKind::TooLarge);
        }
    }
    assert_eq!(vault.load().await.expect("load"), Some(full_set()));
    let kept = vault.get(SecretName::PgPassword).await.expect("get").expect("is there");
    assert_eq!(kept.expose_secret(), longest);
}

/// `QBO_REFRESH_TOKEN` is the token set under another name.
///
/// # Panics
///
/// If the contract is broken.
pub async fn the_refresh_token_secret_is_the_token_set<V: TokenVault + SecretVault>(vault: &V) {
    let rotated = full_set();
    let lock = vault.lock().await.expect("lock");
    vault.store(&rotated).await.expect("store");
    drop(lock);
    let value = vault.get(SecretName::QboRefreshToken).await.expect("get").expect("is there");
    assert_eq!(value.expose_secret(), rotated.refresh.expose());
    let listed = vault.list().await.expect("list");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].changed_at, rotated.refreshed_at);
    assert_eq!(listed[0].fingerprint, Some(rotated.refresh.fingerprint()));

    vault.set(SecretName::QboRefreshToken, "false-refresh-new".into()).await.expect("set");
    let replaced = vault.load().await.expect("load").expect("is there");
    assert_eq!(replaced.refresh.expose(), "false-refresh-new");
    assert_eq!(replaced.generation, rotated.generation + 1);
    assert_eq!((replaced.access, replaced.previous), (None, None));
    assert_eq!(replaced.bootstrap, Some(replaced.refresh.fingerprint()));

    assert!(vault.remove(SecretName::QboRefreshToken).await.expect("remove"));
    vault.set(SecretName::QboRefreshToken, "false-refresh-new".into()).await.expect("set again");
    let again = vault.load().await.expect("load").expect("is there");
    assert!(again.generation > replaced.generation, "a generation is never used twice");
}
