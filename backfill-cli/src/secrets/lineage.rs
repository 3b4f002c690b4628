//! Decides whether this vault is the current one of its consent, by the token lineage in the database.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use qbo_auth::{
    ClientSecret, SealedVault, SecretName, TokenSet, TokenVault, VaultError, VaultErrorKind, VaultLock,
};
use raw_store::{LineageCheck, TokenFingerprint, TokenLineage};

use crate::output::exit::{Exit, chain};

/// How long a refresh waits for the database, before it continues without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Name of a host that does not report one.
const NAMELESS: &str = "an unnamed host";

/// Compares a vault with the database, and records the newer state. A second copy of a vault is refused before it can
/// spend a token.
pub(crate) async fn compare(
    log: &dyn TokenLineage,
    vault: &SealedVault,
    key: &ClientSecret,
) -> Result<(), Exit> {
    match testify(log, vault, key).await? {
        Judgement::Sound => return Ok(()),
        Judgement::Lagging(generation) => {
            // The vault is next written by a refresh, which reports the error if it persists.
            if let Err(error) = vault.catch_up(generation).await {
                tracing::warn!(%error, "the restored vault could not record the newest generation");
            }
            return Ok(());
        }
        // Another process of this vault may have stored a newer token between the two reads, so compare again.
        Judgement::Old(_) => {}
    }
    testify(log, vault, key).await?.sound().map_err(|error| {
        let mut exit = Exit::from(error);
        exit.what += "; no call was made, the vault is unchanged";
        exit
    })
}

/// The result of comparing a vault with the database.
#[derive(Debug)]
enum Judgement {
    Sound,
    /// The vault has the newest token, but with an earlier generation than this one.
    Lagging(u64),
    Old(VaultError),
}

impl Judgement {
    fn sound(self) -> Result<(), VaultError> {
        match self {
            Self::Sound | Self::Lagging(_) => Ok(()),
            Self::Old(error) => Err(error),
        }
    }
}

async fn testify(log: &dyn TokenLineage, vault: &SealedVault, key: &ClientSecret) -> Result<Judgement, Exit> {
    let Some(mark) = vault.consent_mark(key).await? else {
        return Ok(Judgement::Sound);
    };
    let seen = TokenFingerprint {
        lineage: mark.lineage.into(),
        generation: mark.generation,
        fingerprint: mark.fingerprint.into(),
        host: host().into(),
    };
    Ok(judge(&seen, log.testify(&seen).await?))
}

fn judge(seen: &TokenFingerprint, testimony: LineageCheck) -> Judgement {
    let (kind, why) = match testimony {
        LineageCheck::Newest => return Judgement::Sound,
        LineageCheck::Lagging(noted) => return Judgement::Lagging(noted.generation),
        LineageCheck::Behind(newer) if newer.host == seen.host && *newer.host != *NAMELESS => (
            VaultErrorKind::Restored,
            format!(
                "the stored token is older than the one last seen (generation {} < {})",
                seen.generation, newer.generation
            ),
        ),
        LineageCheck::Behind(newer) | LineageCheck::Apart(newer) => (
            VaultErrorKind::SecondCopy,
            format!("{} has used the same consent since (generation {})", newer.host, newer.generation),
        ),
    };
    Judgement::Old(VaultError::new(kind).because(why))
}

/// This host's name, for people.
pub(crate) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { NAMELESS.into() } else { name.trim().to_owned() }
}

/// A vault that checks in the database before each refresh whether its token is the newest, and records each new one, so
/// that a second copy is found during a run and not only at its ends. It works without the database if that is down.
#[derive(Debug)]
pub(crate) struct CheckedVault {
    vault: Arc<SealedVault>,
    key: ClientSecret,
    log: OnceLock<Weak<dyn TokenLineage>>,
}

impl CheckedVault {
    pub(crate) fn new(vault: Arc<SealedVault>, key: ClientSecret) -> Self {
        Self { vault, key, log: OnceLock::new() }
    }

    /// Uses this database from now on, without keeping it open.
    pub(crate) fn tell(&self, log: Weak<dyn TokenLineage>) {
        let _ = self.log.set(log);
    }

    /// Compares the vault with the database; see [`compare`].
    pub(crate) async fn compare(&self, log: &dyn TokenLineage) -> Result<(), Exit> {
        compare(log, &self.vault, &self.key).await
    }

    async fn ask(&self) -> Result<(), VaultError> {
        let Some(log) = self.log.get().and_then(Weak::upgrade) else { return Ok(()) };
        match tokio::time::timeout(PATIENCE, testify(&*log, &self.vault, &self.key)).await {
            Ok(Ok(judged)) => judged.sound(),
            Ok(Err(exit)) => {
                tracing::warn!(what = exit.what, "the consent could not be checked in the database");
                Ok(())
            }
            Err(_) => {
                tracing::warn!("the database did not answer in time to check the consent");
                Ok(())
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenVault for CheckedVault {
    async fn lock(&self) -> Result<VaultLock, VaultError> {
        self.vault.lock().await
    }

    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        self.vault.try_lock().await
    }

    async fn load(&self) -> Result<Option<TokenSet>, VaultError> {
        self.vault.load().await
    }

    async fn store(&self, tokens: &TokenSet) -> Result<(), VaultError> {
        // A refresh begins with this write: the last moment to find out that the token is old.
        if tokens.intent.is_some() {
            self.ask().await?;
            return self.vault.store(tokens).await;
        }
        self.vault.store(tokens).await?;
        if let Err(error) = self.ask().await {
            tracing::warn!(what = chain(&error), "another vault has used this consent");
        }
        Ok(())
    }

    async fn begin<'a>(&self, tokens: &TokenSet, about: &[(SecretName, &'a str)]) -> Result<(), VaultError> {
        self.vault.begin(tokens, about).await
    }

    async fn has_begun(&self, bootstrap: &str) -> Result<bool, VaultError> {
        self.vault.has_begun(bootstrap).await
    }
}
