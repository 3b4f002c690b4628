//! Counts the events of a process, as metrics for Prometheus.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use backfill_core::{EventSink, RunEvent, RunEventKind};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use qbo_client::{BreakerState, ClientEvent};
use raw_store::{CallMonth, TriggerState};

/// The metrics of all companies that a process works for.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    records: Family<Records, Counter>,
    pages: Family<Pipeline, Counter>,
    windows: Family<Window, Counter>,
    calls: Family<Company, Counter>,
    retries: Family<Company, Counter>,
    waited: Family<Company, Counter<f64, AtomicU64>>,
    breaker: Family<Company, Gauge>,
    under_way: Family<Company, Gauge>,
    triggers: Family<Ended, Counter>,
    month: Family<Company, Gauge>,
    allowance: Family<Company, Gauge>,
}

/// The labels of a metric by company.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Company {
    profile: String,
}

/// The labels of a metric by pipeline.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Pipeline {
    profile: String,
    pipeline: String,
}

/// The labels of the record counter.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Records {
    profile: String,
    pipeline: String,
    outcome: &'static str,
}

/// The labels of the window counter.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Window {
    profile: String,
    pipeline: String,
    status: &'static str,
}

/// The labels of the counter of ended runs.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    profile: String,
    status: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("qbo_backfill");
        macro_rules! family {
            ($name:literal, $help:literal) => {{
                let family = Family::default();
                registry.register($name, $help, Family::clone(&family));
                family
            }};
        }
        Self {
            records: family!("records", "Records read, by outcome"),
            pages: family!("pages", "Pages committed"),
            windows: family!("windows", "Windows closed or failed, by status"),
            calls: family!("calls", "API calls in runs that have ended"),
            retries: family!("retries", "API calls that were retries, in runs that have ended"),
            waited: family!("waited_seconds", "Time spent waiting for limits and after failures"),
            breaker: family!("breaker_open", "1 while calls are paused because QuickBooks keeps failing"),
            under_way: family!("runs_under_way", "Runs of triggers in progress in this process"),
            triggers: family!("triggers", "Triggers that this process has finished, by status"),
            month: family!("month_calls", "Metered API calls of this month, over all processes"),
            allowance: family!("month_calls_allowance", "Allowance of API calls per month"),
            registry,
        }
    }

    /// Records the calls that a company made this month.
    pub(crate) fn month(&self, profile: &str, month: CallMonth, allowance: Option<u64>) {
        let company = Company { profile: profile.to_owned() };
        self.month.get_or_create(&company).set(number(month.used));
        if let Some(allowance) = allowance {
            self.allowance.get_or_create(&company).set(number(allowance));
        }
    }

    /// Formats all metrics for Prometheus.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    fn note(&self, profile: &str, event: &RunEvent) {
        let profile = profile.to_owned();
        match &event.kind {
            RunEventKind::PageCommitted { pipeline, counts, .. } => {
                let pipeline = pipeline.clone();
                for (outcome, records) in [
                    ("inserted", counts.inserted),
                    ("updated", counts.updated),
                    ("unchanged", counts.unchanged),
                    ("quarantined", counts.quarantined),
                ] {
                    let (profile, pipeline) = (profile.clone(), pipeline.clone());
                    self.records.get_or_create(&Records { profile, pipeline, outcome }).inc_by(records);
                }
                self.pages.get_or_create(&Pipeline { profile, pipeline }).inc();
            }
            RunEventKind::Window(report) => {
                let (pipeline, status) = (report.pipeline.clone(), report.state.as_str());
                self.windows.get_or_create(&Window { profile, pipeline, status }).inc();
            }
            RunEventKind::Source(ClientEvent::Waiting { time, .. }) => {
                self.waited.get_or_create(&Company { profile }).inc_by(time.as_secs_f64());
            }
            RunEventKind::Source(ClientEvent::Breaker(state)) => {
                let open = i64::from(*state != BreakerState::Closed);
                self.breaker.get_or_create(&Company { profile }).set(open);
            }
            RunEventKind::RunFinished { usage, .. } => {
                let company = Company { profile };
                // The client ends with the run, and the next client begins with a closed breaker.
                self.breaker.get_or_create(&company).set(0);
                self.calls.get_or_create(&company).inc_by(usage.calls);
                self.retries.get_or_create(&company).inc_by(usage.retries);
            }
            RunEventKind::TriggerFired { .. } => {
                self.under_way.get_or_create(&Company { profile }).inc();
            }
            RunEventKind::TriggerEnded { state, .. } => {
                self.under_way.get_or_create(&Company { profile: profile.clone() }).dec();
                let status = if *state == TriggerState::Running { "left" } else { state.as_str() };
                self.triggers.get_or_create(&Ended { profile, status }).inc();
            }
            _ => {}
        }
    }
}

/// Counts the events of one company, and passes them on.
#[derive(Debug)]
pub(crate) struct Counting {
    pub(crate) profile: String,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) inner: Arc<dyn EventSink>,
}

impl EventSink for Counting {
    fn emit(&self, event: &RunEvent) {
        self.metrics.note(&self.profile, event);
        self.inner.emit(event);
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
