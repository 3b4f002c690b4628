//! The only place where tokens and secrets live between two runs.
//!
//! [`TokenVault`] keeps the [`TokenSet`] of one consent, [`SecretVault`] what a person supplies. [`SealedVault`] is both, sealed
//! in a file or wherever else [`VaultBytes`] lie, and opened by an [`Unlock`]; [`MemoryVault`] is both for tests.

mod bytes;
mod contents;
pub mod contract;
mod error;
mod file;
mod lock;
mod memory;
mod passphrase;
mod private_file;
mod seal;
mod sealed;
mod secret_name;
mod token_set;
mod unlock;

use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;
use time::OffsetDateTime;
use tokio::task::JoinError;

pub use bytes::{SealedBytes, VaultBytes};
pub use error::{VaultError, VaultErrorKind};
pub use lock::{LOCK_DEADLINE, LockGuard, VaultLock};
pub use memory::MemoryVault;
pub use sealed::SealedVault;
pub use secret_name::{InvalidSecretName, SecretName};
pub use token_set::{RefreshIntent, TokenSet};
pub use unlock::Unlock;

/// Keeps the tokens of one consent.
///
/// # Contract
///
/// - **Durable.** When [`store`](TokenVault::store) returns, the set survives a power cut.
/// - **Atomic.** A reader sees a whole old set or a whole new one. A failed store leaves the old one.
/// - **Exclusive.** At most one [`VaultLock`] of a vault exists over all processes. Whoever stores holds it
///   from before the load that the new set is based on; the vault does not check that.
/// - **In order.** Whatever became of the lock, a set only replaces an older one:
///   [`VaultErrorKind::Overtaken`] if the stored generation is higher, or the same with another refresh token.
/// - **Readable at any time.** [`load`](TokenVault::load) needs no lock.
///
/// # Cancel safety
///
/// Dropping the future of a store leaves the old set or the new one. Dropping the future of a lock leaves
/// nothing locked. The functions in [`crate::contract`] check an implementation.
#[async_trait]
pub trait TokenVault: fmt::Debug + Send + Sync {
    /// Waits, at most [`LOCK_DEADLINE`], until no other holder is left; [`VaultErrorKind::Busy`] after that.
    async fn lock(&self) -> Result<VaultLock, VaultError>;

    /// As [`lock`](TokenVault::lock), without waiting; `None` while there is another holder.
    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError>;

    /// The stored set, if there is one.
    async fn load(&self) -> Result<Option<TokenSet>, VaultError>;

    /// Replaces the stored set.
    async fn store(&self, tokens: &TokenSet) -> Result<(), VaultError>;

    /// As [`store`](TokenVault::store), for the first set of a line. What the consent is for is kept in the same
    /// change, where nothing is kept yet.
    async fn begin(&self, tokens: &TokenSet, about: &[(SecretName, &str)]) -> Result<(), VaultError>;

    /// Whether a line of tokens that began with a refresh token of this fingerprint was ever kept here.
    async fn has_begun(&self, bootstrap: &str) -> Result<bool, VaultError>;
}

/// Keeps the secrets that a person or an orchestrator supplies.
///
/// Changes take the vault's lock themselves, so they must not be made while holding it.
/// [`SecretName::QboRefreshToken`] is the token set under another name: setting it replaces the set by a new
/// consent (no access token, no previous token, next generation), reading it gives the refresh token as it
/// was last rotated, removing it forgets the set.
#[async_trait]
pub trait SecretVault: fmt::Debug + Send + Sync {
    /// The current value, if there is one.
    async fn get(&self, name: SecretName) -> Result<Option<SecretString>, VaultError>;

    /// Sets or replaces a value.
    async fn set(&self, name: SecretName, value: SecretString) -> Result<(), VaultError>;

    /// Forgets a value; `false` if there was none.
    async fn remove(&self, name: SecretName) -> Result<bool, VaultError>;

    /// What is there, in the order of [`SecretName::ALL`], without any value.
    async fn list(&self) -> Result<Vec<SecretInfo>, VaultError>;
}

const _: fn(&dyn TokenVault, &dyn SecretVault) = |_, _| ();

/// What another place may know of a consent, to tell whether two vaults are copies of each other and which one is
/// behind. Hashes under the app's secret, which both must have to use the consent, and which the other place has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentMark {
    /// Names the line of tokens: the same in every vault that began with the same token.
    pub lineage: String,
    /// Grows with every change of the tokens.
    pub generation: u64,
    /// Tells two refresh tokens apart.
    pub fingerprint: String,
}

/// Any bytes as the contents of a vault, sealed under the text of a key file.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn sealed(key: &str, contents: &[u8]) -> Vec<u8> {
    let key = seal::VaultKey::from_text(key.as_bytes()).expect("it is the text of a key file");
    key.seal(contents).expect("random numbers can be had")
}

/// What a task brought. A panic in it goes on in the caller: its message may quote anything, and must not become the
/// cause of an error that somebody prints.
fn unwound<T>(ended: Result<T, JoinError>) -> Result<T, VaultError> {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(value) => Ok(value),
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_)) => Err(VaultError::new(VaultErrorKind::Io)),
    }
}

/// A stored secret, described without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretInfo {
    /// Which one.
    pub name: SecretName,
    /// When it was set; for the refresh token, when Intuit last accepted it.
    pub changed_at: OffsetDateTime,
    /// Eight hexadecimal digits that tell two values apart. `None` for a password that a person may have
    /// chosen: a guess at it could be checked against them.
    pub fingerprint: Option<String>,
}
