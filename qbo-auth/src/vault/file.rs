//! A vault in one encrypted file.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::contents::Contents;
use super::seal::{Sealed, VaultKey};
use super::unlock::Unlock;
use super::{
    SecretInfo, SecretName, SecretVault, TokenVault, VaultError, VaultErrorKind, VaultLock, lock,
    private_file,
};
use crate::clock::{Clock, SystemClock};
use crate::token::TokenSet;

/// Keeps secrets and tokens in one file, sealed with a key from another.
///
/// Both files must belong to this user and be closed to all others. The vault is locked through a file
/// beside it, `<vault>.lock`, which is never deleted: a deleted lock file can be locked twice. The locks are
/// the kernel's and end with their process; they are not to be trusted on network file systems.
#[derive(Clone, Debug)]
pub struct FileVault {
    sealed: Arc<SealedFile>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct SealedFile {
    path: PathBuf,
    key: VaultKey,
}

impl FileVault {
    /// Creates an empty vault, the key file if one is to open it, and the folders they lie in.
    ///
    /// Never replaces anything: if either file exists, that is an error and nothing is changed. A passphrase
    /// takes a good part of a second.
    pub fn init(path: &Path, unlock: impl Into<Unlock>) -> Result<Self, VaultError> {
        let unlock = unlock.into();
        if path.symlink_metadata().is_ok() {
            return Err(VaultError::new(VaultErrorKind::AlreadyExists).at(path));
        }
        let sealed = SealedFile { path: path.to_owned(), key: unlock.new_key()? };
        let created = sealed.seal(&Contents::default()).and_then(|bytes| private_file::create(path, &bytes));
        if let Err(error) = created {
            unlock.discard_new_key();
            return Err(error);
        }
        Ok(Self::of(sealed))
    }

    /// Whether a passphrase opens the vault, and not a key. Nothing is opened.
    pub fn wants_passphrase(path: &Path) -> Result<bool, VaultError> {
        let bytes = private_file::read(path)?;
        let sealed = Sealed::parse(&bytes).map_err(|kind| VaultError::new(kind).at(path))?;
        Ok(sealed.stretch.is_some())
    }

    /// Opens an existing vault, reading it once to prove that the key fits.
    pub fn open(path: &Path, unlock: impl Into<Unlock>) -> Result<Self, VaultError> {
        let located = |error: VaultError| if error.path().is_some() { error } else { error.at(path) };
        // The key first: a vault whose key file is not there says so, whatever state it is in.
        let unlock = unlock.into();
        let key = match &unlock {
            Unlock::Passphrase(_) => unlock.key(&private_file::read(path)?),
            _ => unlock.key(&[]),
        };
        let sealed = SealedFile { path: path.to_owned(), key: key.map_err(located)? };
        sealed.read()?;
        Ok(Self::of(sealed))
    }

    /// Seals the vault anew, so that from now on `unlock` opens it and nothing else does. A key file is
    /// created, and must not exist yet; the file of the old key is left to the caller to destroy.
    ///
    /// Other processes that have the vault open can no longer read it and must be started again. Until this
    /// returns, the old key opens the vault.
    pub async fn rekey(self, unlock: impl Into<Unlock>) -> Result<Self, VaultError> {
        let lock = self.lock().await?;
        let unlock = unlock.into();
        let clock = Arc::clone(&self.clock);
        let resealed = self
            .blocking(move |old| {
                let contents = old.read()?;
                let new = SealedFile { path: old.path.clone(), key: unlock.new_key()? };
                let replaced = new.seal(&contents).and_then(|bytes| private_file::replace(&new.path, &bytes));
                if let Err(error) = replaced {
                    unlock.discard_new_key();
                    return Err(error);
                }
                private_file::forget_previous(&new.path)?;
                drop(lock);
                Ok(new)
            })
            .await?;
        Ok(Self { sealed: Arc::new(resealed), clock })
    }

    /// Waits for locks and dates secrets by `clock` instead of the system's.
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    fn of(sealed: SealedFile) -> Self {
        Self { sealed: Arc::new(sealed), clock: Arc::new(SystemClock::new()) }
    }

