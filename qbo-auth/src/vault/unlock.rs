//! The key or passphrase that opens a vault.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::passphrase::Stretch;
use super::private_file::{self, Trust};
use super::seal::{Sealed, VaultKey};
use super::{VaultError, VaultErrorKind};

/// What opens a vault: a key or a passphrase.
#[derive(Clone)]
pub enum Unlock {
    /// A key file of this user, inaccessible to all others.
    KeyFile(PathBuf),
    /// A key file that a container engine or systemd mounted into this process's own view. It may belong to root and be
    /// readable within that view (Docker mounts secrets as root's, mode 0444), but no other user may write it.
    Credential(PathBuf),
    /// The text of a key file, kept elsewhere: in the keyring of the operating system, or by an embedder.
    KeyText(SecretString),
    /// A passphrase, from which Argon2id derives the key.
    Passphrase(SecretString),
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyFile(path) => f.debug_tuple("KeyFile").field(path).finish(),
            Self::Credential(path) => f.debug_tuple("Credential").field(path).finish(),
            Self::KeyText(_) => f.write_str("KeyText(redacted)"),
            Self::Passphrase(_) => f.write_str("Passphrase(redacted)"),
        }
    }
}

impl From<&Path> for Unlock {
    fn from(path: &Path) -> Self {
        Self::KeyFile(path.to_owned())
    }
}

impl From<&PathBuf> for Unlock {
    fn from(path: &PathBuf) -> Self {
        Self::KeyFile(path.clone())
    }
}

impl Unlock {
    /// The key of an existing vault, whose bytes are `sealed`.
    pub(super) fn key(&self, sealed: &[u8]) -> Result<VaultKey, VaultError> {
        match self {
            Self::KeyFile(path) => read_key(path, Trust::OwnerOnly),
            Self::Credential(path) => read_key(path, Trust::Mounted),
            Self::KeyText(text) => {
                Ok(VaultKey::from_text(text.expose_secret().as_bytes()).map_err(VaultError::new)?)
            }
            Self::Passphrase(passphrase) => {
                let sealed = Sealed::parse(sealed).map_err(VaultError::new)?;
                let stretch = sealed.stretch.ok_or_else(|| VaultError::new(VaultErrorKind::NeedsKeyFile))?;
                Ok(VaultKey::of_passphrase(passphrase.expose_secret(), stretch).map_err(VaultError::new)?)
            }
        }
    }

    /// The key of a new vault. A key file is created, and never replaced; a mounted one must exist.
    pub(super) fn new_key(&self) -> Result<VaultKey, VaultError> {
        let random = |error: getrandom::Error| VaultError::new(VaultErrorKind::Io).because(error);
        match self {
            Self::KeyFile(path) => {
                let key = VaultKey::generate().map_err(random)?;
                private_file::create(path, key.to_text().as_bytes())?;
                Ok(key)
            }
            Self::Credential(_) | Self::KeyText(_) => self.key(&[]),
            Self::Passphrase(passphrase) => {
                let stretch = Stretch::generate().map_err(random)?;
                Ok(VaultKey::of_passphrase(passphrase.expose_secret(), stretch).map_err(VaultError::new)?)
            }
        }
    }

    /// Removes what [`Unlock::new_key`] created, for a vault that was not created.
    pub(super) fn discard_new_key(&self) {
        if let Self::KeyFile(path) = self {
            // A key without a vault would only obstruct the next attempt.
            let _ = std::fs::remove_file(path);
        }
    }

    /// As [`Unlock::discard_new_key`], unless the vault may be sealed with it.
    pub(super) fn discard_new_key_unless_needed(&self, error: &VaultError) {
        if error.kind() != VaultErrorKind::KeyInDoubt {
            self.discard_new_key();
        }
    }

    /// Generates the text of a key file, for a key that is not kept in a file.
    pub fn generate_key_text() -> Result<SecretString, VaultError> {
        let key = VaultKey::generate().map_err(|error| VaultError::new(VaultErrorKind::Io).because(error))?;
        Ok(SecretString::from(key.to_text().as_str()))
    }
}

fn read_key(path: &Path, trust: Trust) -> Result<VaultKey, VaultError> {
    let text = private_file::read_trusting(path, trust)?;
    VaultKey::from_text(&text).map_err(|kind| VaultError::new(kind).at(path))
}
