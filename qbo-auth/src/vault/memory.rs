//! A vault that ends with its process: for tests, and for embedders that keep secrets elsewhere.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::sync::Mutex as AsyncMutex;

use super::contents::Contents;
use super::{
    SecretInfo, SecretName, SecretVault, TokenSet, TokenVault, VaultError, VaultLock, contents, lock,
};
use crate::clock::Clock;

/// Keeps secrets and tokens in memory. Nothing in it is durable.
#[derive(Debug)]
pub struct MemoryVault {
    clock: Arc<dyn Clock>,
    contents: Mutex<Contents>,
    lock: Arc<AsyncMutex<()>>,
}

impl MemoryVault {
    /// Creates an empty vault that uses `clock` to wait for locks and to date secrets.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, contents: Mutex::default(), lock: Arc::default() }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenVault for MemoryVault {
    async fn lock(&self) -> Result<VaultLock, VaultError> {
        lock::poll(&*self.clock, || self.try_lock()).await
    }

    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        Ok(Arc::clone(&self.lock).try_lock_owned().ok().map(VaultLock::holding))
    }

    async fn load(&self) -> Result<Option<TokenSet>, VaultError> {
        Ok(self.contents().tokens.clone())
    }

    async fn store(&self, tokens: &TokenSet) -> Result<(), VaultError> {
        self.contents().store(tokens.clone()).map_err(VaultError::new)
    }

    async fn begin<'a>(&self, tokens: &TokenSet, about: &[(SecretName, &'a str)]) -> Result<(), VaultError> {
        self.contents().begin(tokens.clone(), contents::owned(about)).map_err(VaultError::new)
    }

    async fn has_begun(&self, bootstrap: &str) -> Result<bool, VaultError> {
        Ok(self.contents().has_begun(bootstrap))
    }
}

#[async_trait]
impl SecretVault for MemoryVault {
    async fn get(&self, name: SecretName) -> Result<Option<SecretString>, VaultError> {
        Ok(self.contents().get(name))
    }

    async fn set(&self, name: SecretName, value: SecretString) -> Result<(), VaultError> {
        let _lock = self.lock().await?;
        self.contents().set(name, value, self.clock.now_utc()).map_err(VaultError::new)
    }

    async fn remove(&self, name: SecretName) -> Result<bool, VaultError> {
        let _lock = self.lock().await?;
        Ok(self.contents().remove(name))
    }

    async fn list(&self) -> Result<Vec<SecretInfo>, VaultError> {
        Ok(self.contents().list())
    }
}
