//! A vault whose bytes lie where several hosts reach them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use qbo_auth::{
    ManualClock, RefreshToken, SealedBytes, SealedVault, SecretName, SecretVault, TokenSet, TokenVault,
    Unlock, VaultBytes, VaultError, VaultErrorKind, VaultLock, async_trait, contract,
};
use time::OffsetDateTime;

const NOW: OffsetDateTime = time::macros::datetime!(2026-01-01 00:00 UTC);

/// A row of a database, as far as a vault can tell.
#[derive(Debug, Default)]
struct Row {
    held: Mutex<Option<SealedBytes>>,
    lock: Arc<tokio::sync::Mutex<()>>,
}

#[async_trait]
impl VaultBytes for Row {
    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        Ok(Arc::clone(&self.lock).try_lock_owned().ok().map(VaultLock::holding))
    }

    async fn read(&self) -> Result<SealedBytes, VaultError> {
        self.held.lock().unwrap().clone().ok_or_else(|| VaultError::new(VaultErrorKind::Missing))
    }

    async fn create(&self, bytes: &[u8]) -> Result<(), VaultError> {
        let mut held = self.held.lock().unwrap();
        if held.is_some() {
            return Err(VaultError::new(VaultErrorKind::AlreadyExists));
        }
        *held = Some(SealedBytes { bytes: bytes.to_owned(), revision: 1 });
        Ok(())
    }

    async fn replace(&self, seen: u64, bytes: &[u8]) -> Result<(), VaultError> {
        let mut held = self.held.lock().unwrap();
        match &mut *held {
            Some(held) if held.revision == seen => {
                *held = SealedBytes { bytes: bytes.to_owned(), revision: seen + 1 };
                Ok(())
            }
            _ => Err(VaultError::new(VaultErrorKind::Overtaken)),
        }
    }

    async fn forget_earlier(&self) -> Result<(), VaultError> {
        Ok(())
    }

    fn locate(&self, error: VaultError) -> VaultError {
        error
    }
}

fn key() -> Unlock {
    Unlock::KeyText(Unlock::generate_key_text().unwrap())
}

async fn vault() -> SealedVault {
    let vault = SealedVault::init_in(Arc::new(Row::default()), key()).await.unwrap();
    vault.with_clock(Arc::new(ManualClock::auto(NOW)))
}

#[tokio::test]
async fn it_keeps_the_contract_of_every_vault() {
    contract::the_last_store_is_what_is_loaded(&vault().await).await;
    contract::a_newer_set_is_never_overwritten(&vault().await).await;
    contract::a_line_is_remembered_with_what_it_is_for(&vault().await).await;
    contract::a_lock_excludes_until_it_is_dropped(&vault().await).await;
    contract::a_secret_is_kept_until_it_is_removed(&vault().await).await;
    contract::the_refresh_token_secret_is_the_token_set(&vault().await).await;
}

#[tokio::test]
async fn two_hosts_see_each_others_stores_and_only_the_right_key_opens_them() {
    let (row, key_text) = (Arc::new(Row::default()), key());
    let one = SealedVault::init_in(row.clone(), key_text.clone()).await.unwrap();
    let other = SealedVault::open_in(row.clone(), key_text).await.unwrap();
    one.set(SecretName::QboRefreshToken, "false-refresh".into()).await.unwrap();
    assert_eq!(other.load().await.unwrap().unwrap().refresh, RefreshToken::new("false-refresh"));
    let foreign = SealedVault::open_in(row.clone(), key()).await.unwrap_err();
    assert_eq!(foreign.kind(), VaultErrorKind::Undecipherable);
    let twice = SealedVault::init_in(row, key()).await.unwrap_err();
    assert_eq!(twice.kind(), VaultErrorKind::AlreadyExists);
}

/// Writes, from outside, between the read and the write of a change.
#[derive(Debug)]
struct Overtaking(Arc<Row>);

#[async_trait]
impl VaultBytes for Overtaking {
    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        self.0.try_lock().await
    }

    async fn read(&self) -> Result<SealedBytes, VaultError> {
        let read = self.0.read().await?;
        self.0.replace(read.revision, &read.bytes).await?;
        Ok(read)
    }

    async fn create(&self, bytes: &[u8]) -> Result<(), VaultError> {
        self.0.create(bytes).await
    }

    async fn replace(&self, seen: u64, bytes: &[u8]) -> Result<(), VaultError> {
        self.0.replace(seen, bytes).await
    }

    async fn forget_earlier(&self) -> Result<(), VaultError> {
        self.0.forget_earlier().await
    }

    fn locate(&self, error: VaultError) -> VaultError {
        error
    }
}

