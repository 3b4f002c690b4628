//! The vault of one company for the console: opened once, because a passphrase may be asked for at the terminal.

use std::sync::Arc;

use async_trait::async_trait;
use backfill_console::{Problem, SecretShelf};
use qbo_auth::{ExposeSecret as _, SealedVault, SecretInfo, SecretName, SecretString, SecretVault as _};
use tokio::sync::Mutex;

use super::store::problem;
use crate::config::settings::Settings;
use crate::output::exit::Exit;
use crate::secrets::{Secrets, text};

/// The vault of one profile.
#[derive(Debug)]
pub(super) struct ProfileVault {
    settings: Settings,
    opened: Mutex<Option<Arc<SealedVault>>>,
}

impl ProfileVault {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, opened: Mutex::default() }
    }

    /// The vault; `None` if there is none yet.
    pub(super) async fn find(&self) -> Result<Option<Arc<SealedVault>>, Exit> {
        let mut opened = self.opened.lock().await;
        if opened.is_none() {
            *opened = Secrets::open(&self.settings).await?.vault().cloned();
        }
        Ok(opened.clone())
    }

    /// The vault, which is created if there is none.
    async fn find_or_create(&self) -> Result<Arc<SealedVault>, Exit> {
        if let Some(vault) = self.find().await? {
            return Ok(vault);
        }
        let vault = Secrets::open(&self.settings).await?.vault_for_consent(&self.settings).await?;
        *self.opened.lock().await = Some(Arc::clone(&vault));
        Ok(vault)
    }

    /// Opens the vault anew the next time: it may have got another key.
    pub(super) async fn forget(&self) {
        *self.opened.lock().await = None;
    }

    async fn put(&self, name: SecretName, value: &SecretString) -> Result<(), Exit> {
        let refused = |problem: String| {
            Exit::usage(format!("{name} was not stored: {problem}"), "enter it again as it was given to you")
        };
        let value =
            text::value(name, value.expose_secret()).map_err(|problem| refused(problem.to_string()))?;
        let value = value.ok_or_else(|| refused("the field is empty".into()))?;
        let stored = self.find_or_create().await?.set(name, SecretString::from(value)).await;
        if stored.is_err() {
            self.forget().await;
        }
        Ok(stored?)
    }
}

#[async_trait]
impl SecretShelf for ProfileVault {
    async fn list(&self) -> Result<Vec<SecretInfo>, Problem> {
        let Some(vault) = self.find().await.map_err(problem)? else { return Ok(Vec::new()) };
        match vault.list().await {
            Ok(listed) => Ok(listed),
            Err(error) => {
                self.forget().await;
                Err(problem(error.into()))
            }
        }
    }

    fn names(&self) -> Vec<SecretName> {
        // The consent writes company and tokens, because only it knows that they belong together.
        let from_consent = [SecretName::QboRealmId, SecretName::QboRefreshToken, SecretName::QboEnvironment];
        SecretName::ALL.into_iter().filter(|name| !from_consent.contains(name)).collect()
    }

    async fn set(&self, name: &SecretName, value: SecretString) -> Result<(), Problem> {
        self.put(*name, &value).await.map_err(problem)
    }
}
