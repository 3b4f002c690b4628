//! Storage for tokens and secrets: the only place that keeps them between two runs.
//!
//! [`TokenVault`] keeps the [`TokenSet`] of one consent, [`SecretVault`] the secrets that a person supplies. [`SealedVault`] is
//! both, sealed in a file or in another implementation of [`VaultBytes`], and opened by an [`Unlock`]; [`MemoryVault`] is both
//! for tests.

mod bytes;
mod contents;
#[cfg(feature = "test-util")]
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
/// - **Exclusive.** At most one [`VaultLock`] of a vault exists over all processes. A caller that stores a set must hold the
///   lock from before the load that the new set is based on; the vault does not check that.
/// - **In order.** Even if the lock was lost, a set only replaces an older one: [`VaultErrorKind::Overtaken`] if the stored
///   generation is higher, or the same with another refresh token.
/// - **Readable at any time.** [`load`](TokenVault::load) needs no lock.
///
/// # Cancel safety
///
/// Dropping the future of a store leaves the old set or the new one. Dropping the future of a lock leaves nothing locked. The
/// functions in `contract` (feature `test-util`) check an implementation.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TokenVault: fmt::Debug + Send + Sync {
    /// Waits for the lock, at most [`LOCK_DEADLINE`]; [`VaultErrorKind::Busy`] after that.
    async fn lock(&self) -> Result<VaultLock, VaultError>;

    /// Tries the lock without waiting; `None` while another holder has it.
    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError>;

    /// Loads the stored set, if there is one.
    async fn load(&self) -> Result<Option<TokenSet>, VaultError>;

    /// Replaces the stored set.
    async fn store(&self, tokens: &TokenSet) -> Result<(), VaultError>;

    /// Stores the first set of a lineage. In the same change it keeps each value of `about`, which belongs to the consent,
    /// unless that name has a value already.
    async fn begin<'a>(&self, tokens: &TokenSet, about: &[(SecretName, &'a str)]) -> Result<(), VaultError>;

    /// Whether a lineage that began with a refresh token of this fingerprint was ever stored here.
    async fn has_begun(&self, bootstrap: &str) -> Result<bool, VaultError>;
}

/// Keeps the secrets that a person or an orchestrator supplies.
///
/// Changes take the vault's lock themselves, so they must not be made while holding it. [`SecretName::QboRefreshToken`] is the
/// token set under another name: setting it replaces the set by a new consent (no access token, no previous token, next
/// generation), reading it returns the refresh token as it was last rotated, and removing it removes the set.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SecretVault: fmt::Debug + Send + Sync {
    /// The current value, if there is one.
    async fn get(&self, name: SecretName) -> Result<Option<SecretString>, VaultError>;

    /// Sets or replaces a value.
    async fn set(&self, name: SecretName, value: SecretString) -> Result<(), VaultError>;

    /// Removes a value; `false` if there was none.
    async fn remove(&self, name: SecretName) -> Result<bool, VaultError>;

    /// Lists the stored secrets in the order of [`SecretName::ALL`], without any value.
    async fn list(&self) -> Result<Vec<SecretInfo>, VaultError>;
}

const _: fn(&dyn TokenVault, &dyn SecretVault) = |_, _| ();

/// What another system may know of a consent, to tell whether two vaults are copies of each other and which one is behind. It
/// holds hashes under the app's secret, which both vaults must have to use the consent, and which the other system does not
/// have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentMark {
    /// Identifies the lineage of tokens: the same in every vault that began with the same token.
    pub lineage: String,
    /// Grows with every change of the tokens.
    pub generation: u64,
    /// Tells two refresh tokens apart.
    pub fingerprint: String,
}

/// Seals any bytes as the contents of a vault, under the text of a key file.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn sealed(key: &str, contents: &[u8]) -> Vec<u8> {
    let key = seal::VaultKey::from_text(key.as_bytes()).expect("it is the text of a key file");
    key.seal(contents).expect("random numbers can be had")
}

/// The result of a task. A panic in it continues in the caller: its message may quote anything, and must not become the cause
/// of an error that is printed.
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
    /// Name of the secret.
    pub name: SecretName,
    /// When the secret was set; for the refresh token, when Intuit last accepted it.
    pub changed_at: OffsetDateTime,
    /// Eight hexadecimal digits that tell two values apart. `None` for a password that a person may have chosen, because a
    /// guess at it could be checked against them.
    pub fingerprint: Option<String>,
}