#[tokio::test]
async fn bytes_replace_only_those_they_were_made_from() {
    let (row, key_text) = (Arc::new(Row::default()), key());
    let vault = SealedVault::init_in(row.clone(), key_text.clone()).await.unwrap();
    let tokens = TokenSet::from_consent(RefreshToken::new("false-refresh"), 1, NOW);
    vault.store(&tokens).await.unwrap();
    let overtaken = SealedVault::open_in(Arc::new(Overtaking(row)), key_text).await.unwrap();
    let stale = TokenSet { generation: 7, ..tokens.clone() };
    assert_eq!(overtaken.store(&stale).await.unwrap_err().kind(), VaultErrorKind::Overtaken);
    assert_eq!(vault.load().await.unwrap(), Some(tokens));
}

/// Does what it is asked, and says that it failed: an answer that was lost.
#[derive(Debug)]
struct Lossy {
    row: Arc<Row>,
    /// Whether it can be read after that.
    readable: bool,
    lost: AtomicBool,
}

#[async_trait]
impl VaultBytes for Lossy {
    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        self.row.try_lock().await
    }

    async fn read(&self) -> Result<SealedBytes, VaultError> {
        if self.lost.load(Ordering::SeqCst) && !self.readable {
            return Err(VaultError::new(VaultErrorKind::Io));
        }
        self.row.read().await
    }

    async fn create(&self, bytes: &[u8]) -> Result<(), VaultError> {
        self.row.create(bytes).await?;
        self.lost.store(true, Ordering::SeqCst);
        Err(VaultError::new(VaultErrorKind::Io))
    }

    async fn replace(&self, seen: u64, bytes: &[u8]) -> Result<(), VaultError> {
        self.row.replace(seen, bytes).await?;
        let is_first = !self.lost.swap(true, Ordering::SeqCst);
        if is_first { Err(VaultError::new(VaultErrorKind::Io)) } else { Ok(()) }
    }

    async fn forget_earlier(&self) -> Result<(), VaultError> {
        self.row.forget_earlier().await
    }

    fn locate(&self, error: VaultError) -> VaultError {
        error
    }
}

#[tokio::test]
async fn a_new_key_is_never_given_up_while_the_vault_may_be_sealed_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let lossy = |row: &Arc<Row>, readable| Lossy { row: row.clone(), readable, lost: AtomicBool::new(false) };
    for readable in [true, false] {
        let (row, old) = (Arc::new(Row::default()), key());
        SealedVault::init_in(row.clone(), old.clone()).await.unwrap();
        let vault = SealedVault::open_in(Arc::new(lossy(&row, readable)), old).await.unwrap();
        let new = folder.path().join(format!("rekeyed-{readable}"));
        let rekeyed = vault.rekey(&new).await;
        assert_eq!(
            rekeyed.map(drop).map_err(|error| error.kind()),
            if readable { Ok(()) } else { Err(VaultErrorKind::KeyInDoubt) }
        );
        assert!(SealedVault::open_in(row, &new).await.is_ok());

        let (row, new) = (Arc::new(Row::default()), folder.path().join(format!("created-{readable}")));
        let created = SealedVault::init_in(Arc::new(lossy(&row, readable)), &new).await;
        assert_eq!(created.is_ok(), readable);
        assert!(SealedVault::open_in(row, &new).await.is_ok());
    }
    // A writing that was not done leaves no key behind.
    let (row, old) = (Arc::new(Row::default()), key());
    SealedVault::init_in(row.clone(), old.clone()).await.unwrap();
    let vault = SealedVault::open_in(Arc::new(Overtaking(row.clone())), old.clone()).await.unwrap();
    let new = folder.path().join("spurned");
    assert_eq!(vault.rekey(&new).await.unwrap_err().kind(), VaultErrorKind::Overtaken);
    assert!(!new.exists() && SealedVault::open_in(row, old).await.is_ok());
}
