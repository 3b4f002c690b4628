//! The shared call budget of the store in memory.

use std::time::Duration;

use async_trait::async_trait;

use super::MemoryStore;
use super::call_table::{end_of, month};
use crate::{CallAdmission, CallEnd, CallLedger, CallLimits, CallMonth, CallSlot, StoreError};

#[async_trait]
impl CallLedger for MemoryStore {
    async fn admit(&self, limits: &CallLimits, good_for: Duration) -> Result<CallAdmission, StoreError> {
        Ok(self.calls(|calls, now| calls.admit(now, self.session, limits, good_for)))
    }

    async fn conclude(&self, slot: &CallSlot, end: CallEnd) -> Result<(), StoreError> {
        self.calls(|calls, now| calls.conclude(now, slot, end));
        Ok(())
    }

    async fn failing(&self, apart: Duration) -> Result<(), StoreError> {
        self.calls(|calls, now| calls.failing(now, apart));
        Ok(())
    }

    async fn pause(&self, limits: &CallLimits, pause: Duration) -> Result<Duration, StoreError> {
        Ok(self.calls(|calls, now| calls.pause(now, limits, pause)))
    }

    async fn month(&self) -> Result<CallMonth, StoreError> {
        Ok(self.calls(|calls, now| {
            let month = month(now);
            CallMonth { used: calls.used(month), until: end_of(month) }
        }))
    }
}
