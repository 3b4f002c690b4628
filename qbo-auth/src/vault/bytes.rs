//! Storage for the sealed bytes of a vault.

use std::fmt;

use async_trait::async_trait;

use super::{VaultError, VaultLock};

/// The most sealed bytes that are written and read, wherever they are stored. A vault has a few kilobytes.
pub(super) const LARGEST: usize = 1024 * 1024;

/// Stores the sealed bytes of one vault: in a file, or in a row of a database that several hosts share.
///
/// # Contract
///
/// - **Durable and atomic.** When [`replace`](VaultBytes::replace) returns, the new bytes survive a power cut; if it fails, the
///   old bytes stay whole.
/// - **Exclusive.** At most one [`VaultLock`] exists over all processes that share the bytes, and it ends with the process that
///   holds it.
/// - **In order.** Bytes replace only those that they were made from, where the storage can tell.
///
/// The functions in `contract` (feature `test-util`) check a [`crate::SealedVault`] over an implementation.
#[async_trait]
pub trait VaultBytes: fmt::Debug + Send + Sync {
    /// Tries the lock without waiting; `None` while another holder has it. It also proves, as far as that can be known in
    /// advance, that a replacement would succeed now: a token call whose result cannot be stored must not be made.
    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError>;

    /// Reads the present bytes; [`super::VaultErrorKind::Missing`] if there are none yet.
    async fn read(&self) -> Result<SealedBytes, VaultError>;

    /// Stores the first bytes; [`super::VaultErrorKind::AlreadyExists`] if there are some.
    async fn create(&self, bytes: &[u8]) -> Result<(), VaultError>;

    /// Replaces the bytes if their revision is still `seen`; [`super::VaultErrorKind::Overtaken`] if it is another one.
    async fn replace(&self, seen: u64, bytes: &[u8]) -> Result<(), VaultError>;

    /// Destroys all copies of earlier bytes that are kept.
    async fn forget_earlier(&self) -> Result<(), VaultError>;

    /// Adds the location of the bytes to an error.
    fn locate(&self, error: VaultError) -> VaultError;
}

const _: fn(&dyn VaultBytes) = |_| ();

/// The bytes of a vault as they were read.
#[derive(Clone, Debug)]
pub struct SealedBytes {
    /// The sealed contents.
    pub bytes: Vec<u8>,
    /// Number of the write that stored them; always 0 if no other process can write under the lock.
    pub revision: u64,
}
