//! Keeps the leases of this process alive by a dedicated connection and by heartbeats, and reports a lost lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use failpoint::point;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::postgres::connect::{Backend, Connector};
use crate::postgres::lease;
use crate::{Lease, StoreError, StoreErrorKind};

/// Number of heartbeats in a lease's time. After three quarters of that time without one, its owner gives up by itself.
const BEATS: u32 = 4;

/// Interval of the checks whether the connection was cut.
const LOOK: Duration = Duration::from_millis(250);

/// Keeps the leases of this process: by a connection that ends with the process, and by heartbeats over that connection, which
/// also stop when the process is frozen or cut off.
///
/// It uses real time, whatever clock the rest of the program is given: the other side of a lease is a server.
#[derive(Debug)]
pub(in crate::postgres) struct Heartbeat {
    connector: Connector,
    /// How long a lease lasts without a heartbeat.
    pub(in crate::postgres) lasts: Duration,
    /// The connection that proves that this process lives: leases name its server process.
    guard: Mutex<Option<Arc<Backend>>>,
    held: watch::Sender<BTreeMap<Box<str>, Held>>,
    /// Names that are being requested.
    taking: std::sync::Mutex<BTreeSet<Box<str>>>,
    beats: AtomicBool,
}

/// A lease of this process, and when it was last renewed.
#[derive(Clone, Copy, Debug)]
struct Held {
    epoch: i64,
    heard: Moment,
}

/// A moment by both of a machine's clocks: one stands still while the machine sleeps, the other can be set.
#[derive(Clone, Copy, Debug)]
pub(in crate::postgres) struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    #[expect(
        clippy::disallowed_methods,
        reason = "a lease is kept by real time, whatever clock others are given"
    )]
    pub(in crate::postgres) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// Its age, by the clock that shows the longer time.
    fn age(self) -> Duration {
        let now = Self::now();
        let wall = now.wall.duration_since(self.wall).unwrap_or_default();
        now.monotonic.saturating_duration_since(self.monotonic).max(wall)
    }
}

impl Heartbeat {
    pub(in crate::postgres) fn new(connector: Connector, lasts: Duration) -> Self {
        Self {
            connector,
            lasts,
            guard: Mutex::default(),
            held: watch::Sender::default(),
            taking: std::sync::Mutex::default(),
            beats: AtomicBool::new(false),
        }
    }

    /// The connection that stands for this process, opened where it is missing or was cut.
    pub(in crate::postgres) async fn guard(&self) -> Result<Arc<Backend>, StoreErrorKind> {
        let mut guard = self.guard.lock().await;
        if let Some(guard) = guard.as_ref().filter(|guard| !guard.client.is_closed()) {
            return Ok(Arc::clone(guard));
        }
        Ok(Arc::clone(guard.insert(Arc::new(Backend::open(&self.connector).await?))))
    }

    /// Whether the connection that stands for this process has ended.
    fn is_cut(&self) -> bool {
        self.guard.try_lock().is_ok_and(|guard| guard.as_ref().is_some_and(|guard| guard.client.is_closed()))
    }

    /// The epoch of the ownership that this process has, as far as it knows.
    pub(in crate::postgres) fn epoch(&self, name: &str) -> Option<i64> {
        self.held.borrow().get(name).map(|held| held.epoch)
    }

    /// Reserves a name that this process is about to request. `None` if another task is requesting it: to the server, all tasks
    /// are one owner.
    pub(in crate::postgres) fn reserve(&self, name: &str) -> Option<Reservation<'_>> {
        let mut taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        taking.insert(name.into()).then(|| Reservation { heart: self, name: name.into() })
    }

    /// Keeps a lease that was requested at this moment.
    pub(in crate::postgres) fn keep(self: &Arc<Self>, lease: &Lease, asked: Moment) {
        let held = Held { epoch: lease.epoch, heard: asked };
        self.held.send_modify(|all| {
            all.insert(lease.entity_name.clone(), held);
        });
        if !self.beats.swap(true, Ordering::Relaxed) {
            tokio::spawn(beat(Arc::downgrade(self), self.lasts / BEATS));
        }
    }

    /// Stops keeping a lease.
    pub(in crate::postgres) fn forget(&self, lease: &Lease) {
        self.held.send_modify(|all| all.retain(|name, held| !held.is(name, lease)));
    }

    /// Returns once a lease is lost.
    pub(in crate::postgres) async fn lost(&self, lease: &Lease) -> StoreError {
        let mut held = self.held.subscribe();
        // The sender lives as long as `self`, so the wait can only end by the condition.
        let _ = held.wait_for(|all| !all.iter().any(|(name, held)| held.is(name, lease))).await;
        let operation = format!("keeping pipeline {}", lease.entity_name);
        StoreError::new(operation, StoreErrorKind::LeaseLost(lease.entity_name.clone()))
    }

    /// Renews every lease. A lease that another process took over is lost; one that could not be renewed for too long is given
    /// up before the server gives it away. A process that was asleep asks first.
    async fn renew(&self) {
        let held = self.held.borrow().clone();
        if held.is_empty() {
            return;
        }
        let asked = Moment::now();
        let renewed = tokio::time::timeout(self.lasts / BEATS, async {
            let names: Vec<&str> = held.keys().map(|name| &**name).collect();
            let epochs: Vec<i64> = held.values().map(|held| held.epoch).collect();
            lease::renew(&*self.guard().await?, (&names, &epochs), self.lasts).await
        });
        let renewed = renewed.await;
        if renewed.is_err()
            && let Ok(mut guard) = self.guard.try_lock()
        {
            // Whatever swallowed this heartbeat would swallow the next one, so that one uses a new connection.
            *guard = None;
        }
        let renewed = renewed.ok().and_then(|renewed: Result<_, StoreErrorKind>| renewed.ok());
        let too_long = self.lasts * (BEATS - 1) / BEATS;
        self.held.send_modify(|all| {
            all.retain(|name, present| {
                // Taken meanwhile, as a new owner: left to another heartbeat.
                if held.get(name).is_none_or(|asked_for| asked_for.epoch != present.epoch) {
                    return true;
                }
                let Some(renewed) = &renewed else { return present.heard.age() < too_long };
                present.heard = asked;
                renewed.iter().any(|renewed| **renewed == **name)
            });
        });
    }
}

/// A name that one task is requesting, until this is dropped.
#[derive(Debug)]
pub(in crate::postgres) struct Reservation<'a> {
    heart: &'a Heartbeat,
    name: Box<str>,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.heart.taking.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

impl Held {
    fn is(&self, name: &str, lease: &Lease) -> bool {
        *name == *lease.entity_name && self.epoch == lease.epoch
    }
}

/// Sends heartbeats until the store is dropped; at once where the connection was cut, because its leases look free until then.
async fn beat(heart: Weak<Heartbeat>, every: Duration) {
    let mut looks = tokio::time::interval(every.min(LOOK));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Option<Moment> = None;
    loop {
        looks.tick().await;
        let Some(heart) = heart.upgrade() else { return };
        if last.is_none_or(|last| last.age() >= every) || heart.is_cut() {
            last = Some(Moment::now());
            point!("lease.beat");
            heart.renew().await;
            point!("lease.renewed");
        }
    }
}
