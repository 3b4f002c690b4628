//! The vault of `--vault postgres`: sealed bytes in the database, for a company that several hosts work on.

use std::sync::Arc;

use async_trait::async_trait;
use qbo_auth::{SealedBytes, VaultBytes, VaultError, VaultErrorKind, VaultLock};
use raw_store::{SealedRow, StoreError};

use crate::compose::database_options;
use crate::exit::Exit;
use crate::secrets::Secrets;
use crate::settings::Settings;

/// Joins the database's row to what a vault expects of a place.
#[derive(Debug)]
struct SharedVault(SealedRow);

/// The place of the shared vault. The database's password cannot be in the vault that lies in the database.
pub(crate) async fn place(settings: &Settings, secrets: &Secrets) -> Result<Arc<dyn VaultBytes>, Exit> {
    let options = database_options(settings, secrets).await?.ok_or_else(|| {
        Exit::usage(
            "--vault postgres needs a database that the hosts share, and none is named",
            "name it with --database postgres://user@host/db, its password in ~/.pgpass or by --secrets",
        )
    })?;
    Ok(Arc::new(SharedVault(SealedRow::new(&options, settings.schema.clone())?)))
}

fn failed(error: StoreError) -> VaultError {
    VaultError::new(VaultErrorKind::Io).because(error)
}

#[async_trait]
impl VaultBytes for SharedVault {
    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        Ok(self.0.try_lock().await.map_err(failed)?.map(VaultLock::holding))
    }

    async fn read(&self) -> Result<SealedBytes, VaultError> {
        let read = self.0.read().await.map_err(failed)?;
        let (bytes, revision) = read.ok_or_else(|| VaultError::new(VaultErrorKind::Missing))?;
        Ok(SealedBytes { bytes, revision })
    }

    async fn create(&self, bytes: &[u8]) -> Result<(), VaultError> {
        let created = self.0.create(bytes).await.map_err(failed)?;
        if created { Ok(()) } else { Err(VaultError::new(VaultErrorKind::AlreadyExists)) }
    }

    async fn replace(&self, seen: u64, bytes: &[u8]) -> Result<(), VaultError> {
        let replaced = self.0.replace(seen, bytes).await.map_err(failed)?;
        if replaced { Ok(()) } else { Err(VaultError::new(VaultErrorKind::Overtaken)) }
    }

    async fn forget_earlier(&self) -> Result<(), VaultError> {
        // A row has no earlier bytes beside it; what backups keep is out of reach.
        Ok(())
    }

    fn locate(&self, error: VaultError) -> VaultError {
        error
    }
}
