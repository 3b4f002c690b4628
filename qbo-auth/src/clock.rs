//! The only module that reads the time.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::watch;

/// Tells the time and waits.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall clock, in UTC. It may jump, in either direction.
    fn now_utc(&self) -> OffsetDateTime;

    /// Time since an arbitrary start. It never decreases.
    fn elapsed(&self) -> Duration;

    /// Returns once `duration` has passed.
    async fn sleep(&self, duration: Duration);
}

/// The machine's clock. It waits on tokio's timer, so it needs a tokio runtime with time enabled.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: tokio::time::Instant,
}

impl SystemClock {
    /// Creates a clock whose elapsed time starts now.
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is handed")]
    fn now_utc(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is handed")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that moves only when told to, for tests of limits and deadlines.
///
/// It records every sleep that was requested. Sleepers wake in [`ManualClock::advance`]; a clock made with
/// [`ManualClock::auto`] moves itself forward instead of making a caller wait.
#[derive(Debug)]
pub struct ManualClock {
    start: OffsetDateTime,
    elapsed: watch::Sender<Duration>,
    sleeps: watch::Sender<Vec<Duration>>,
    mode: Mode,
}

/// Whether sleeping waits for the clock to be moved, or moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Waits,
    MovesItself,
}

impl ManualClock {
    /// Creates a clock that stands still at `start`.
    pub fn new(start: OffsetDateTime) -> Self {
        Self::with_mode(start, Mode::Waits)
    }

    /// Creates a clock at `start` that moves by the length of every sleep, and returns from it at once.
    pub fn auto(start: OffsetDateTime) -> Self {
        Self::with_mode(start, Mode::MovesItself)
    }

    fn with_mode(start: OffsetDateTime, mode: Mode) -> Self {
        Self { start, elapsed: watch::Sender::default(), sleeps: watch::Sender::default(), mode }
    }

    /// Moves time forward and wakes the sleepers whose time has come.
    pub fn advance(&self, duration: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += duration);
    }

    /// Every sleep requested so far, in order.
    pub fn sleeps(&self) -> Vec<Duration> {
        self.sleeps.borrow().clone()
    }

    /// Returns once at least `count` sleeps have been requested.
    pub async fn until_sleeps(&self, count: usize) {
        let mut sleeps = self.sleeps.subscribe();
        // The sender lives as long as `self`, so the wait can only end by the condition.
        let _ = sleeps.wait_for(|asked| asked.len() >= count).await;
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now_utc(&self) -> OffsetDateTime {
        self.start + *self.elapsed.borrow()
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let mut elapsed = self.elapsed.subscribe();
        let wake_at = *elapsed.borrow() + duration;
        self.sleeps.send_modify(|sleeps| sleeps.push(duration));
        if self.mode == Mode::MovesItself {
            self.advance(duration);
        }
        // As in `until_sleeps`: the sender outlives the wait.
        let _ = elapsed.wait_for(|elapsed| *elapsed >= wake_at).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const START: OffsetDateTime = time::macros::datetime!(2026-01-01 00:00 UTC);

    #[tokio::test]
    async fn a_sleeper_wakes_when_time_has_been_moved_past_its_end() {
        let clock = Arc::new(ManualClock::new(START));
        let sleeper = tokio::spawn({
            let clock = Arc::clone(&clock);
            async move {
                clock.sleep(Duration::from_secs(5)).await;
                clock.now_utc()
            }
        });
        clock.until_sleeps(1).await;
        clock.advance(Duration::from_secs(4));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        assert_eq!(sleeper.await.unwrap(), START + Duration::from_secs(5));
        assert_eq!(clock.sleeps(), [Duration::from_secs(5)]);
    }

    #[tokio::test]
    async fn an_automatic_clock_moves_itself() {
        let clock = ManualClock::auto(START);
        clock.sleep(Duration::from_secs(90)).await;
        assert_eq!(clock.elapsed(), Duration::from_secs(90));
    }

    #[tokio::test(start_paused = true)]
    async fn the_system_clock_follows_a_paused_runtime() {
        let clock = SystemClock::new();
        clock.sleep(Duration::from_secs(3_600)).await;
        assert!(clock.elapsed() >= Duration::from_secs(3_600));
    }
}