    /// Runs file work on a thread that may block. It runs to its end even if the caller is dropped.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SealedFile) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let sealed = Arc::clone(&self.sealed);
        tokio::task::spawn_blocking(move || work(&sealed))
            .await
            .map_err(|error| VaultError::new(VaultErrorKind::Io).because(error))?
    }

    async fn lock_file(&self) -> Result<Arc<File>, VaultError> {
        Ok(Arc::new(self.blocking(|sealed| private_file::open_lock_file(&sealed.path)).await?))
    }

    async fn rehearsed(&self, lock: VaultLock) -> Result<VaultLock, VaultError> {
        self.blocking(|sealed| private_file::rehearse(&sealed.path)).await?;
        Ok(lock)
    }

    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Contents) -> T + Send + 'static,
    ) -> Result<T, VaultError> {
        let lock = self.lock().await?;
        self.blocking(move |sealed| {
            let changed = sealed.change(change);
            // Held by the work and not by the caller, who may be dropped before the work is done.
            drop(lock);
            changed
        })
        .await
    }
}

impl SealedFile {
    fn read(&self) -> Result<Contents, VaultError> {
        let refused = |kind| VaultError::new(kind).at(&self.path);
        let bytes = private_file::read(&self.path)?;
        let plain: Zeroizing<Vec<u8>> = self.key.open(&bytes).map_err(refused)?;
        Contents::from_json(&plain).ok_or_else(|| refused(VaultErrorKind::Undecipherable))
    }

    /// The lock is the open file: the kernel frees it when the last handle is closed, also by a kill.
    fn try_lock(&self, file: &Arc<File>) -> Result<Option<Arc<File>>, VaultError> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Arc::clone(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(private_file::failed(&self.path)(error)),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> Result<T, VaultError> {
        let mut contents = self.read()?;
        let changed = change(&mut contents);
        private_file::replace(&self.path, &self.seal(&contents)?)?;
        Ok(changed)
    }

    fn seal(&self, contents: &Contents) -> Result<Vec<u8>, VaultError> {
        let failed = || VaultError::new(VaultErrorKind::Io).at(&self.path);
        let plain = contents.to_json().map_err(|error| failed().because(error))?;
        self.key.seal(&plain).map_err(|error| failed().because(error))
    }
}

#[async_trait]
impl TokenVault for FileVault {
    /// Beyond locking, proves that a store would find room and permission: a token call whose result cannot
    /// be stored must not be made.
    async fn lock(&self) -> Result<VaultLock, VaultError> {
        let file = self.lock_file().await?;
        let lock = lock::poll(&*self.clock, || self.sealed.try_lock(&file)).await;
        self.rehearsed(lock.map_err(|error| error.at(&self.sealed.path))?).await
    }

    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        let file = self.lock_file().await?;
        match self.sealed.try_lock(&file)? {
            Some(lock) => Ok(Some(self.rehearsed(VaultLock::holding(lock)).await?)),
            None => Ok(None),
        }
    }

    async fn load(&self) -> Result<Option<TokenSet>, VaultError> {
        self.blocking(|sealed| Ok(sealed.read()?.tokens)).await
    }

    async fn store(&self, tokens: &TokenSet) -> Result<(), VaultError> {
        let tokens = tokens.clone();
        self.blocking(move |sealed| sealed.change(|contents| contents.store(tokens))).await
    }
}

#[async_trait]
impl SecretVault for FileVault {
    async fn get(&self, name: SecretName) -> Result<Option<SecretString>, VaultError> {
        self.blocking(move |sealed| Ok(sealed.read()?.get(name))).await
    }

    async fn set(&self, name: SecretName, value: SecretString) -> Result<(), VaultError> {
        let now = self.clock.now_utc();
        self.change(move |contents| contents.set(name, value, now)).await
    }

    async fn remove(&self, name: SecretName) -> Result<bool, VaultError> {
        let removed = self.change(move |contents| contents.remove(name)).await?;
        self.blocking(|sealed| private_file::forget_previous(&sealed.path)).await?;
        Ok(removed)
    }

    async fn list(&self) -> Result<Vec<SecretInfo>, VaultError> {
        self.blocking(|sealed| Ok(sealed.read()?.list())).await
    }
}
