//! Looks up the secrets of one process: first those from `--secrets`, then those of the vault.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use qbo_auth::{
    Environment, ExposeSecret, RealmId, SealedVault, SecretName, SecretString, SecretVault, VaultError,
    VaultErrorKind,
};
use raw_store::StoreError;

use super::provided::ProvidedSecrets;
use crate::config::settings::Settings;
use crate::output::exit::{self, Exit};
use crate::output::next_step::after_vault;

/// The sources of secrets.
#[derive(Debug)]
pub(crate) struct Secrets {
    pub(super) given: ProvidedSecrets,
    pub(super) vault: Option<Arc<SealedVault>>,
}

impl Secrets {
    /// The vault, if there is one.
    pub(crate) fn vault(&self) -> Option<&Arc<SealedVault>> {
        self.vault.as_ref()
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

    /// A secret that is required.
    pub(crate) async fn need(&self, name: SecretName, settings: &Settings) -> Result<SecretString, Exit> {
        self.find(name).await?.ok_or_else(|| missing(name, settings))
    }

    /// The company by options, `--secrets` and vault, which must agree.
    pub(crate) async fn realm(&self, settings: &Settings) -> Result<RealmId, Exit> {
        self.known_realm(settings).await?.ok_or_else(|| missing(SecretName::QboRealmId, settings))
    }

    /// The company like [`Secrets::realm`], or `None` before the first consent.
    pub(crate) async fn known_realm(&self, settings: &Settings) -> Result<Option<RealmId>, Exit> {
        self.agreed(SecretName::QboRealmId, settings.realm.clone(), &REALM).await
    }

    /// The environment by the same sources; the sandbox if none names one.
    pub(crate) async fn environment(&self, settings: &Settings) -> Result<Environment, Exit> {
        let agreed = self.agreed(SecretName::QboEnvironment, settings.environment, &ENVIRONMENT).await?;
        Ok(agreed.unwrap_or(Environment::Sandbox))
    }

    /// A value that three sources may name. They must not contradict each other, so that a token of one company is never used
    /// for another.
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
            (&asked, "was requested, but the vault is for", &kept),
            (&given, "comes from --secrets, but the vault is for", &kept),
            (&asked, "was requested, but --secrets has", &given),
        ] {
            if let (Some(one), Some(other)) = (one, other)
                && one != other
            {
                return Err(Exit::new(
                    exit::REFUSED,
                    format!("{what}{one} {how} {what}{other}; no call was made"),
                    words.otherwise,
                ));
            }
        }
        Ok(asked.or(given).or(kept))
    }
}

/// The words of an error about a value that several sources name.
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

pub(super) fn missing(name: SecretName, settings: &Settings) -> Exit {
    let is_there = settings.vault.path.exists() || settings.vault.is_shared();
    let first = if is_there { "" } else { "qbo-backfill secrets init, then " };
    let remedy = match name {
        // A consent provides both.
        SecretName::QboRefreshToken | SecretName::QboRealmId => "qbo-backfill auth login".to_owned(),
        name => format!("qbo-backfill secrets set {name}"),
    };
    Exit::usage(format!("the secret {name} is missing; no call was made"), format!("{first}{remedy}"))
}

impl From<VaultError> for Exit {
    fn from(error: VaultError) -> Self {
        Self::from(&error)
    }
}

impl From<&VaultError> for Exit {
    fn from(error: &VaultError) -> Self {
        // The vault may be in the database; its errors are then those of the database.
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
