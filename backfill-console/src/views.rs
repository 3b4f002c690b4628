//! Computes what pages show at most once a second, and for a small part of the time, whatever the number of tabs that look.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use qbo_auth::Clock;

use crate::trouble::Trouble;

/// How long a view stays as it is at least.
const FRESH: Duration = Duration::from_secs(1);

/// How long a view stays as it is, so that the database has most of its time for the runs that people watch. One that could not be
/// computed stays as long as that took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// So many times as long as it took to compute.
    rest: u32,
    /// And so long at most.
    longest: Duration,
}

impl Pace {
    /// For what people watch while it changes.
    pub(crate) const WATCHED: Self = Self { rest: 20, longest: Duration::from_secs(3) };

    /// For what is computed from all that is stored, and looks nearly the same for a while.
    pub(crate) const LEISURELY: Self = Self { rest: 60, longest: Duration::from_secs(12) };
}

/// How long a view may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most views that are kept. Beyond that, those that nobody has asked for lately go.
const MOST: usize = 256;

/// How long a view that nobody asks for is kept at least: it is the last known state if the database goes away.
const KEPT: Duration = Duration::from_secs(600);

/// A view, and how it came about.
#[derive(Clone, Debug)]
pub(crate) struct Seen<T> {
    pub(crate) value: Arc<T>,
    /// How long ago it was computed, by a clock that never goes back.
    pub(crate) age: Duration,
    /// Why it could not be computed again; it is then the last that could.
    pub(crate) stale: Option<Trouble>,
}

type Value = Arc<dyn Any + Send + Sync>;

/// The last result of one view.
#[derive(Debug, Default)]
struct Kept {
    /// Until when it stays as it is, by a clock that never goes back.
    until: Option<Duration>,
    trouble: Option<Trouble>,
    /// The value, and when it was computed.
    good: Option<(Value, Duration)>,
}

#[derive(Debug, Default)]
struct Slot {
    asked: Duration,
    kept: Arc<tokio::sync::Mutex<Kept>>,
}

/// The views of a console, by their type and the address that asks for them.
#[derive(Debug)]
pub(crate) struct Views {
    clock: Arc<dyn Clock>,
    slots: Mutex<HashMap<(TypeId, String), Slot>>,
}

