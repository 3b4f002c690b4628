//! Exclusive access to a vault, over tasks and processes.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::{VaultError, VaultErrorKind};
use crate::clock::Clock;

/// How long a caller waits for a lock: longer than one token call may take (60 seconds), short enough for a person to wait. A
/// refresh that is repeated through an outage takes longer, and waiting for it would not help: callers use an access token that
/// is still valid, or end.
pub const LOCK_DEADLINE: Duration = Duration::from_secs(90);

/// The shortest wait between two tries of a held lock; up to as much again is added as jitter.
const POLL_MILLIS: u64 = 50;

/// Proof that a vault is locked. Dropping it unlocks.
#[must_use = "dropping the guard unlocks the vault"]
pub struct VaultLock {
    guard: Box<dyn LockGuard>,
}

/// Keeps a lock. Dropping it unlocks.
#[async_trait]
pub trait LockGuard: Send + Sync {
    /// Whether the lock is still held: a lock that depends on a connection ends with it, without notice.
    async fn is_held(&self) -> bool;
}

const _: fn(&dyn LockGuard) = |_| ();

impl VaultLock {
    /// Wraps a value that keeps the lock for as long as the value lives.
    pub fn holding(guard: impl Send + Sync + 'static) -> Self {
        Self::guarded(Lasting { _guard: guard })
    }

    /// Wraps a guard that keeps the lock for as long as it says so.
    pub fn guarded(guard: impl LockGuard + 'static) -> Self {
        Self { guard: Box::new(guard) }
    }

    /// Whether the lock is still held. It may ask another machine, within a few seconds.
    pub async fn is_held(&self) -> bool {
        self.guard.is_held().await
    }
}

/// A guard that ends only when it is dropped.
struct Lasting<T> {
    _guard: T,
}

#[async_trait]
impl<T: Send + Sync> LockGuard for Lasting<T> {
    async fn is_held(&self) -> bool {
        true
    }
}

impl fmt::Debug for VaultLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultLock")
    }
}

/// Tries until `try_lock` gives a guard or [`LOCK_DEADLINE`] has passed. Storage that cannot be reached for a moment counts as
/// locked.
///
/// It polls, because a blocking lock call could not be given up when the deadline passes.
pub(super) async fn poll<F>(
    clock: &dyn Clock,
    mut try_lock: impl FnMut() -> F + Send,
) -> Result<VaultLock, VaultError>
where
    F: Future<Output = Result<Option<VaultLock>, VaultError>> + Send,
{
    let deadline = clock.elapsed() + LOCK_DEADLINE;
    loop {
        let refused = match try_lock().await {
            Ok(Some(lock)) => return Ok(lock),
            Ok(None) => VaultError::new(VaultErrorKind::Busy),
            Err(error) if error.kind() == VaultErrorKind::Unreachable => error,
            Err(error) => return Err(error),
        };
        if clock.elapsed() >= deadline {
            return Err(refused);
        }
        clock.sleep(Duration::from_millis(POLL_MILLIS + jitter(clock))).await;
    }
}

/// Keeps processes that started together from polling together: no two of them poll in the same microsecond. Not random, so
/// that a simulated clock repeats it.
fn jitter(clock: &dyn Clock) -> u64 {
    u64::from(clock.now_utc().microsecond()) % POLL_MILLIS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[tokio::test]
    async fn a_place_that_is_away_for_a_moment_is_asked_again_until_the_deadline() {
        let clock = ManualClock::auto(time::OffsetDateTime::UNIX_EPOCH);
        let mut away = 3;
        let look = || {
            away -= 1;
            std::future::ready(match away {
                0 => Ok(Some(VaultLock::holding(()))),
                1 => Ok(None),
                _ => Err(VaultError::new(VaultErrorKind::Unreachable)),
            })
        };
        assert!(poll(&clock, look).await.unwrap().is_held().await);
        let gone = || std::future::ready(Err(VaultError::new(VaultErrorKind::Unreachable)));
        assert_eq!(poll(&clock, gone).await.unwrap_err().kind(), VaultErrorKind::Unreachable);
        assert!(clock.elapsed() >= LOCK_DEADLINE);
        let broken = || std::future::ready(Err(VaultError::new(VaultErrorKind::Io)));
        assert_eq!(poll(&clock, broken).await.unwrap_err().kind(), VaultErrorKind::Io);
    }
}
