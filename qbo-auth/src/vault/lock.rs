//! Exclusion over tasks and processes.

use std::fmt;
use std::time::Duration;

use super::{VaultError, VaultErrorKind};
use crate::clock::Clock;

/// How long a lock is waited for: longer than one token call may take (60 seconds), short enough for a
/// person to wait.
pub const LOCK_DEADLINE: Duration = Duration::from_secs(90);

/// The shortest wait between two looks at a held lock; up to as much again is added by chance.
const POLL_MILLIS: u64 = 50;

/// Proof that a vault is locked. Dropping it unlocks.
#[must_use = "dropping the guard unlocks the vault"]
pub struct VaultLock {
    _guard: Box<dyn Send + Sync>,
}

impl VaultLock {
    /// Wraps whatever keeps the lock as long as it lives.
    pub fn holding(guard: impl Send + Sync + 'static) -> Self {
        Self { _guard: Box::new(guard) }
    }
}

impl fmt::Debug for VaultLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultLock")
    }
}

/// Looks again and again until `try_lock` gives a guard or [`LOCK_DEADLINE`] has passed.
///
/// Polling, because a blocking lock call could not be given up when the deadline passes.
pub(super) async fn poll<F>(
    clock: &dyn Clock,
    mut try_lock: impl FnMut() -> F + Send,
) -> Result<VaultLock, VaultError>
where
    F: Future<Output = Result<Option<VaultLock>, VaultError>> + Send,
{
    let deadline = clock.elapsed() + LOCK_DEADLINE;
    loop {
        if let Some(lock) = try_lock().await? {
            return Ok(lock);
        }
        if clock.elapsed() >= deadline {
            return Err(VaultError::new(VaultErrorKind::Busy));
        }
        clock.sleep(Duration::from_millis(POLL_MILLIS + jitter())).await;
    }
}

/// Keeps processes that started together from looking together. Needs no seed: no outcome depends on it.
fn jitter() -> u64 {
    getrandom::u64().map_or(0, |random| random % POLL_MILLIS)
}
