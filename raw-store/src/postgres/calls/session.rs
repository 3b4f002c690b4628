//! The connection over which this process asks for call slots, and the slots that it holds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;

use super::CallLine;
use crate::postgres::connect::Connector;
use crate::{CallAdmission, CallEnd, CallLimits, CallMonth, CallSlot, StoreErrorKind};

/// Interval of the checks whether the connection was cut. Slots of a process that seems to have ended are kept for ten seconds:
/// long enough for the cut to be noticed, and for a new connection to take them over.
const LOOK: Duration = Duration::from_millis(500);

/// Asks for calls, and remembers those in flight: they outlive the connection over which they were requested.
#[derive(Debug)]
pub(in crate::postgres) struct CallSession {
    connector: Connector,
    line: Mutex<Option<Arc<CallLine>>>,
    /// Slots of calls in flight, and which use of each it is.
    living: std::sync::Mutex<BTreeMap<i32, i64>>,
    is_watched: AtomicBool,
}

impl CallSession {
    pub(in crate::postgres) fn new(connector: Connector) -> Self {
        Self {
            connector,
            line: Mutex::default(),
            living: std::sync::Mutex::default(),
            is_watched: AtomicBool::new(false),
        }
    }

    pub(in crate::postgres) async fn admit(
        self: &Arc<Self>,
        limits: &CallLimits,
        good_for: Duration,
    ) -> Result<CallAdmission, StoreErrorKind> {
        let admission = self.line().await?.admit(limits, good_for).await?;
        if let CallAdmission::Go { slot, .. } = &admission {
            self.living().insert(slot.slot, slot.uses);
            if !self.is_watched.swap(true, Ordering::Relaxed) {
                tokio::spawn(watch(Arc::downgrade(self)));
            }
        }
        Ok(admission)
    }

    pub(in crate::postgres) async fn conclude(
        &self,
        slot: &CallSlot,
        end: CallEnd,
    ) -> Result<(), StoreErrorKind> {
        self.living().retain(|place, uses| (*place, *uses) != (slot.slot, slot.uses));
        self.line().await?.conclude(slot, end).await
    }

    pub(in crate::postgres) async fn pause(
        &self,
        limits: &CallLimits,
        pause: Duration,
    ) -> Result<Duration, StoreErrorKind> {
        self.line().await?.pause(limits, pause).await
    }

    pub(in crate::postgres) async fn failing(&self, apart: Duration) -> Result<(), StoreErrorKind> {
        self.line().await?.failing(apart).await
    }

    pub(in crate::postgres) async fn month(&self) -> Result<CallMonth, StoreErrorKind> {
        self.line().await?.month().await
    }

    /// The connection, opened where it is missing or was cut.
    async fn line(&self) -> Result<Arc<CallLine>, StoreErrorKind> {
        let mut line = self.line.lock().await;
        if let Some(line) = line.as_ref().filter(|line| !line.is_closed()) {
            return Ok(Arc::clone(line));
        }
        let (slots, uses): (Vec<_>, Vec<_>) = self.living().iter().map(|(slot, uses)| (*slot, *uses)).unzip();
        Ok(Arc::clone(line.insert(Arc::new(CallLine::open(&self.connector, (&slots, &uses)).await?))))
    }

    fn living(&self) -> std::sync::MutexGuard<'_, BTreeMap<i32, i64>> {
        self.living.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reopens the connection if it was cut while calls are in flight, until the store is dropped.
async fn watch(desk: Weak<CallSession>) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let Some(desk) = desk.upgrade() else { return };
        if !desk.living().is_empty()
            && let Err(error) = desk.line().await
        {
            tracing::debug!(%error, "the connection for calls cannot be opened again");
        }
    }
}
