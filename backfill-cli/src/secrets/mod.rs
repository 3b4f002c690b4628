//! The secrets of one process: those handed over, then those of the vault.

pub(crate) mod keyring;
pub(crate) mod lineage;
pub(crate) mod postgres;
pub(crate) mod prompt;
pub(crate) mod provided;
pub(crate) mod text;
pub(crate) mod unlock;

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use qbo_auth::{
    Environment, ExposeSecret, RealmId, RefreshToken, SealedVault, SecretName, SecretString, SecretVault,
    VaultError, VaultErrorKind, adopt_bootstrap,
};
use raw_store::StoreError;
use time::OffsetDateTime;

use self::provided::Given;
use crate::config::settings::Settings;
use crate::output::exit::{self, Exit};
use crate::output::next_step::after_vault;

/// Where secrets are looked up.
#[derive(Debug)]
pub(crate) struct Secrets {
    given: Given,
    vault: Option<Arc<SealedVault>>,
}

impl Secrets {
    /// Reads what `--secrets` hands over, and opens no vault.
    pub(crate) async fn handed_over(settings: &Settings) -> Result<Self, Exit> {
        let given = match &settings.secrets {
            Some(source) => provided::read(source).await?,
            None => Given::new(),
        };
        Ok(Self { given, vault: None })
    }

    /// Reads what `--secrets` hands over, and opens the vault if there is one.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, Exit> {
        let mut secrets = Self::handed_over(settings).await?;
        if !is_absent(settings) {
            secrets.vault =
                unlock::open_beside(settings, &secrets).await?.map(|opened| Arc::new(opened.vault));
        }
        Ok(secrets)
    }

    /// The vault, if there is one.
    pub(crate) fn vault(&self) -> Option<&Arc<SealedVault>> {
        self.vault.as_ref()
    }

    /// The vault that keeps the tokens. Handed-over secrets get one of their own if there is none yet: the
    /// rotated token has to live somewhere.
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

    /// The vault that a new consent goes to: the one there is, or a new one beside secrets that were handed over.
    pub(crate) async fn vault_for_consent(&mut self, settings: &Settings) -> Result<Arc<SealedVault>, Exit> {
        let vault = match &self.vault {
            Some(vault) => Arc::clone(vault),
            None => Arc::new(unlock::init(settings, self, unlock::for_new(settings)).await?),
        };
        self.vault = Some(Arc::clone(&vault));
        Ok(vault)
    }

    /// A secret, if there is one.
    pub(crate) async fn find(&self, name: SecretName) -> Result<Option<SecretString>, Exit> {
        if let Some(value) = self.given.get(&name) {
            return Ok(Some(value.clone()));
        }
        match &self.vault {
            Some(vault) => Ok(vault.get(name).await?),
            None => Ok(None),
        }
    }

    /// A secret that cannot be done without.
    pub(crate) async fn need(&self, name: SecretName, settings: &Settings) -> Result<SecretString, Exit> {
        self.find(name).await?.ok_or_else(|| missing(name, settings))
    }

    /// The company: as asked for, as it was handed over, as the vault has it, as far as they agree.
    pub(crate) async fn realm(&self, settings: &Settings) -> Result<RealmId, Exit> {
        self.known_realm(settings).await?.ok_or_else(|| missing(SecretName::QboRealmId, settings))
    }

    /// As [`Secrets::realm`]; `None` before the first consent.
    pub(crate) async fn known_realm(&self, settings: &Settings) -> Result<Option<RealmId>, Exit> {
        self.agreed(SecretName::QboRealmId, settings.realm.clone(), &REALM).await
    }

    /// The environment, in the same way; otherwise the sandbox.
    pub(crate) async fn environment(&self, settings: &Settings) -> Result<Environment, Exit> {
        let agreed = self.agreed(SecretName::QboEnvironment, settings.environment, &ENVIRONMENT).await?;
        Ok(agreed.unwrap_or(Environment::Sandbox))
    }

    /// One value that may be known from three sides, which must not contradict one another: a token of one company
    /// must never be taken for another's.
    async fn agreed<T>(&self, name: SecretName, asked: Option<T>, words: &Words) -> Result<Option<T>, Exit>
    where
        T: FromStr<Err: Display> + PartialEq + Display,
    {
        let parsed = |value: SecretString| {
            value.expose_secret().trim().parse::<T>().map_err(|error| {
                Exit::usage(
                    format!("{name}: {error}"),
                    format!("{}: qbo-backfill secrets set {name}", words.remedy),
                )
            })
        };
        let given = self.given.get(&name).cloned().map(parsed).transpose()?;
        let kept = match &self.vault {
            Some(vault) => vault.get(name).await?.map(parsed).transpose()?,
            None => None,
        };
        let what = words.what;
        for (one, how, other) in [
            (&asked, "was asked for, the vault is for", &kept),
            (&given, "was handed over, the vault is for", &kept),
            (&asked, "was asked for, there was handed over", &given),
        ] {
            if let (Some(one), Some(other)) = (one, other)
                && one != other
            {
                return Err(Exit::new(
                    exit::REFUSED,
                    format!("{what}{one} {how} {what}{other}; nothing was called"),
                    words.otherwise,
                ));
            }
        }
        Ok(asked.or(given).or(kept))
    }
}

/// How people are told about a value that is known from several sides.
struct Words {
    what: &'static str,
    remedy: &'static str,
    otherwise: &'static str,
}

const REALM: Words = Words {
    what: "company ",
    remedy: "store the company's id",
    otherwise: "use that company's own vault (--vault FILE), or leave --realm out",
};

const ENVIRONMENT: Words = Words {
    what: "",
    remedy: "store sandbox or production",
    otherwise: "use that environment's own vault (--vault FILE), or leave --environment out",
};

/// Nothing configured yet is no broken vault; a vault that was asked for by name and is not there is.
fn is_absent(settings: &Settings) -> bool {
    let fresh = settings.vault.path.symlink_metadata().is_err() && !settings.vault.is_shared();
    fresh && (!settings.vault.named || settings.secrets.is_some())
}

fn missing(name: SecretName, settings: &Settings) -> Exit {
    let is_there = settings.vault.path.exists() || settings.vault.is_shared();
    let first = if is_there { "" } else { "qbo-backfill secrets init, then " };
    let remedy = match name {
        // A consent brings both.
        SecretName::QboRefreshToken | SecretName::QboRealmId => "qbo-backfill auth login".to_owned(),
        name => format!("qbo-backfill secrets set {name}"),
    };
    Exit::usage(format!("the secret {name} is missing; nothing was called"), format!("{first}{remedy}"))
}

impl From<VaultError> for Exit {
    fn from(error: VaultError) -> Self {
        Self::from(&error)
    }
}

impl From<&VaultError> for Exit {
    fn from(error: &VaultError) -> Self {
        // The vault may lie in the database; then its errors are the database's.
        if let Some(store) =
            std::error::Error::source(error).and_then(|source| source.downcast_ref::<StoreError>())
        {
            return Self::from(store);
        }
        let code = match error.kind() {
            VaultErrorKind::Busy | VaultErrorKind::Overtaken | VaultErrorKind::LockLost => exit::HELD,
            VaultErrorKind::Restored => exit::REAUTHORISE,
            VaultErrorKind::TooLarge => exit::USAGE,
            _ => exit::VAULT,
        };
        Self::new(code, exit::chain(error), after_vault(error.kind()))
    }
}
