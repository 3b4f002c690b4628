//! Disks that are full, read-only or written by something else: found before a token is spent, survived after.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use qbo_auth::{
    Advice, RefreshToken, RefreshingProvider, SealedVault, TokenProvider, TokenVault, Unlock, VaultErrorKind,
};
use tempfile::TempDir;

use crate::fake::{Reply, ScriptedEndpoint, clock, expired};

/// A file system of one megabyte.
struct TinyDisk(TempDir);

impl TinyDisk {
    /// `None` where this user may not mount anything.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let mounted =
            mount.args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs"]).arg(folder.path()).output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        // Only root can, and not in every container; what is shown here holds for everybody. Where it is counted on, it
        // must not be passed over.
        #[expect(clippy::disallowed_methods, reason = "where a test runs is no setting")]
        let in_ci = std::env::var_os("CI").is_some();
        let is_counted_on = in_ci && rustix::process::geteuid().is_root();
        assert!(mounted || !is_counted_on, "no disk can be mounted, and this is a machine that has to");
        mounted.then(|| Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn remount(&self, option: &str) {
        let remounted =
            Command::new("mount").args(["-o", &format!("remount,{option}")]).arg(self.0.path()).status();
        assert!(remounted.unwrap().success());
    }

    /// Writes until not one byte more fits.
    fn fill(&self) {
        let mut chunk = 64 * 1024;
        for number in 0.. {
            if fs::write(self.path(&format!("fill-{number}")), vec![1; chunk]).is_err() {
                chunk /= 2;
            }
            if chunk == 0 {
                return;
            }
        }
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.0.path()).status());
    }
}

async fn vault_on(disk: &TinyDisk) -> Arc<SealedVault> {
    let vault = SealedVault::init(&disk.path("vault"), &disk.path("key")).unwrap();
    vault.store(&expired()).await.unwrap();
    Arc::new(vault)
}

fn provider(vault: &Arc<SealedVault>, endpoint: &Arc<ScriptedEndpoint>) -> Arc<RefreshingProvider> {
    Arc::new(RefreshingProvider::with_jitter(vault.clone(), endpoint.clone(), clock(), Duration::ZERO))
}

#[tokio::test]
async fn a_full_or_read_only_disk_is_found_before_a_token_is_spent() {
    let Some(disk) = TinyDisk::mount() else { return };
    let vault = vault_on(&disk).await;
    let endpoint = ScriptedEndpoint::new([]);
    disk.fill();
    let full = provider(&vault, &endpoint).access_token().await.unwrap_err();
    assert_eq!(full.advice(), Advice::VaultUnusable);
    disk.remount("ro");
    let read_only = provider(&vault, &endpoint).access_token().await.unwrap_err();
    assert_eq!(read_only.advice(), Advice::VaultUnusable);
    assert_eq!(vault.load().await.unwrap(), Some(expired()));
    assert!(endpoint.presented().is_empty());
    disk.remount("rw");
}

#[tokio::test]
async fn a_disk_that_fills_up_during_the_call_does_not_cost_the_token() {
    let Some(disk) = TinyDisk::mount() else { return };
    let vault = vault_on(&disk).await;
    let endpoint = ScriptedEndpoint::gated([Reply::Tokens(2)]);
    let provider = provider(&vault, &endpoint);
    let caller = tokio::spawn(async move { provider.access_token().await });
    endpoint.entered.acquire().await.unwrap().forget();
    disk.fill();
    endpoint.gate.add_permits(1);
    assert_eq!(caller.await.unwrap().unwrap().expose(), "false-access-2");
    assert_eq!(vault.load().await.unwrap().unwrap().refresh, RefreshToken::new("false-refresh-2"));
}

#[tokio::test]
async fn a_vault_that_something_else_damaged_is_refused_and_the_state_before_is_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("vault"), folder.path().join("key"));
    let vault = SealedVault::init(&path, &key).unwrap();
    vault.store(&expired()).await.unwrap();
    let later = qbo_auth::TokenSet { generation: 9, ..expired() };
    vault.store(&later).await.unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();

    let refused = SealedVault::open(&path, &key).unwrap_err();
    assert_eq!(refused.kind(), VaultErrorKind::Undecipherable);
    fs::rename(folder.path().join("vault.1"), &path).unwrap();
    assert_eq!(SealedVault::open(&path, &key).unwrap().load().await.unwrap(), Some(expired()));
}

#[tokio::test]
async fn what_was_removed_is_not_found_beside_the_vault() {
    use qbo_auth::{SecretName, SecretVault};
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("vault"), folder.path().join("key"));
    let vault = SealedVault::init(&path, &key).unwrap();
    vault.store(&expired()).await.unwrap();
    assert!(vault.remove(SecretName::QboRefreshToken).await.unwrap());
    assert!(!folder.path().join("vault.1").exists());
}

#[tokio::test]
async fn a_new_key_opens_everything_and_the_old_one_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let passphrase = Unlock::Passphrase("false passphrase".into());
    let vault = SealedVault::init(&at("vault"), &at("key")).unwrap();
    vault.store(&expired()).await.unwrap();
    let open = |unlock: Unlock| SealedVault::open(&at("vault"), unlock).map_err(|error| error.kind());

    let vault = vault.rekey(passphrase.clone()).await.unwrap();
    assert_eq!(vault.load().await.unwrap(), Some(expired()));
    assert_eq!(open(Unlock::from(&at("key"))).unwrap_err(), VaultErrorKind::NeedsPassphrase);
    let wrong = Unlock::Passphrase("another passphrase".into());
    assert_eq!(open(wrong).unwrap_err(), VaultErrorKind::Undecipherable);
    assert!(!at("vault.1").exists(), "what the old key opens is gone");
    // Storing keeps the passphrase's salt, so that other processes can go on reading.
    vault.store(&expired()).await.unwrap();
    assert_eq!(open(passphrase.clone()).unwrap().load().await.unwrap(), Some(expired()));

    vault.rekey(&at("key-two")).await.unwrap();
    assert_eq!(open(Unlock::from(&at("key"))).unwrap_err(), VaultErrorKind::Undecipherable);
    assert_eq!(open(passphrase).unwrap_err(), VaultErrorKind::NeedsKeyFile);
    assert_eq!(open(Unlock::from(&at("key-two"))).unwrap().load().await.unwrap(), Some(expired()));
}

#[test]
fn a_mounted_key_may_be_readable_and_a_link_but_not_writable_for_others() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    SealedVault::init(&at("vault"), &at("key")).unwrap();
    symlink(at("key"), at("link")).unwrap();
    let open = |name: &str| {
        SealedVault::open(&at("vault"), Unlock::Credential(at(name))).map_err(|error| error.kind())
    };
    mode(&at("key"), 0o444);
    assert!(open("key").is_ok());
    assert!(open("link").is_ok());
    assert_eq!(SealedVault::open(&at("vault"), &at("key")).unwrap_err().kind(), VaultErrorKind::Exposed);
    mode(&at("key"), 0o464);
    assert_eq!(open("key").unwrap_err(), VaultErrorKind::Exposed);
    // A container's vault can be made with a key that is there already.
    mode(&at("key"), 0o400);
    assert!(SealedVault::init(&at("second"), Unlock::Credential(at("key"))).is_ok());
}
