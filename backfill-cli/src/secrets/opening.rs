//! Opens the secrets of one process: those from `--secrets`, and the vault.

use std::sync::Arc;

use qbo_auth::{RefreshToken, SealedVault, SecretName, SecretVault as _, adopt_bootstrap};
use time::OffsetDateTime;

use super::lookup::{Secrets, missing};
use super::provided::{self, ProvidedSecrets};
use super::unlock;
use crate::config::settings::Settings;
use crate::output::exit::Exit;

impl Secrets {
    /// Reads the secrets from `--secrets`, without opening a vault.
    pub(crate) async fn handed_over(settings: &Settings) -> Result<Self, Exit> {
        let given = match &settings.secrets {
            Some(source) => provided::read(source).await?,
            None => ProvidedSecrets::new(),
        };
        Ok(Self { given, vault: None })
    }

    /// Reads the secrets from `--secrets`, and opens the vault if there is one.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, Exit> {
        let mut secrets = Self::handed_over(settings).await?;
        if !is_absent(settings) {
            secrets.vault =
                unlock::open_beside(settings, &secrets).await?.map(|opened| Arc::new(opened.vault));
        }
        Ok(secrets)
    }

    /// The vault that keeps the tokens. It is created for secrets from `--secrets` if there is none, because the rotated
    /// token has to be stored.
    pub(crate) async fn token_vault(
        &mut self,
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Result<Arc<SealedVault>, Exit> {
        if self.vault.is_none() && !self.given.contains_key(&SecretName::QboRefreshToken) {
            return Err(missing(SecretName::QboRefreshToken, settings));
        }
        let vault = self.vault_for_consent(settings).await?;
        if let Some(token) = self.given.get(&SecretName::QboRefreshToken) {
            let (realm, environment) =
                (self.known_realm(settings).await?, self.environment(settings).await?.to_string());
            let mut about = vec![(SecretName::QboEnvironment, environment.as_str())];
            about.extend(realm.as_ref().map(|realm| (SecretName::QboRealmId, realm.as_str())));
            adopt_bootstrap(&*vault, RefreshToken::new(token.clone()), &about, now).await?;
        } else if vault.get(SecretName::QboRefreshToken).await?.is_none() {
            return Err(missing(SecretName::QboRefreshToken, settings));
        }
        Ok(vault)
    }

    /// The vault for a new consent: the existing one, or a new one.
    pub(crate) async fn vault_for_consent(&mut self, settings: &Settings) -> Result<Arc<SealedVault>, Exit> {
        let vault = match &self.vault {
            Some(vault) => Arc::clone(vault),
            None => Arc::new(unlock::init(settings, self, unlock::for_new(settings)).await?),
        };
        self.vault = Some(Arc::clone(&vault));
        Ok(vault)
    }
}

/// Whether no vault has been set up yet. A missing vault that the user named is an error instead.
fn is_absent(settings: &Settings) -> bool {
    let fresh = settings.vault.path.symlink_metadata().is_err() && !settings.vault.is_shared();
    fresh && (!settings.vault.named || settings.secrets.is_some())
}
