//! Opens the vault of `--vault postgres`: sealed bytes in the database, for a company that several hosts share.

use std::sync::Arc;

use async_trait::async_trait;
use qbo_auth::{LockGuard, SealedBytes, VaultBytes, VaultError, VaultErrorKind, VaultLock};
use raw_store::{Advice, DatabaseOptions, SealedRow, SealedRowLock, StoreError};

use crate::config::settings::Settings;
use crate::output::exit::Exit;
use crate::secrets::Secrets;
use crate::secrets::database::database_options;

/// Adapts the row in the database to the storage that a vault expects.
#[derive(Debug)]
struct SharedVault(SealedRow);

/// The database of the shared vault. Its password cannot be in that vault.
pub(crate) async fn options(settings: &Settings, secrets: &Secrets) -> Result<DatabaseOptions, Exit> {
    database_options(settings, secrets).await?.ok_or_else(|| {
        Exit::usage(
            "--vault postgres needs a database that the hosts share, and none is named",
            "name it with --database postgres://user@host/db, with its password in ~/.pgpass or --secrets",
        )
    })
}

/// The storage of the shared vault.
pub(crate) fn place(options: &DatabaseOptions, settings: &Settings) -> Result<Arc<dyn VaultBytes>, Exit> {
    Ok(Arc::new(SharedVault(SealedRow::new(options, settings.schema.clone())?)))
}

fn failed(error: StoreError) -> VaultError {
    let kind = if error.advice() == Advice::Retry { VaultErrorKind::Unreachable } else { VaultErrorKind::Io };
    VaultError::new(kind).because(error)
}

/// Adapts the lock of the shared row to the vault's trait.
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
        // A row keeps no earlier state; the program cannot reach backups.
        Ok(())
    }

    fn locate(&self, error: VaultError) -> VaultError {
        error
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use fixtures::{TempDatabase, TempPostgres};
    use qbo_auth::{
        AccessToken, AuthorizationCode, ManualClock, RedirectUrl, RefreshToken, RefreshingProvider,
        SealedVault, SecretName, SecretVault as _, SystemClock, TokenAnswer, TokenEndpoint, TokenError,
        TokenProvider as _, TokenVault as _, Unlock, contract,
    };
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
        let (_database, fourth) = vault().await;
        contract::a_secret_that_is_too_long_changes_nothing(&fourth).await;
    }

    /// Rotates at every call, and counts.
    #[derive(Debug, Default)]
    struct Counting(AtomicU32);

    #[async_trait]
    impl TokenEndpoint for Counting {
        async fn refresh(&self, presented: &RefreshToken) -> Result<TokenAnswer, TokenError> {
            let call = self.0.fetch_add(1, Ordering::SeqCst);
            assert_eq!(*presented, RefreshToken::new(format!("false-refresh-{call}")), "presented twice");
            let access = AccessToken::new(format!("false-access-{call}"));
            let mut answer = TokenAnswer::new(access, Duration::from_secs(3600));
            answer.refresh = Some(RefreshToken::new(format!("false-refresh-{}", call + 1)));
            Ok(answer)
        }

        async fn exchange(&self, _: &AuthorizationCode, _: &RedirectUrl) -> Result<TokenAnswer, TokenError> {
            unreachable!("nobody consents here")
        }

        async fn revoke(&self, _: &RefreshToken) -> Result<(), TokenError> {
            unreachable!("nobody revokes here")
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_hosts_with_many_tasks_make_one_call() {
        let database = TempPostgres::shared().await.database().await;
        let key = Unlock::KeyText(Unlock::generate_key_text().unwrap());
        let first = SealedVault::init_in(place(&database).await, key.clone()).await.unwrap();
        first.set(SecretName::QboRefreshToken, "false-refresh-0".into()).await.unwrap();
        let endpoint = Arc::new(Counting::default());
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let host = SealedVault::open_in(place(&database).await, key.clone()).await.unwrap();
            let clock = Arc::new(SystemClock::new());
            let provider = Arc::new(RefreshingProvider::new(Arc::new(host), endpoint.clone(), clock));
            for _ in 0..25 {
                let provider = Arc::clone(&provider);
                tasks.push(tokio::spawn(async move { provider.access_token().await.unwrap() }));
            }
        }
        for task in tasks {
            assert_eq!(task.await.unwrap().expose(), "false-access-0");
        }
        assert_eq!(endpoint.0.load(Ordering::SeqCst), 1);
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
