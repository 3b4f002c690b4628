//! Vaults: the contract over every implementation, and what only a file can do wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use qbo_auth::{
    AccessToken, ExposeSecret, ManualClock, MemoryVault, RefreshToken, SealedVault, SecretName, SecretVault,
    TokenAnswer, TokenSet, TokenVault, VaultErrorKind, adopt_bootstrap, adopt_consent, contract,
};
use time::OffsetDateTime;

const NOW: OffsetDateTime = time::macros::datetime!(2026-01-01 00:00 UTC);

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn vault(&self) -> PathBuf {
        self.0.path().join("vaults/company.vault")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("keys/company.key")
    }

    fn init(&self) -> SealedVault {
        SealedVault::init(&self.vault(), &self.key()).unwrap().with_clock(clock())
    }

    fn open(&self) -> Result<SealedVault, VaultErrorKind> {
        SealedVault::open(&self.vault(), &self.key())
            .map(|vault| vault.with_clock(clock()))
            .map_err(|error| error.kind())
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::auto(NOW))
}

fn token_set(generation: u64) -> TokenSet {
    let first = TokenSet::from_consent(RefreshToken::new("false-refresh-one"), generation - 1, NOW);
    let mut answer = TokenAnswer::new(AccessToken::new("false-access-one"), Duration::from_secs(3600));
    answer.refresh = Some(RefreshToken::new("false-refresh-two"));
    first.rotated(&first.refresh, &answer, NOW)
}

macro_rules! over_every_vault {
    ($($name:ident),+) => {$(
        #[tokio::test]
        async fn $name() {
            contract::$name(&MemoryVault::new(clock())).await;
            let folder = Folder::new();
            contract::$name(&folder.init()).await;
        }
    )+};
}

over_every_vault!(
    the_last_store_is_what_is_loaded,
    a_newer_set_is_never_overwritten,
    a_line_is_remembered_with_what_it_is_for,
    a_lock_excludes_until_it_is_dropped,
    a_secret_is_kept_until_it_is_removed,
    a_secret_that_is_too_long_changes_nothing,
    the_refresh_token_secret_is_the_token_set
);

