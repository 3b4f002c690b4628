//! Where the sealed bytes of a vault lie.

use std::fmt;

use async_trait::async_trait;

use super::{VaultError, VaultLock};

/// The most sealed bytes that are written and read, wherever they lie. A vault has a few kilobytes.
pub(super) const LARGEST: usize = 1024 * 1024;

/// Keeps the sealed bytes of one vault: a file, or a row in a database that several hosts share.
///
/// # Contract
///
/// - **Durable and atomic.** When [`replace`](VaultBytes::replace) returns, the new bytes survive a power cut; a
///   failed one leaves the old bytes whole.
/// - **Exclusive.** At most one [`VaultLock`] exists over all processes that share the bytes, and it ends with the
///   process that holds it.
/// - **In order.** Bytes replace only those they were made from, where the place can tell.
///
/// The functions in [`crate::contract`] check a [`crate::SealedVault`] over an implementation.
#[async_trait]
pub trait VaultBytes: fmt::Debug + Send + Sync {
    /// Locks without waiting; `None` while there is another holder. Also proves, as far as it can be known before,
    /// that a replacement would succeed now: a token call whose result cannot be stored must not be made.
    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError>;

    /// The present bytes; [`super::VaultErrorKind::Missing`] if there are none yet.
    async fn read(&self) -> Result<SealedBytes, VaultError>;

    /// Puts the first bytes there; [`super::VaultErrorKind::AlreadyExists`] if there are some.
    async fn create(&self, bytes: &[u8]) -> Result<(), VaultError>;

    /// Replaces the bytes of a revision; [`super::VaultErrorKind::Overtaken`] if another revision is there.
    async fn replace(&self, seen: u64, bytes: &[u8]) -> Result<(), VaultError>;

    /// Destroys whatever copies of earlier bytes are kept.
    async fn forget_earlier(&self) -> Result<(), VaultError>;

    /// Adds the place to an error.
    fn locate(&self, error: VaultError) -> VaultError;
}

const _: fn(&dyn VaultBytes) = |_| ();

/// The bytes of a vault as they were read.
#[derive(Clone, Debug)]
pub struct SealedBytes {
    /// The sealed contents.
    pub bytes: Vec<u8>,
    /// Which writing they are of; always 0 where nobody else can have written under the lock.
    pub revision: u64,
}
