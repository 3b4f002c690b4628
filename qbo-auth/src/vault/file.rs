//! Stores the bytes of a vault in one file.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::bytes::{SealedBytes, VaultBytes};
use super::{VaultError, VaultLock, private_file, unwound};

/// One file, locked through another beside it, `<vault>.lock`, which is never deleted: a deleted lock file can be locked twice.
/// The locks are the kernel's and end with their process; they are not reliable on network file systems.
#[derive(Clone, Debug)]
pub(super) struct FileBytes {
    path: Arc<Path>,
}

impl FileBytes {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path: path.into() }
    }

    /// Runs file work on a thread that may block. The work runs to its end even if the caller is dropped.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let path = Arc::clone(&self.path);
        unwound(tokio::task::spawn_blocking(move || work(&path)).await)?
    }
}

#[async_trait]
impl VaultBytes for FileBytes {
    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        self.blocking(|path| {
            let file: File = private_file::open_lock_file(path)?;
            match file.try_lock() {
                Ok(()) => {
                    private_file::check_writable(path)?;
                    // The kernel frees the lock when the open file is closed, also after a kill.
                    Ok(Some(VaultLock::holding(file)))
                }
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(private_file::failed(path)(error)),
            }
        })
        .await
    }

    async fn read(&self) -> Result<SealedBytes, VaultError> {
        self.blocking(|path| Ok(SealedBytes { bytes: private_file::read(path)?.to_vec(), revision: 0 })).await
    }

    async fn create(&self, bytes: &[u8]) -> Result<(), VaultError> {
        let bytes = bytes.to_owned();
        self.blocking(move |path| private_file::create(path, &bytes)).await
    }

    async fn replace(&self, _: u64, bytes: &[u8]) -> Result<(), VaultError> {
        let bytes = bytes.to_owned();
        self.blocking(move |path| private_file::replace(path, &bytes)).await
    }

    async fn forget_earlier(&self) -> Result<(), VaultError> {
        self.blocking(private_file::forget_previous).await
    }

    fn locate(&self, error: VaultError) -> VaultError {
        if error.path().is_some() { error } else { error.at(&self.path) }
    }
}
