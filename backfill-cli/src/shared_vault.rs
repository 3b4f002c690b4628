//! The vault of `--vault postgres`: sealed bytes in the database, for a company that several hosts work on.

use std::sync::Arc;

use async_trait::async_trait;
use qbo_auth::{LockGuard, SealedBytes, VaultBytes, VaultError, VaultErrorKind, VaultLock};
use raw_store::{Advice, DatabaseOptions, SealedRow, SealedRowLock, StoreError};

use crate::compose::database_options;
use crate::exit::Exit;
use crate::secrets::Secrets;
use crate::settings::Settings;

/// Joins the database's row to what a vault expects of a place.
#[derive(Debug)]
struct SharedVault(SealedRow);

/// The database of the shared vault, whose password cannot be in the vault that lies in it.
pub(crate) async fn options(settings: &Settings, secrets: &Secrets) -> Result<DatabaseOptions, Exit> {
    database_options(settings, secrets).await?.ok_or_else(|| {
        Exit::usage(
            "--vault postgres needs a database that the hosts share, and none is named",
            "name it with --database postgres://user@host/db, its password in ~/.pgpass or by --secrets",
        )
    })
}

/// The place of the shared vault.
pub(crate) fn place(options: &DatabaseOptions, settings: &Settings) -> Result<Arc<dyn VaultBytes>, Exit> {
    Ok(Arc::new(SharedVault(SealedRow::new(options, settings.schema.clone())?)))
}

fn failed(error: StoreError) -> VaultError {
    let kind = if error.advice() == Advice::Retry { VaultErrorKind::Unreachable } else { VaultErrorKind::Io };
    VaultError::new(kind).because(error)
}

struct Guard(SealedRowLock);

#[async_trait]
impl LockGuard for Guard {
    async fn is_held(&self) -> bool {
        self.0.is_held().await
    }
}

#[async_trait]
impl VaultBytes for SharedVault {
    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        let lock = self.0.try_lock().await.map_err(failed)?;
        Ok(lock.map(|lock| VaultLock::guarded(Guard(lock))))
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

#[cfg(test)]
mod tests {
    use fixtures::{TempDatabase, TempPostgres};
    use qbo_auth::{ManualClock, SealedVault, TokenVault as _, Unlock, contract};
    use raw_store::{PgStore, SchemaName};

    use super::*;

    async fn place(database: &TempDatabase) -> Arc<dyn VaultBytes> {
        let options: DatabaseOptions = database.url().parse().unwrap();
        let options = options.with_password(database.password());
        PgStore::connect(options.clone(), SchemaName::default()).await.unwrap().migrate().await.unwrap();
        Arc::new(SharedVault(SealedRow::new(&options, SchemaName::default()).unwrap()))
    }

    async fn vault() -> (TempDatabase, SealedVault) {
        let database = TempPostgres::shared().await.database().await;
        let key = Unlock::KeyText(Unlock::generate_key_text().unwrap());
        let vault = SealedVault::init_in(place(&database).await, key).await.unwrap();
        let now = time::macros::datetime!(2026-01-01 00:00 UTC);
        (database, vault.with_clock(Arc::new(ManualClock::auto(now))))
    }

    #[tokio::test]
    async fn a_real_database_keeps_the_contract_of_every_vault() {
        let (_database, one) = vault().await;
        contract::the_last_store_is_what_is_loaded(&one).await;
        contract::a_newer_set_is_never_overwritten(&one).await;
        let (_database, another) = vault().await;
        contract::a_line_is_remembered_with_what_it_is_for(&another).await;
        let (_database, third) = vault().await;
        contract::a_secret_is_kept_until_it_is_removed(&third).await;
        contract::the_refresh_token_secret_is_the_token_set(&third).await;
    }

    #[tokio::test]
    async fn a_lock_whose_connection_was_cut_is_no_lock() {
        let (database, vault) = vault().await;
        let lock = vault.lock().await.unwrap();
        assert!(lock.is_held().await);
        assert!(vault.try_lock().await.unwrap().is_none());
        let (client, connection) = database.config().connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let cut = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND granted \
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        client.execute(cut, &[]).await.unwrap();
        assert!(!lock.is_held().await);
        drop(vault.lock().await.unwrap());
    }
}
