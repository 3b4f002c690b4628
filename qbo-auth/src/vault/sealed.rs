//! A vault of sealed bytes, in any storage.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;

use super::bytes::{LARGEST, SealedBytes, VaultBytes};
use super::contents::{self, Contents};
use super::file::FileBytes;
use super::seal::{Sealed, VaultKey};
use super::unlock::Unlock;
use super::{
    ConsentMark, SecretInfo, SecretName, SecretVault, TokenSet, TokenVault, VaultError, VaultErrorKind,
    VaultLock, lock, private_file, unwound,
};
use crate::clock::{Clock, SystemClock};
use crate::secret::{ClientSecret, RefreshToken};

/// Keeps secrets and tokens sealed: in one file ([`SealedVault::open`]), or in any [`VaultBytes`].
///
/// A vault file and its key file must belong to this user and be inaccessible to all others.
#[derive(Clone, Debug)]
pub struct SealedVault {
    bytes: Arc<dyn VaultBytes>,
    key: Arc<VaultKey>,
    clock: Arc<dyn Clock>,
}

impl SealedVault {
    /// Creates an empty vault file, its key file if a key file opens it, and their directories.
    ///
    /// Never replaces anything: if either file exists, that is an error and nothing is changed. Deriving a key from a
    /// passphrase takes a good part of a second.
    pub fn init(path: &Path, unlock: impl Into<Unlock>) -> Result<Self, VaultError> {
        let unlock = unlock.into();
        if path.symlink_metadata().is_ok() {
            return Err(VaultError::new(VaultErrorKind::AlreadyExists).at(path));
        }
        let vault = Self::of(Arc::new(FileBytes::new(path.to_owned())), unlock.new_key()?);
        let sealed = vault.sealed(&Contents::default()).inspect_err(|_| unlock.discard_new_key())?;
        if let Err(failed) = private_file::create(path, &sealed) {
            let there = private_file::read(path).map(|bytes| bytes.to_vec());
            vault
                .judge(None, &there, failed)
                .inspect_err(|error| unlock.discard_new_key_unless_needed(error))?;
        }
        Ok(vault)
    }

    /// Opens an existing vault file, and reads it once to prove that the key fits.
    pub fn open(path: &Path, unlock: impl Into<Unlock>) -> Result<Self, VaultError> {
        // The key first: a missing key file is reported whatever state the vault is in.
        let unlock = unlock.into();
        let located = |error: VaultError| if error.path().is_some() { error } else { error.at(path) };
        let key = match &unlock {
            Unlock::Passphrase(_) => unlock.key(&private_file::read(path)?),
            _ => unlock.key(&[]),
        };
        let vault = Self::of(Arc::new(FileBytes::new(path.to_owned())), key.map_err(located)?);
        vault.opened(&private_file::read(path)?)?;
        Ok(vault)
    }

    /// Whether a passphrase opens the vault file, and not a key. It does not open the vault.
    pub fn wants_passphrase(path: &Path) -> Result<bool, VaultError> {
        let wants = |bytes: &[u8]| Sealed::parse(bytes).map(|sealed| sealed.stretch.is_some());
        wants(&private_file::read(path)?).or_else(|kind| {
            // If the file is damaged, its previous state decides.
            let previous = private_file::read_previous(path).ok().and_then(|bytes| wants(&bytes).ok());
            previous.ok_or_else(|| VaultError::new(kind).at(path))
        })
    }

    /// Opens a damaged vault file in its state before the last change, and restores that state; the damaged bytes stay beside
    /// it as `<path>.damaged`. `None` if `unlock` does not open that state either.
    pub async fn restore(path: &Path, unlock: impl Into<Unlock>) -> Result<Option<Self>, VaultError> {
        let Ok(previous) = private_file::read_previous(path) else { return Ok(None) };
        let Ok(key) = unlock.into().key(&previous) else { return Ok(None) };
        let vault = Self::of(Arc::new(FileBytes::new(path.to_owned())), key);
        if vault.opened(&previous).is_err() {
            return Ok(None);
        }
        let _lock = vault.lock().await?;
        // Another process may have been faster.
        if vault.read().await.is_err() {
            private_file::restore_previous(path)?;
        }
        Ok(Some(vault))
    }

    /// As [`SealedVault::wants_passphrase`], for a vault in other storage.
    pub async fn wants_passphrase_in(bytes: &dyn VaultBytes) -> Result<bool, VaultError> {
        let present = bytes.read().await?;
        let sealed = Sealed::parse(&present.bytes).map_err(|kind| bytes.locate(VaultError::new(kind)))?;
        Ok(sealed.stretch.is_some())
    }