#[tokio::test]
async fn two_instances_on_one_file_exclude_each_other_and_see_each_others_stores() {
    let folder = Folder::new();
    let one = folder.init();
    let other = folder.open().unwrap();
    let lock = one.lock().await.unwrap();
    assert_eq!(other.lock().await.unwrap_err().kind(), VaultErrorKind::Busy);
    assert_eq!(
        other.set(SecretName::PgHost, "localhost".into()).await.unwrap_err().kind(),
        VaultErrorKind::Busy
    );
    one.store(&token_set(2)).await.unwrap();
    drop(lock);
    let _lock = other.lock().await.unwrap();
    assert_eq!(other.load().await.unwrap(), Some(token_set(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_of_secrets_through_two_instances_all_survive() {
    let folder = Folder::new();
    let one = SealedVault::init(&folder.vault(), &folder.key()).unwrap();
    let other = SealedVault::open(&folder.vault(), &folder.key()).unwrap();
    let tasks: Vec<_> = SecretName::ALL
        .into_iter()
        .enumerate()
        .map(|(index, name)| {
            let vault = if index % 2 == 0 { one.clone() } else { other.clone() };
            tokio::spawn(async move { vault.set(name, name.as_str().into()).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(one.list().await.unwrap().len(), SecretName::ALL.len());
}

#[tokio::test]
async fn every_flip_of_a_byte_of_the_vault_is_refused() {
    let folder = Folder::new();
    let vault = folder.init();
    vault.store(&token_set(2)).await.unwrap();
    let whole = fs::read(folder.vault()).unwrap();
    for at in 0..whole.len() {
        for flip in [0x01, 0x80] {
            let mut broken = whole.clone();
            broken[at] ^= flip;
            fs::write(folder.vault(), &broken).unwrap();
            let refused = folder.open().unwrap_err();
            assert!(
                matches!(refused, VaultErrorKind::Undecipherable | VaultErrorKind::NewerVersion),
                "byte {at} ^ {flip:#x}: {refused:?}"
            );
        }
    }
    for length in [0, 1, 20, 21, 44, 45, whole.len() - 1] {
        fs::write(folder.vault(), &whole[..length]).unwrap();
        assert_eq!(folder.open().unwrap_err(), VaultErrorKind::Undecipherable, "{length} bytes");
    }
    fs::write(folder.vault(), &whole).unwrap();
    assert!(folder.open().is_ok());
}

#[tokio::test]
async fn nothing_readable_of_a_secret_is_in_the_file() {
    let folder = Folder::new();
    let vault = folder.init();
    vault.store(&token_set(2)).await.unwrap();
    vault.set(SecretName::PgPassword, "false-password".into()).await.unwrap();
    let bytes = fs::read(folder.vault()).unwrap();
    for needle in ["false-refresh", "false-password", "QBO_", "PG_"] {
        assert!(!bytes.windows(needle.len()).any(|window| window == needle.as_bytes()), "{needle}");
    }
}

#[tokio::test]
async fn a_damaged_vault_is_put_back_as_it_was_before_its_last_change() {
    let folder = Folder::new();
    let vault = folder.init();
    vault.store(&token_set(2)).await.unwrap();
    vault.set(SecretName::PgHost, "false-host".into()).await.unwrap();
    fs::write(folder.vault(), "half of it").unwrap();
    assert!(SealedVault::restore(&folder.vault(), &Folder::new().key()).await.unwrap().is_none());
    assert_eq!(folder.open().unwrap_err(), VaultErrorKind::Undecipherable);
    let restored = SealedVault::restore(&folder.vault(), &folder.key()).await.unwrap().unwrap();
    assert_eq!(restored.load().await.unwrap(), Some(token_set(2)));
    assert!(restored.get(SecretName::PgHost).await.unwrap().is_none());
    assert!(folder.open().is_ok());
    let damaged = folder.vault().with_file_name("company.vault.damaged");
    assert_eq!(fs::read(&damaged).unwrap(), b"half of it");
    // What is forgotten is forgotten everywhere.
    restored.remove(SecretName::QboRefreshToken).await.unwrap();
    assert!(!damaged.exists());
}

#[tokio::test]
async fn a_revoked_token_is_forgotten_and_a_newer_one_stays() {
    let folder = Folder::new();
    let vault = folder.init();
    vault.store(&token_set(2)).await.unwrap();
    let _lock = vault.lock().await.unwrap();
    assert!(!vault.forget_revoked(&RefreshToken::new("false-refresh-one")).await.unwrap());
    assert_eq!(vault.load().await.unwrap(), Some(token_set(2)));
    assert!(vault.forget_revoked(&token_set(2).refresh).await.unwrap());
    assert_eq!(vault.load().await.unwrap(), None);
    assert!(!folder.vault().with_file_name("company.vault.1").exists());
}

#[tokio::test]
async fn a_password_has_no_fingerprint_in_the_list() {
    let vault = MemoryVault::new(clock());
    for name in SecretName::ALL {
        vault.set(name, "false-value".into()).await.unwrap();
    }
    for info in vault.list().await.unwrap() {
        assert_eq!(info.fingerprint.is_none(), info.name == SecretName::PgPassword);
        assert_eq!(info.changed_at, NOW);
    }
}

#[test]
fn init_never_replaces_a_vault_or_a_key() {
    let folder = Folder::new();
    drop(folder.init());
    let before = (fs::read(folder.vault()).unwrap(), fs::read(folder.key()).unwrap());
    let check = |path: &Path, key: &Path| {
        assert_eq!(SealedVault::init(path, key).unwrap_err().kind(), VaultErrorKind::AlreadyExists);
    };
    let elsewhere = folder.0.path().join("elsewhere");
    check(&folder.vault(), &folder.key());
    check(&folder.vault(), &elsewhere);
    check(&elsewhere, &folder.key());
    assert!(!elsewhere.exists());
    assert_eq!(before, (fs::read(folder.vault()).unwrap(), fs::read(folder.key()).unwrap()));
}

#[test]
fn missing_and_foreign_keys_and_vaults_are_told_apart() {
    let folder = Folder::new();
    assert_eq!(folder.open().unwrap_err(), VaultErrorKind::Missing);
    drop(folder.init());
    let other = Folder::new();
    drop(other.init());
    let open = |vault: &Path, key: &Path| SealedVault::open(vault, key).unwrap_err();
    assert_eq!(open(&folder.vault(), &other.key()).kind(), VaultErrorKind::Undecipherable);
    assert_eq!(open(&folder.vault(), &folder.vault()).kind(), VaultErrorKind::BadKey);
    fs::remove_file(folder.vault()).unwrap();
    let missing = open(&folder.vault(), &folder.key());
    assert_eq!(missing.kind(), VaultErrorKind::Missing);
    assert!(!folder.vault().exists(), "a missing vault is never made anew by opening it");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn files_and_folders_are_made_for_their_owner_alone() {
        let folder = Folder::new();
        let vault = folder.init();
        vault.store(&token_set(2)).await.unwrap();
        drop(vault.lock().await.unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        let lock = folder.vault().with_file_name("company.vault.lock");
        for file in [folder.vault(), folder.key(), lock] {
            assert_eq!(mode(&file), 0o600, "{file:?}");
            assert_eq!(mode(file.parent().unwrap()), 0o700, "{file:?}");
        }
    }

    #[tokio::test]
    async fn files_open_to_others_are_refused_also_after_opening() {
        let folder = Folder::new();
        let vault = folder.init();
        for path in [folder.vault(), folder.key()] {
            for mode in [0o640, 0o604, 0o620, 0o660, 0o644] {
                set_mode(&path, mode);
                let refused = SealedVault::open(&folder.vault(), &folder.key()).unwrap_err();
                assert_eq!(refused.kind(), VaultErrorKind::Exposed, "{mode:o}");
                assert_eq!(refused.path(), Some(path.as_path()));
            }
            set_mode(&path, 0o600);
        }
        set_mode(&folder.vault(), 0o640);
        assert_eq!(vault.load().await.unwrap_err().kind(), VaultErrorKind::Exposed);
    }

    #[test]
    fn links_folders_and_files_of_other_users_are_refused() {
        let folder = Folder::new();
        drop(folder.init());
        let link = folder.0.path().join("link");
        symlink(folder.vault(), &link).unwrap();
        let open = |vault: &Path| SealedVault::open(vault, &folder.key()).unwrap_err().kind();
        assert_eq!(open(&link), VaultErrorKind::NotAFile);
        assert_eq!(open(folder.0.path()), VaultErrorKind::NotAFile);
        // Only root can give a file away; for anybody else there is nothing to test.
        if chown(folder.vault(), Some(12_345), None).is_ok() {
            assert_eq!(open(&folder.vault()), VaultErrorKind::ForeignOwner);
        }
    }

    #[tokio::test]
    async fn a_link_is_not_locked_in_place_of_the_lock_file() {
        let folder = Folder::new();
        let vault = folder.init();
        let elsewhere = folder.0.path().join("elsewhere");
        fs::write(&elsewhere, "").unwrap();
        symlink(&elsewhere, folder.vault().with_file_name("company.vault.lock")).unwrap();
        assert!(vault.lock().await.is_err());
    }

    #[tokio::test]
    async fn what_a_killed_writer_left_is_removed_under_the_next_lock() {
        let folder = Folder::new();
        let vault = folder.init();
        let leftover = folder.vault().with_file_name(".company.vault.new-false");
        fs::write(&leftover, "half").unwrap();
        drop(vault.lock().await.unwrap());
        assert!(!leftover.exists());
        assert_eq!(
            fs::read_dir(folder.vault().parent().unwrap()).unwrap().count(),
            3,
            "vault, lock and spare"
        );
    }
}

#[tokio::test]
async fn a_lock_is_refused_where_a_store_would_fail() {
    let folder = Folder::new();
    let vault = folder.init();
    drop(vault.lock().await.unwrap());
    fs::remove_file(folder.vault()).unwrap();
    assert_eq!(vault.lock().await.unwrap_err().kind(), VaultErrorKind::Missing);
    assert!(vault.store(&token_set(2)).await.is_err());
    assert!(!folder.vault().exists());
}

#[tokio::test]
async fn a_supplied_token_yields_to_what_was_rotated_from_it_and_starts_anew_otherwise() {
    let folder = Folder::new();
    for vault in [&MemoryVault::new(clock()) as &dyn TokenVault, &folder.init()] {
        let supplied = || RefreshToken::new("false-refresh-one");
        let started = adopt_bootstrap(vault, supplied(), &[], NOW).await.unwrap();
        assert_eq!((started.generation, &started.refresh), (1, &supplied()));

        vault.store(&token_set(2)).await.unwrap();
        assert_eq!(adopt_bootstrap(vault, supplied(), &[], NOW).await.unwrap(), token_set(2));

        let new = adopt_bootstrap(vault, RefreshToken::new("false-refresh-new"), &[], NOW).await.unwrap();
        assert_eq!((new.generation, new.refresh.expose()), (3, "false-refresh-new"));
        assert_eq!(new.access, None);
        // It may be the older of the two: what it displaces is tried if it is refused.
        assert_eq!(new.previous, Some(token_set(2).refresh));
        assert_eq!(vault.load().await.unwrap().unwrap().generation, 3);
        // What it displaced is known to be older from now on.
        assert_eq!(adopt_bootstrap(vault, supplied(), &[], NOW).await.unwrap(), new);
    }
}

#[tokio::test]
async fn a_known_token_is_adopted_without_the_lock() {
    let vault = MemoryVault::new(clock());
    vault.store(&token_set(2)).await.unwrap();
    let _frozen = vault.lock().await.unwrap();
    let supplied = RefreshToken::new("false-refresh-one");
    assert_eq!(adopt_bootstrap(&vault, supplied, &[], NOW).await.unwrap(), token_set(2));
    let unknown = RefreshToken::new("false-refresh-new");
    assert_eq!(
        adopt_bootstrap(&vault, unknown, &[], NOW).await.unwrap_err().advice(),
        qbo_auth::Advice::VaultBusy
    );
}

#[tokio::test]
async fn an_orchestrators_old_token_does_not_displace_a_login() {
    let vault = MemoryVault::new(clock());
    let supplied = || RefreshToken::new("false-refresh-handed-over");
    adopt_bootstrap(&vault, supplied(), &[], NOW).await.unwrap();
    let mut answer = TokenAnswer::new(AccessToken::new("false-access"), Duration::from_secs(3600));
    assert!(adopt_consent(&vault, &answer, &[(SecretName::QboRealmId, "1")], NOW).await.is_err());
    assert!(vault.get(SecretName::QboRealmId).await.unwrap().is_none(), "nothing of a failed login is kept");
    answer.refresh = Some(RefreshToken::new("false-refresh-of-the-login"));
    let login = adopt_consent(&vault, &answer, &[(SecretName::QboRealmId, "1")], NOW).await.unwrap();
    assert_eq!(adopt_bootstrap(&vault, supplied(), &[], NOW).await.unwrap(), login);
}

#[tokio::test]
async fn a_refresh_token_is_read_back_as_it_was_last_rotated() {
    let folder = Folder::new();
    folder.init().store(&token_set(2)).await.unwrap();
    let value = folder.open().unwrap().get(SecretName::QboRefreshToken).await.unwrap().unwrap();
    assert_eq!(value.expose_secret(), "false-refresh-two");
}
