//! Stores what no table of the log holds, such as waits, retries and the breaker, so that people can read it later.

use std::sync::{Arc, Weak};
use std::time::Duration;

use backfill_core::{EventSink, RunEvent, RunEventKind};
use qbo_auth::{Clock as _, SystemClock};
use qbo_client::ClientEvent;
use raw_store::{EventLog, HistoryPhase, NewEvent, Severity};
use tokio::sync::mpsc;

/// Events that wait to be written. More than that are dropped: the work never waits for them.
const QUEUE: usize = 1024;

/// Interval at which events are written.
const WRITES: Duration = Duration::from_secs(1);

/// Interval at which old events are removed.
const REMOVES: Duration = Duration::from_hours(24);

/// Shorter waits are what every run has, and would hide the others.
const LEAST_WAIT: Duration = Duration::from_secs(5);

/// Hands events to a task that stores them, and passes them on.
#[derive(Debug)]
pub(crate) struct StoredEvents {
    pub(crate) queue: EventQueue,
    pub(crate) inner: Arc<dyn EventSink>,
}

/// The way to the task that stores events. The task ends when all copies are gone, or the store is.
#[derive(Clone, Debug)]
pub(crate) struct EventQueue(mpsc::Sender<NewEvent>);

impl EventQueue {
    /// Starts the task.
    pub(crate) fn start(log: Weak<dyn EventLog>) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(write(log, receiver));
        Self(sender)
    }
}

impl EventSink for StoredEvents {
    fn emit(&self, event: &RunEvent) {
        if let Some(event) = told(event) {
            // If the queue is full, or the task has ended, the event is in the process's own log alone.
            let _ = self.queue.0.try_send(event);
        }
        self.inner.emit(event);
    }
}

async fn write(log: Weak<dyn EventLog>, mut receiver: mpsc::Receiver<NewEvent>) {
    let clock = SystemClock::new();
    let mut removed_at = None;
    let mut events = Vec::new();
    while receiver.recv_many(&mut events, QUEUE).await > 0 {
        let Some(log) = log.upgrade() else { return };
        // Events are lost with a database that does not answer: it shows that by itself.
        if let Err(error) = log.record_events(&events).await {
            tracing::debug!(error = %error, lost = events.len(), "events were not stored");
        }
        events.clear();
        let now = clock.elapsed();
        if removed_at.is_none_or(|at| now.saturating_sub(at) >= REMOVES) {
            removed_at = Some(now);
            if let Err(error) = log.remove_old_events().await {
                tracing::debug!(error = %error, "old events were not removed");
            }
        }
        drop(log);
        clock.sleep(WRITES).await;
    }
}

/// What is stored of an event; `None` if the log tells it, or nobody would miss it.
fn told(event: &RunEvent) -> Option<NewEvent> {
    let new = |level, phase, kind: &str, detail: String| NewEvent {
        at: event.at,
        level,
        phase,
        event: kind.into(),
        run: event.run.clone(),
        entity_name: None,
        trigger: None,
        who: None,
        code: None,
        detail: Some(detail.into()),
    };
    let of = |pipeline: &String, event: NewEvent| NewEvent { entity_name: Some(entity(pipeline)), ..event };
    Some(match &event.kind {
        RunEventKind::Source(ClientEvent::Waiting { reason, time }) if *time >= LEAST_WAIT => new(
            Severity::Info,
            HistoryPhase::Extract,
            "wait",
            format!("requests wait {} s: {reason}", time.as_secs()),
        ),
        RunEventKind::Source(ClientEvent::Retrying { entity, attempt, cause }) => new(
            Severity::Warning,
            HistoryPhase::Extract,
            "retry",
            format!("a request for {} is sent again (retry {attempt}): {cause}", entity.as_str()),
        ),
        RunEventKind::Source(ClientEvent::Breaker(state)) => new(
            Severity::Warning,
            HistoryPhase::Extract,
            "breaker",
            format!("the circuit breaker is {state:?}").to_lowercase(),
        ),
        RunEventKind::Source(ClientEvent::AllowanceLow { used, allowance }) => new(
            Severity::Warning,
            HistoryPhase::Extract,
            "allowance low",
            format!("{used} of {allowance} calls of this month are used"),
        ),
        RunEventKind::Held { pipeline, holder, .. } => of(
            pipeline,
            new(Severity::Info, HistoryPhase::Run, "hold", format!("the pipeline is held by {holder}")),
        ),
        RunEventKind::StoreRetry { pipeline, attempt } => of(
            pipeline,
            new(
                Severity::Warning,
                HistoryPhase::Load,
                "store retry",
                format!("a page is stored again (retry {attempt})"),
            ),
        ),
        RunEventKind::LogMoved { pipeline, .. } => of(
            pipeline,
            new(
                Severity::Error,
                HistoryPhase::Load,
                "log moved",
                "the database no longer holds committed pages; the run continues from what it holds".into(),
            ),
        ),
        RunEventKind::WorkerTrouble { message } => {
            new(Severity::Warning, HistoryPhase::Trigger, "worker trouble", message.to_string())
        }
        _ => return None,
    })
}

/// The name in the log of a pipeline, such as `invoices` of `qb_invoices_backfill`.
fn entity(pipeline: &str) -> Box<str> {
    let name = pipeline.strip_prefix("qb_").unwrap_or(pipeline);
    name.strip_suffix("_backfill").unwrap_or(name).into()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use qbo_client::WaitReason;
    use time::macros::datetime;

    use super::*;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<NewEvent>>);

    #[async_trait::async_trait]
    impl EventLog for Kept {
        async fn record_events(&self, events: &[NewEvent]) -> Result<(), raw_store::StoreError> {
            self.0.lock().unwrap().extend_from_slice(events);
            Ok(())
        }

        async fn remove_old_events(&self) -> Result<u64, raw_store::StoreError> {
            Ok(0)
        }
    }

    #[derive(Debug)]
    struct Silent;

    impl EventSink for Silent {
        fn emit(&self, _: &RunEvent) {}
    }

    #[tokio::test]
    async fn long_waits_are_stored_and_short_ones_are_not() {
        let kept = Arc::new(Kept::default());
        let log: Arc<dyn EventLog> = kept.clone();
        let sink = StoredEvents { queue: EventQueue::start(Arc::downgrade(&log)), inner: Arc::new(Silent) };
        for seconds in [1, 30] {
            let time = Duration::from_secs(seconds);
            let kind = RunEventKind::Source(ClientEvent::Waiting { reason: WaitReason::Backoff, time });
            sink.emit(&RunEvent::new(datetime!(2026-02-01 0:00 UTC), None, kind));
        }
        while kept.0.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let kept = kept.0.lock().unwrap();
        assert_eq!(kept.len(), 1);
        assert!(kept[0].detail.as_deref().unwrap().contains("30 s"));
    }

    #[test]
    fn a_pipeline_is_stored_by_its_name_in_the_log() {
        assert_eq!(&*entity("qb_invoices_backfill"), "invoices");
    }
}