    /// Creates an empty vault in storage that has none yet.
    pub async fn init_in(bytes: Arc<dyn VaultBytes>, unlock: impl Into<Unlock>) -> Result<Self, VaultError> {
        let unlock = unlock.into();
        // Storage that cannot even be read gets no key.
        match bytes.read().await {
            Ok(_) => return Err(bytes.locate(VaultError::new(VaultErrorKind::AlreadyExists))),
            Err(error) if error.kind() == VaultErrorKind::Missing => {}
            Err(error) => return Err(error),
        }
        let vault = Self::of(bytes, unlock.new_key()?);
        let sealed = vault.sealed(&Contents::default()).inspect_err(|_| unlock.discard_new_key())?;
        if let Err(failed) = vault.bytes.create(&sealed).await {
            let there = vault.bytes.read().await.map(|present| present.bytes);
            vault
                .judge(None, &there, failed)
                .inspect_err(|error| unlock.discard_new_key_unless_needed(error))?;
        }
        Ok(vault)
    }

    /// Opens the vault in other storage, and reads it once to prove that the key fits.
    pub async fn open_in(bytes: Arc<dyn VaultBytes>, unlock: impl Into<Unlock>) -> Result<Self, VaultError> {
        let present = bytes.read().await?;
        let key = unlock.into().key(&present.bytes).map_err(|error| bytes.locate(error))?;
        let vault = Self::of(bytes, key);
        vault.opened(&present.bytes)?;
        Ok(vault)
    }

    /// Uses `clock` instead of the system's, to wait for locks and to date secrets.
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Seals the vault anew, so that from now on only `unlock` opens it. A key file is created, and must not exist yet;
    /// destroying the file of the old key is left to the caller.
    ///
    /// Other processes that have the vault open can no longer read it and must be started again. Until this returns, the old
    /// key opens the vault. After [`VaultErrorKind::KeyInDoubt`] either key may: a new key file is then left in place. After
    /// any other error the old key opens the vault.
    pub async fn rekey(self, unlock: impl Into<Unlock>) -> Result<Self, VaultError> {
        let _lock = self.lock().await?;
        let unlock = unlock.into();
        let present = self.bytes.read().await?;
        let contents = self.opened(&present.bytes)?;
        let resealed = Self { key: Arc::new(unlock.new_key()?), ..self.clone() };
        let sealed = resealed.sealed(&contents).inspect_err(|_| unlock.discard_new_key())?;
        if let Err(failed) = self.bytes.replace(present.revision, &sealed).await {
            let there = self.bytes.read().await;
            let revision = there.as_ref().map_or(present.revision, |there| there.revision);
            resealed
                .judge(Some(&self.key), &there.map(|there| there.bytes), failed)
                .inspect_err(|error| unlock.discard_new_key_unless_needed(error))?;
            // The new bytes are stored, but may not survive a power cut; after a second write they do.
            let again = self.bytes.replace(revision, &sealed).await;
            again.map_err(|error| {
                self.bytes.locate(VaultError::new(VaultErrorKind::KeyInDoubt).because(error))
            })?;
        }
        self.bytes.forget_earlier().await?;
        Ok(resealed)
    }

    /// Decides what a failed write has done all the same, such as when its answer was lost. An error unless this vault's key
    /// opens what is `there`: `failed` if `before` does or nothing is there, otherwise `KeyInDoubt`.
    fn judge(
        &self,
        before: Option<&VaultKey>,
        there: &Result<Vec<u8>, VaultError>,
        failed: VaultError,
    ) -> Result<(), VaultError> {
        let is_undone = match there {
            Ok(bytes) if self.key.open(bytes).is_ok() => return Ok(()),
            Ok(bytes) => before.is_none_or(|key| key.open(bytes).is_ok()),
            Err(error) => before.is_none() && error.kind() == VaultErrorKind::Missing,
        };
        if is_undone {
            return Err(failed);
        }
        Err(self.bytes.locate(VaultError::new(VaultErrorKind::KeyInDoubt).because(failed)))
    }

    /// Removes a token that has been revoked, and all earlier states of the vault. `false` if the vault holds another token by
    /// now, which stays. The caller holds the lock.
    pub async fn forget_revoked(&self, revoked: &RefreshToken) -> Result<bool, VaultError> {
        let is_gone = self.change_locked(|contents| Ok(contents.forget_revoked(revoked))).await?;
        self.bytes.forget_earlier().await?;
        Ok(is_gone)
    }

