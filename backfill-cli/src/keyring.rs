//! The vault's key in the keyring of the operating system: Keychain, Credential Manager, or a Secret Service such as
//! GNOME Keyring. Only with the feature `keyring`; hosts without a desktop have none.

use qbo_auth::SecretString;

use crate::exit::{Exit, VAULT};
use crate::settings::Settings;

/// Under what a key is kept.
#[derive(Clone, Debug)]
pub(crate) struct Account(String);

impl Account {
    /// The account of the configured vault.
    pub(crate) fn of(settings: &Settings) -> Self {
        if settings.vault.is_shared() {
            return Self(format!("vault in the database, schema {}", settings.schema));
        }
        let path = &settings.vault.path;
        Self(std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string())
    }

    /// Where a new key waits until the vault is sealed with it.
    pub(crate) fn pending(&self) -> Self {
        Self(format!("{} (new)", self.0))
    }
}

/// The key, if there is a keyring and it has one.
pub(crate) fn find(account: &Account) -> Option<SecretString> {
    match system::get(&account.0) {
        Ok(found) => found,
        Err(why) => {
            tracing::debug!(why, "the keyring was not asked");
            None
        }
    }
}

/// Keeps a key, in place of another one.
pub(crate) fn keep(account: &Account, key: &SecretString) -> Result<(), Exit> {
    system::set(&account.0, key).map_err(|why| {
        Exit::new(
            VAULT,
            format!("the key cannot be kept in the keyring ({why}); nothing was changed"),
            "use a key file (leave --keyring out) or a passphrase (--passphrase)",
        )
    })
}

/// Forgets a key, if there is one.
pub(crate) fn forget(account: &Account) {
    let _ = system::delete(&account.0);
}

#[cfg(feature = "keyring")]
mod system {
    use keyring::{Entry, Error};
    use qbo_auth::{ExposeSecret as _, SecretString};

    const SERVICE: &str = "qbo-backfill";

    pub(super) fn get(account: &str) -> Result<Option<SecretString>, &'static str> {
        match apart(account, |entry| entry.get_password().map(SecretString::from)) {
            Ok(key) => Ok(Some(key)),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(reason(&error)),
        }
    }

    pub(super) fn set(account: &str, key: &SecretString) -> Result<(), &'static str> {
        apart(account, |entry| entry.set_password(key.expose_secret())).map_err(|error| reason(&error))
    }

    pub(super) fn delete(account: &str) -> Result<(), &'static str> {
        apart(account, Entry::delete_credential).map_err(|error| reason(&error))
    }

    /// On a thread of its own: a client of the Secret Service may start an executor, which no task of another one may.
    fn apart<T: Send>(
        account: &str,
        act: impl FnOnce(&Entry) -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        std::thread::scope(|scope| {
            let acting = scope.spawn(|| act(&Entry::new(SERVICE, account)?));
            acting.join().unwrap_or(Err(Error::NoDefaultStore))
        })
    }

    /// In our own words: a message of the keyring could hold what is in it.
    fn reason(error: &Error) -> &'static str {
        match error {
            Error::NoDefaultStore | Error::PlatformFailure(_) => "there is none, or it does not answer",
            Error::NoStorageAccess(_) => "it is locked",
            _ => "it refuses",
        }
    }
}

#[cfg(not(feature = "keyring"))]
mod system {
    use qbo_auth::SecretString;

    const ABSENT: &str = "this program was built without: cargo build -p backfill-cli --features keyring";

    pub(super) fn get(_: &str) -> Result<Option<SecretString>, &'static str> {
        Err(ABSENT)
    }

    pub(super) fn set(_: &str, _: &SecretString) -> Result<(), &'static str> {
        Err(ABSENT)
    }

    pub(super) fn delete(_: &str) -> Result<(), &'static str> {
        Err(ABSENT)
    }
}
