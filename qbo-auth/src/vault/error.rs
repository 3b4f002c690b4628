//! Errors of a vault.

use std::error::Error;
use std::fmt;
use std::path::Path;

/// A vault could not be read, written or locked. Holds paths and reasons, never contents.
#[derive(Debug)]
pub struct VaultError {
    kind: VaultErrorKind,
    path: Option<Box<Path>>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The reason of a [`VaultError`], which decides the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultErrorKind {
    /// The vault or key file does not exist.
    #[error("does not exist")]
    Missing,
    /// A vault or key file that was to be created exists already.
    #[error("exists already")]
    AlreadyExists,
    /// The group or other users may read or write the file.
    #[error("is open to other users")]
    Exposed,
    /// The file belongs to another user.
    #[error("belongs to another user")]
    ForeignOwner,
    /// The path is a symbolic link, or not a regular file.
    #[error("is not a regular file")]
    NotAFile,
    /// The key file does not hold a key.
    #[error("is not a vault key")]
    BadKey,
    /// A key was given for a vault that a passphrase opens.
    #[error("is sealed with a passphrase")]
    NeedsPassphrase,
    /// A passphrase was given for a vault that a key opens.
    #[error("is sealed with a key")]
    NeedsKeyFile,
    /// The seal does not open.
    #[error("cannot be decrypted: the key belongs to another vault, or the file was changed")]
    Undecipherable,
    /// A newer version of this program wrote the file.
    #[error("was written by a newer version")]
    NewerVersion,
    /// Another process held the lock for the whole of [`crate::LOCK_DEADLINE`].
    #[error("is locked by another process")]
    Busy,
    /// Another process changed the vault although this one holds its lock: the lock was lost, or was never shared.
    #[error("was changed by another process meanwhile")]
    Overtaken,
    /// The storage of the vault does not answer now, and may in a moment.
    #[error("cannot be reached")]
    Unreachable,
    /// The lock was lost while it was held: the connection that kept it was cut.
    #[error("is no longer locked by this process")]
    LockLost,
    /// A newer token of the same consent was seen on this host: the vault was restored from a backup.
    #[error("was restored to an earlier state")]
    Restored,
    /// The same consent was used elsewhere since: there are two vaults for it.
    #[error("is one of two vaults for the same consent")]
    SecondCopy,
    /// A secret, or the vault with it, would be larger than the limit for reading. Nothing was changed.
    #[error("would exceed the size limit of a vault; nothing was changed")]
    TooLarge,
    /// It is unknown which of two keys the vault is sealed with now.
    #[error("may be sealed with the new key or with the old one")]
    KeyInDoubt,
    /// The operating system, or other storage of the vault, refused.
    #[error("could not be read or written")]
    Io,
}

impl VaultError {
    /// Builds an error without further context.
    pub fn new(kind: VaultErrorKind) -> Self {
        Self { kind, path: None, source: None }
    }

    /// Adds the file concerned.
    pub fn at(self, path: &Path) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// Adds the cause. It must not contain contents of the vault.
    pub fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// The reason.
    pub fn kind(&self) -> VaultErrorKind {
        self.kind
    }

    /// The file concerned.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{} {}", path.display(), self.kind),
            None => write!(f, "the vault {}", self.kind),
        }
    }
}

impl Error for VaultError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