    /// Continues the generations from `generation`, if more refreshes were seen than this vault knows of: it was restored from
    /// a backup that holds the same token. While another process holds the lock, this is left to the next call.
    pub async fn catch_up(&self, generation: u64) -> Result<(), VaultError> {
        let Some(_lock) = self.bytes.try_lock().await? else { return Ok(()) };
        self.change_locked(|contents| {
            contents.catch_up(generation);
            Ok(())
        })
        .await
    }

    /// What another system may know of the consent; `None` while there is none.
    pub async fn consent_mark(&self, key: &ClientSecret) -> Result<Option<ConsentMark>, VaultError> {
        Ok(self.read().await?.mark(key))
    }

    fn of(bytes: Arc<dyn VaultBytes>, key: VaultKey) -> Self {
        Self { bytes, key: Arc::new(key), clock: Arc::new(SystemClock::new()) }
    }

    async fn read(&self) -> Result<Contents, VaultError> {
        self.opened(&self.bytes.read().await?.bytes)
    }

    fn opened(&self, sealed: &[u8]) -> Result<Contents, VaultError> {
        let refused = |kind| self.bytes.locate(VaultError::new(kind));
        if sealed.len() > LARGEST {
            return Err(refused(VaultErrorKind::Undecipherable));
        }
        let plain = self.key.open(sealed).map_err(refused)?;
        Contents::from_json(&plain).ok_or_else(|| refused(VaultErrorKind::Undecipherable))
    }

    fn sealed(&self, contents: &Contents) -> Result<Vec<u8>, VaultError> {
        let failed = || self.bytes.locate(VaultError::new(VaultErrorKind::Io));
        let plain = contents.to_json().map_err(|error| failed().because(error))?;
        let sealed = self.key.seal(&plain).map_err(|error| failed().because(error))?;
        if sealed.len() > LARGEST {
            return Err(self.bytes.locate(VaultError::new(VaultErrorKind::TooLarge)));
        }
        Ok(sealed)
    }

    /// Changes the contents, unless the change refuses. The caller holds the lock.
    async fn change_locked<T>(
        &self,
        change: impl FnOnce(&mut Contents) -> Result<T, VaultErrorKind>,
    ) -> Result<T, VaultError> {
        let SealedBytes { bytes, revision } = self.bytes.read().await?;
        let mut contents = self.opened(&bytes)?;
        let changed = change(&mut contents).map_err(|kind| self.bytes.locate(VaultError::new(kind)))?;
        self.bytes.replace(revision, &self.sealed(&contents)?).await?;
        Ok(changed)
    }

    /// Changes the contents in a task of its own, which holds the lock: the caller may be dropped before the work is done.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Contents) -> Result<T, VaultErrorKind> + Send + 'static,
    ) -> Result<T, VaultError> {
        let vault = self.clone();
        let work = async move {
            let _lock = vault.lock().await?;
            vault.change_locked(change).await
        };
        unwound(tokio::spawn(work).await)?
    }
}

#[async_trait]
impl TokenVault for SealedVault {
    async fn lock(&self) -> Result<VaultLock, VaultError> {
        lock::poll(&*self.clock, || self.bytes.try_lock()).await.map_err(|error| self.bytes.locate(error))
    }

    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        self.bytes.try_lock().await
    }

    async fn load(&self) -> Result<Option<TokenSet>, VaultError> {
        Ok(self.read().await?.tokens)
    }

    async fn store(&self, tokens: &TokenSet) -> Result<(), VaultError> {
        let tokens = tokens.clone();
        self.change_locked(|contents| contents.store(tokens)).await
    }

    async fn begin<'a>(&self, tokens: &TokenSet, about: &[(SecretName, &'a str)]) -> Result<(), VaultError> {
        let (tokens, about) = (tokens.clone(), contents::owned(about));
        self.change_locked(|contents| contents.begin(tokens, about)).await
    }

    async fn has_begun(&self, bootstrap: &str) -> Result<bool, VaultError> {
        Ok(self.read().await?.has_begun(bootstrap))
    }
}

#[async_trait]
impl SecretVault for SealedVault {
    async fn get(&self, name: SecretName) -> Result<Option<SecretString>, VaultError> {
        Ok(self.read().await?.get(name))
    }

    async fn set(&self, name: SecretName, value: SecretString) -> Result<(), VaultError> {
        let now = self.clock.now_utc();
        self.change(move |contents| contents.set(name, value, now)).await
    }

    async fn remove(&self, name: SecretName) -> Result<bool, VaultError> {
        let removed = self.change(move |contents| Ok(contents.remove(name))).await?;
        self.bytes.forget_earlier().await?;
        Ok(removed)
    }

    async fn list(&self) -> Result<Vec<SecretInfo>, VaultError> {
        Ok(self.read().await?.list())
    }
}
