//! Keeps the vault's key in the keyring of the operating system: Keychain, Credential Manager, or a Secret Service such as
//! GNOME Keyring. Only with the feature `keyring`; hosts without a desktop have no keyring.

use std::fmt;
use std::path::Path;

use qbo_auth::SecretString;
use raw_store::{DatabaseOptions, SchemaName};

use crate::output::exit::{Exit, VAULT};

/// The account name of a key in the keyring.
#[derive(Clone, Debug)]
pub(crate) struct Account(String);

impl Account {
    /// The account of a vault file.
    pub(crate) fn file(path: &Path) -> Self {
        Self(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string())
    }

    /// The account of the vault in a database.
    pub(crate) fn shared(options: &DatabaseOptions, schema: &SchemaName) -> Self {
        let (host, port, database) = (options.host(), options.port(), options.database());
        Self(format!("vault in the database {host}:{port}/{database}, schema {schema}"))
    }

    /// The account of a new key until the vault is sealed with it.
    pub(crate) fn pending(&self) -> Self {
        Self(format!("{} (new)", self.0))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The keyring exists, but is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Locked;

impl From<Locked> for Exit {
    fn from(_: Locked) -> Self {
        Self::new(
            VAULT,
            "there is no key file, and the keyring, which may hold the vault's key, is locked",
            "unlock the keyring of this user, then run the same command again; or name the key: --vault-key-file FILE",
        )
    }
}

/// Why a keyring cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "keyring"), expect(dead_code, reason = "there is no keyring in this build"))]
pub(crate) enum Refusal {
    Locked,
    Other(&'static str),
}

impl Refusal {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Locked => "it is locked",
            Self::Other(word) => word,
        }
    }
}

/// Reads the key, if there is a keyring with one.
pub(crate) fn find(account: &Account) -> Result<Option<SecretString>, Locked> {
    match system::get(&account.0) {
        Ok(found) => Ok(found),
        Err(Refusal::Locked) => Err(Locked),
        Err(Refusal::Other(why)) => {
            tracing::debug!(why, "the keyring could not be used");
            Ok(None)
        }
    }
}

/// Stores a key, replacing an existing one.
pub(crate) fn keep(account: &Account, key: &SecretString) -> Result<(), Refusal> {
    system::set(&account.0, key)
}

/// Removes a key, if there is one.
pub(crate) fn forget(account: &Account) {
    let _ = system::delete(&account.0);
}

#[cfg(feature = "keyring")]
mod system {
    use keyring::{Entry, Error};
    use qbo_auth::{ExposeSecret as _, SecretString};

    use super::Refusal;

    const SERVICE: &str = "qbo-backfill";

    pub(super) fn get(account: &str) -> Result<Option<SecretString>, Refusal> {
        match apart(account, |entry| entry.get_password().map(SecretString::from)) {
            Ok(key) => Ok(Some(key)),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(reason(&error)),
        }
    }

    pub(super) fn set(account: &str, key: &SecretString) -> Result<(), Refusal> {
        apart(account, |entry| entry.set_password(key.expose_secret())).map_err(|error| reason(&error))
    }

    pub(super) fn delete(account: &str) -> Result<(), Refusal> {
        apart(account, Entry::delete_credential).map_err(|error| reason(&error))
    }

    /// Runs on its own thread, because a client of the Secret Service may start an executor, which a task of another executor
    /// must not do.
    fn apart<T: Send>(
        account: &str,
        act: impl FnOnce(&Entry) -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        std::thread::scope(|scope| {
            let acting = scope.spawn(|| act(&Entry::new(SERVICE, account)?));
            acting.join().unwrap_or(Err(Error::NoDefaultStore))
        })
    }

    /// Describes the error in our own words, because a message of the keyring could contain the key.
    fn reason(error: &Error) -> Refusal {
        match error {
            Error::NoDefaultStore | Error::PlatformFailure(_) => {
                Refusal::Other("there is none, or it does not answer")
            }
            Error::NoStorageAccess(_) => Refusal::Locked,
            _ => Refusal::Other("it refuses"),
        }
    }
}

#[cfg(not(feature = "keyring"))]
mod system {
    use qbo_auth::SecretString;

    use super::Refusal;

    const ABSENT: Refusal =
        Refusal::Other("this program was built without it: cargo build -p backfill-cli --features keyring");

    pub(super) fn get(_: &str) -> Result<Option<SecretString>, Refusal> {
        Err(ABSENT)
    }

    pub(super) fn set(_: &str, _: &SecretString) -> Result<(), Refusal> {
        Err(ABSENT)
    }

    pub(super) fn delete(_: &str) -> Result<(), Refusal> {
        Err(ABSENT)
    }
}