impl Views {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, slots: Mutex::default() }
    }

    /// Returns the view of an address, and computes it unless that was done a moment ago. Those who ask meanwhile wait for the same
    /// result.
    pub(crate) async fn once<T: Send + Sync + 'static>(
        &self,
        address: &str,
        pace: Pace,
        compute: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<Seen<T>, Trouble> {
        let slot = self.slot((TypeId::of::<T>(), address.to_owned()));
        let mut kept = slot.lock().await;
        let begun = self.clock.elapsed();
        if kept.until.is_none_or(|until| begun >= until) {
            let result = tokio::select! {
                result = compute => result,
                () = self.clock.sleep(PATIENCE) => Err(Trouble::Slow),
            };
            let ended = self.clock.elapsed();
            let took = ended.saturating_sub(begun);
            let rest = if result.is_ok() { (took * pace.rest).min(pace.longest) } else { took }.max(FRESH);
            kept.until = Some(ended + rest);
            kept.trouble = result.map(|value| kept.good = Some((Arc::new(value), ended))).err();
        }
        let stale = kept.trouble.clone();
        let good = kept.good.clone().and_then(|(value, at)| Some((value.downcast::<T>().ok()?, at)));
        match (good, stale) {
            (Some((value, at)), stale) => {
                Ok(Seen { value, age: self.clock.elapsed().saturating_sub(at), stale })
            }
            (None, trouble) => Err(trouble.unwrap_or(Trouble::Slow)),
        }
    }

    /// Lets every view be computed anew, because a person has changed something.
    pub(crate) fn refresh(&self) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        // A view that is being computed now may have been read before the change.
        for slot in slots.values_mut() {
            let is_idle = slot.kept.try_lock().map(|mut kept| kept.until = None).is_ok();
            if !is_idle {
                slot.kept = Arc::default();
            }
        }
    }

    fn slot(&self, key: (TypeId, String)) -> Arc<tokio::sync::Mutex<Kept>> {
        let now = self.clock.elapsed();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST && !slots.contains_key(&key) {
            slots.retain(|_, slot| now.saturating_sub(slot.asked) < KEPT);
            let oldest = slots.iter().min_by_key(|(_, slot)| slot.asked).map(|(key, _)| key.clone());
            oldest.filter(|_| slots.len() >= MOST).map(|key| slots.remove(&key));
        }
        let slot = slots.entry(key).or_default();
        slot.asked = now;
        Arc::clone(&slot.kept)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use qbo_auth::ManualClock;
    use time::macros::datetime;

    use super::*;

    fn views() -> (Arc<ManualClock>, Views) {
        let clock = Arc::new(ManualClock::new(datetime!(2026-11-30 14:00 UTC)));
        (Arc::clone(&clock), Views::new(clock))
    }

    #[tokio::test]
    async fn many_who_look_at_once_cost_one_query() {
        let (clock, views) = views();
        let queries = AtomicU32::new(0);
        let count = async || {
            tokio::task::yield_now().await;
            Ok::<_, Trouble>(queries.fetch_add(1, Ordering::Relaxed))
        };
        let (one, two) =
            tokio::join!(views.once("/", Pace::WATCHED, count()), views.once("/", Pace::WATCHED, count()));
        assert_eq!((*one.unwrap().value, *two.unwrap().value), (0, 0));
        assert_eq!(*views.once("/?x=1", Pace::WATCHED, count()).await.unwrap().value, 1);
        clock.advance(FRESH);
        assert_eq!(*views.once("/", Pace::WATCHED, count()).await.unwrap().value, 2);
        views.refresh();
        assert_eq!(*views.once("/", Pace::WATCHED, count()).await.unwrap().value, 3);
    }

    #[tokio::test]
    async fn a_view_that_takes_long_is_computed_less_often_and_one_that_failed_is_not() {
        let (clock, views) = views();
        let slow = async |value: u32| {
            clock.advance(Duration::from_millis(100));
            Ok::<_, Trouble>(value)
        };
        assert_eq!(*views.once("/", Pace::WATCHED, slow(1)).await.unwrap().value, 1);
        clock.advance(Duration::from_millis(1_999));
        assert_eq!(*views.once("/", Pace::WATCHED, slow(2)).await.unwrap().value, 1);
        clock.advance(Duration::from_millis(1));
        assert_eq!(*views.once("/", Pace::WATCHED, slow(3)).await.unwrap().value, 3);
        clock.advance(Duration::from_secs(2));
        let failed = async {
            clock.advance(Duration::from_secs(5));
            Err(Trouble::Slow)
        };
        assert_eq!(views.once::<u32>("/", Pace::WATCHED, failed).await.unwrap().stale, Some(Trouble::Slow));
        clock.advance(Duration::from_millis(4_999));
        assert_eq!(*views.once("/", Pace::WATCHED, slow(4)).await.unwrap().value, 3);
        clock.advance(Duration::from_millis(1));
        assert_eq!(*views.once("/", Pace::WATCHED, slow(4)).await.unwrap().value, 4);
    }

    #[tokio::test]
    async fn the_last_view_stays_while_the_store_is_away() {
        let (clock, views) = views();
        let away = async || Err::<u32, _>(Trouble::Slow);
        assert_eq!(views.once("/", Pace::WATCHED, away()).await.unwrap_err(), Trouble::Slow);
        clock.advance(FRESH);
        assert_eq!(views.once("/", Pace::WATCHED, async { Ok(7_u32) }).await.unwrap().stale, None);
        clock.advance(FRESH);
        let last = views.once("/", Pace::WATCHED, away()).await.unwrap();
        assert_eq!((*last.value, last.stale), (7, Some(Trouble::Slow)));
        assert_eq!(last.age, FRESH);
    }
}
