//! The progress of a run: a bar on a terminal, plain lines elsewhere, or NDJSON events for programs.

use std::fmt::Debug;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backfill_core::{EventSink, FindingKind, RequestPart, RunEvent, RunEventKind, WindowReport};
use backfill_report::instant::{short, utc};
use backfill_report::number::counted;
use backfill_report::style::Style;
use qbo_client::{BreakerState, ClientEvent, QboClient};
use raw_store::{RunId, TriggerState, Window, WindowCounts, WindowState};
use serde_json::{Value, json};

use crate::args::Output;
use crate::config::settings::Settings;
use crate::output::event;
use crate::output::human_duration::human_duration;
use crate::output::print::say_as;
use crate::sinks::bar::Bar;
use crate::sinks::event_log::EventLog;

/// Whether a progress bar is shown.
pub(crate) fn shows_bar(settings: &Settings) -> bool {
    settings.output == Output::Text && std::io::stderr().is_terminal() && !settings.no_progress
}

/// Chooses the sink for the one run of a process.
pub(crate) fn sink(settings: &Settings, client: Arc<dyn QboClient>) -> Arc<dyn EventSink> {
    if shows_bar(settings) {
        return EventLog::before(Arc::new(Display {
            bar: Mutex::default(),
            failures: Failures::default(),
            client,
        }));
    }
    plain_sink(settings)
}

/// Chooses a sink without a bar, for a run that shares the screen with other runs.
pub(crate) fn plain_sink(settings: &Settings) -> Arc<dyn EventSink> {
    EventLog::before(match settings.output {
        Output::Json => Arc::new(Ndjson),
        Output::Text => Arc::new(Lines::default()),
    })
}

/// Shows one line over all windows of a run, and what a person should know above it.
struct Display {
    /// The line of the run under way; `None` before and after it.
    bar: Mutex<Option<Bar>>,
    failures: Failures,
    client: Arc<dyn QboClient>,
}

/// Collects consecutive windows that failed for the same reason, until another event comes: a refusal of the whole range
/// would print hundreds of equal lines.
#[derive(Debug, Default)]
struct Failures(Mutex<Option<Alike>>);

/// Consecutive windows that failed for the same reason, printed as one line.
#[derive(Debug)]
struct Alike {
    first: WindowReport,
    last: Window,
    count: usize,
}

impl Failures {
    /// Takes an event, and returns the line to print before it.
    fn before(&self, event: &RunEvent) -> Option<String> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = match &event.kind {
            RunEventKind::Window(report) if report.state == WindowState::Failed => Some(report),
            _ => None,
        };
        if let (Some(alike), Some(next)) = (&mut *waiting, failed)
            && alike.takes(next)
        {
            alike.last = next.window;
            alike.count += 1;
            return None;
        }
        let next = failed.map(|report| Alike { first: report.clone(), last: report.window, count: 1 });
        std::mem::replace(&mut *waiting, next).map(|alike| alike.line())
    }
}

impl Alike {
    fn takes(&self, next: &WindowReport) -> bool {
        let first = &self.first;
        self.last.end() == next.window.start()
            && (&first.pipeline, &first.message) == (&next.pipeline, &next.message)
            && [&first.counts, &next.counts].into_iter().all(|counts| *counts == WindowCounts::default())
    }

    fn line(&self) -> String {
        if self.count == 1 {
            return window_line(&self.first);
        }
        let Self { first, last, count } = self;
        let message = first.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        format!(
            "{} {}..{}: {count} windows {}{message}",
            first.pipeline,
            short(first.window.start()),
            short(last.end()),
            first.state
        )
    }
}

impl Debug for Display {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Display")
    }
}

impl Display {
    fn say(&self, style: Option<Style>, line: &str) {
        match &*self.bar() {
            Some(bar) => bar.say(style, line),
            None => say_as(style, line),
        }
    }

    fn bar(&self) -> MutexGuard<'_, Option<Bar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows an event in the line of progress. Returns whether the line says all of it.
    fn draw(&self, bar: &Bar, event: &RunEventKind) -> bool {
        match event {
            RunEventKind::Settling { windows, wait } => bar.settle(*windows, *wait),
            RunEventKind::PageCommitted { rows, .. } => bar.committed(*rows, self.client.usage().calls),
            RunEventKind::Window(_) => bar.window(),
            RunEventKind::Source(ClientEvent::Waiting { reason, time }) => {
                bar.wait(&format!("waiting ({reason})"), *time);
            }
            RunEventKind::Held { pipeline, patience, .. } => {
                bar.wait(&format!("{pipeline} is held"), *patience);
                return false;
            }
            _ => return false,
        }
        true
    }
}

impl EventSink for Display {
    fn emit(&self, event: &RunEvent) {
        if let Some(line) = self.failures.before(event) {
            self.say(FAILED, &line);
        }
        match &event.kind {
            RunEventKind::RunStarted { windows, .. } => {
                *self.bar() = Some(Bar::start(*windows));
                return;
            }
            RunEventKind::RunFinished { .. } => {
                *self.bar() = None;
                return;
            }
            _ => {}
        }
        let is_drawn = self.bar().as_ref().is_some_and(|bar| self.draw(bar, &event.kind));
        if !is_drawn && let Some(line) = line(event) {
            self.say(style(&event.kind), &line);
        }
    }
}

/// Prints a line for each event that a log file should contain; the windows themselves are in the log table.
#[derive(Debug, Default)]
struct Lines {
    failures: Failures,
}

impl EventSink for Lines {
    fn emit(&self, event: &RunEvent) {
        if let Some(line) = self.failures.before(event) {
            say_as(FAILED, &line);
        }
        if let Some(line) = line(event) {
            say_as(style(&event.kind), &line);
        }
    }
}

/// The style of windows that failed.
const FAILED: Option<Style> = Some(Style::Bad);

/// The style of an event's line; `None` for events of a normal run.
fn style(event: &RunEventKind) -> Option<Style> {
    Some(match event {
        RunEventKind::PageCommitted { .. } => Style::Aside,
        RunEventKind::Source(ClientEvent::Breaker(BreakerState::Closed)) => Style::Good,
        RunEventKind::Source(_)
        | RunEventKind::Held { .. }
        | RunEventKind::StoreRetry { .. }
        | RunEventKind::LogMoved { .. }
        | RunEventKind::CountDiffers { .. }
        | RunEventKind::Unreadable { .. }
        | RunEventKind::Unavailable { .. }
        | RunEventKind::PartsRefused { .. }
        | RunEventKind::WorkerTrouble { .. } => Style::Doubtful,
        RunEventKind::TriggerEnded { state, .. } => return Style::of_state(state.as_str()),
        _ => return None,
    })
}

fn line(event: &RunEvent) -> Option<String> {
    let run = event.run.as_ref().map_or("", RunId::as_str);
    Some(match &event.kind {
        RunEventKind::RunStarted { pipelines, windows, estimated_calls, .. } => format!(
            "run {run}: {}, {windows} windows to read, at least {estimated_calls} calls",
            named(pipelines)
        ),
        RunEventKind::PageCommitted { pipeline, page, rows, counts, time } => {
            format!("{pipeline} page {page}: {rows} records, {} ({:.1} s)", words(counts), time.as_secs_f64())
        }
        RunEventKind::Source(ClientEvent::Waiting { reason, time }) => {
            format!("waiting {:.0} s ({reason})", time.as_secs_f64())
        }
        RunEventKind::Source(ClientEvent::Retrying { entity, attempt, cause }) => {
            format!("requesting {entity} again (retry {attempt}): {cause}")
        }
        RunEventKind::Source(ClientEvent::Breaker(state)) => match state {
            BreakerState::Open => "QuickBooks keeps failing: calls are paused".into(),
            BreakerState::HalfOpen => "trying QuickBooks again".into(),
            BreakerState::Closed => "QuickBooks answers again".into(),
        },
        RunEventKind::Source(ClientEvent::AllowanceLow { used, allowance }) => {
            format!("{used} of this month's {allowance} calls are used")
        }
        RunEventKind::Held { pipeline, holder, since, patience } => format!(
            "{pipeline}: held by {holder} since {}; waiting up to {:.0} s for it",
            utc(*since),
            patience.as_secs_f64()
        ),
        RunEventKind::StoreRetry { pipeline, attempt } => {
            format!(
                "{pipeline}: the database is busy or restarting; storing the page again (retry {attempt})"
            )
        }
        RunEventKind::LogMoved { pipeline, attempt } => format!(
            "{pipeline}: the database no longer holds what this run committed; continuing from what it holds ({attempt})"
        ),
        RunEventKind::CountDiffers { pipeline, span, source, read } => {
            format!("{pipeline} {span}: QuickBooks counts {source} records now, {read} were read")
        }
        RunEventKind::Unreadable { pipeline, span } => {
            format!("{pipeline}: QuickBooks cannot deliver a record of {span}; the others are read")
        }
        RunEventKind::Unavailable { pipeline, windows, message } => {
            format!("{pipeline}: {message}; {windows} windows left unread")
        }
        RunEventKind::Settling { windows, wait } => {
            let windows = counted(*windows as u64, "window", "windows");
            format!("settling {windows} too near to now, done in {}", human_duration(*wait))
        }
        RunEventKind::PartsRefused { pipeline, parts } => format!("{pipeline}: {}", consequences(parts)),
        RunEventKind::TriggerFired { trigger, fire_at } => {
            format!("trigger {trigger} of {}: run {run}", utc(*fire_at))
        }
        RunEventKind::TriggerEnded { trigger, state: TriggerState::Running, message } => {
            let why = message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            format!("trigger {trigger}: its run continues later{why}")
        }
        RunEventKind::TriggerEnded { trigger, state, message } => {
            let why = message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            format!("trigger {trigger}: {}{why}", state.as_str())
        }
        RunEventKind::WorkerTrouble { message } => message.to_string(),
        _ => return None,
    })
}

/// The names of the pipelines, or their number if there are too many for a line.
fn named(pipelines: &[String]) -> String {
    const FEW: usize = 6;
    if pipelines.len() <= FEW { pipelines.join(", ") } else { format!("{} pipelines", pipelines.len()) }
}

fn window_line(report: &WindowReport) -> String {
    let window = report.window;
    let place = format!("{} {}..{}", report.pipeline, short(window.start()), short(window.end()));
    let message = report.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    format!("{place} {}: {}{message}", report.state, words(&report.counts))
}

fn words(counts: &WindowCounts) -> String {
    let quarantined =
        if counts.quarantined > 0 { format!(", {} quarantined", counts.quarantined) } else { String::new() };
    format!(
        "{} inserted, {} updated, {} unchanged{quarantined}",
        counts.inserted, counts.updated, counts.unchanged
    )
}

/// Writes events for programs, one JSON object per line on stdout. Each event names its run, because a worker has several
/// runs at once.
#[derive(Debug)]
struct Ndjson;

impl EventSink for Ndjson {
    fn emit(&self, event: &RunEvent) {
        if let RunEventKind::Source(ClientEvent::AllowanceLow { used, allowance }) = &event.kind {
            tracing::warn!(used, allowance, "the monthly allowance of calls is nearly used up");
        }
        if let Some((name, mut fields)) = fields(&event.kind) {
            // The end of a trigger names the trigger alone.
            if let Some(run) = &event.run
                && name != "trigger_ended"
            {
                fields["run_id"] = run.as_str().into();
            }
            event::write_at(event.at, name, fields);
        }
    }
}

fn fields(event: &RunEventKind) -> Option<(&'static str, Value)> {
    Some(match event {
        RunEventKind::RunStarted { seed, pipelines, windows, estimated_calls } => (
            "run_started",
            json!({"seed": seed, "pipelines": pipelines, "windows": windows,
                   "estimated_calls": estimated_calls}),
        ),
        RunEventKind::PageCommitted { pipeline, page, rows, counts, time } => (
            "page",
            json!({"pipeline": pipeline, "page": page, "rows": rows, "inserted": counts.inserted,
                   "updated": counts.updated, "unchanged": counts.unchanged,
                   "quarantined": counts.quarantined, "ms": milliseconds(*time)}),
        ),
        RunEventKind::Window(report) => (
            "window",
            json!({"pipeline": report.pipeline, "start": utc(report.window.start()),
                   "end": utc(report.window.end()), "status": report.state.as_str(),
                   "read": report.counts.read(), "inserted": report.counts.inserted,
                   "updated": report.counts.updated, "unchanged": report.counts.unchanged,
                   "quarantined": report.counts.quarantined, "pages": report.pages,
                   "message": report.message}),
        ),
        RunEventKind::Source(ClientEvent::Waiting { reason, time }) => {
            ("wait", json!({"reason": reason.to_string(), "seconds": time.as_secs_f64()}))
        }
        RunEventKind::Source(ClientEvent::Retrying { entity, attempt, cause }) => {
            ("retry", json!({"entity": entity.as_str(), "attempt": attempt, "reason": cause.to_string()}))
        }
        RunEventKind::StoreRetry { pipeline, attempt } => {
            ("retry", json!({"pipeline": pipeline, "attempt": attempt, "reason": "database"}))
        }
        RunEventKind::LogMoved { pipeline, attempt } => {
            ("retry", json!({"pipeline": pipeline, "attempt": attempt, "reason": "database put back"}))
        }
        RunEventKind::Source(ClientEvent::Breaker(state)) => {
            let state = match state {
                BreakerState::Closed => "closed",
                BreakerState::Open => "open",
                BreakerState::HalfOpen => "half_open",
            };
            ("breaker", json!({"state": state}))
        }
        RunEventKind::Held { pipeline, holder, since, patience } => (
            "wait",
            json!({"reason": "lease", "seconds": patience.as_secs_f64(), "pipeline": pipeline, "holder": holder,
                   "since": utc(*since)}),
        ),
        RunEventKind::Settling { windows, wait } => {
            ("settling", json!({"windows": windows, "seconds": wait.as_secs()}))
        }
        RunEventKind::TriggerFired { trigger, fire_at } => {
            ("trigger_fired", json!({"trigger": trigger.as_str(), "fire_at": utc(*fire_at)}))
        }
        RunEventKind::TriggerEnded { trigger, state, message } => (
            "trigger_ended",
            json!({"trigger": trigger.as_str(), "status": state.as_str(), "message": message}),
        ),
        RunEventKind::WorkerTrouble { message } => ("trouble", json!({"message": message})),
        RunEventKind::ScanSplit { pipeline, at } => ("split", json!({"pipeline": pipeline, "at": utc(*at)})),
        other => ("finding", finding(other)?),
    })
}

/// States what the refusal of each part means.
fn consequences(parts: &[RequestPart]) -> String {
    let sentences: Vec<_> = parts.iter().map(|part| part.consequence()).collect();
    sentences.join("; ")
}

fn finding(event: &RunEventKind) -> Option<Value> {
    Some(match event {
        RunEventKind::Source(ClientEvent::AllowanceLow { used, allowance }) => {
            json!({"kind": "monthly_calls", "pipeline": null, "day": null,
                   "detail": format!("{used} of this month's {allowance} calls are used")})
        }
        RunEventKind::Unavailable { pipeline, windows, message } => {
            json!({"kind": "unavailable", "pipeline": pipeline, "day": null,
                   "detail": format!("{message}; {windows} windows left unread")})
        }
        RunEventKind::PartsRefused { pipeline, parts } => {
            let kind = if parts.contains(&RequestPart::CustomFields) {
                FindingKind::CustomFieldsPartial
            } else {
                FindingKind::RequestLimited
            };
            json!({"kind": kind.as_str(), "pipeline": pipeline, "day": null, "detail": consequences(parts)})
        }
        RunEventKind::Mismatch(one) => {
            json!({"kind": one.kind.as_str(), "pipeline": one.pipeline, "id": one.id,
                   "day": one.window.map(|window| short(window.start())),
                   "detail": one.deleted_at.map(|at| format!("deleted {}", utc(at)))})
        }
        RunEventKind::Unreadable { pipeline, span } => {
            json!({"kind": "unreadable", "pipeline": pipeline, "day": short(span.start()),
                   "detail": format!("QuickBooks cannot deliver a record of {span}")})
        }
        RunEventKind::CountDiffers { pipeline, span, source, read } => {
            json!({"kind": "count_differs", "pipeline": pipeline, "day": short(span.start()),
                   "detail": format!("{span}: QuickBooks counts {source}, {read} were read")})
        }
        _ => return None,
    })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn worker_event(kind: RunEventKind) -> RunEvent {
        RunEvent::new(datetime!(2026-11-22 10:00 UTC), None, kind)
    }

    fn failed(day: u8, message: &str) -> RunEvent {
        let start = datetime!(2024-01-01 0:00 UTC).replace_day(day).unwrap();
        worker_event(RunEventKind::Window(WindowReport {
            pipeline: "qb_invoices_backfill".into(),
            window: Window::new(start, start + time::Duration::DAY).unwrap(),
            state: WindowState::Failed,
            counts: WindowCounts::default(),
            pages: 0,
            message: Some(message.into()),
        }))
    }

    #[test]
    fn failures_that_say_the_same_are_one_line_with_their_number() {
        let failures = Failures::default();
        let events = [
            failed(1, "refused"),
            failed(2, "refused"),
            failed(3, "refused"),
            failed(4, "another"),
            failed(6, "another"),
        ];
        let other = worker_event(RunEventKind::WorkerTrouble { message: "x".into() });
        let lines: Vec<_> =
            events.iter().chain([&other, &other]).filter_map(|event| failures.before(event)).collect();
        assert_eq!(
            lines,
            [
                "qb_invoices_backfill 2024-01-01..2024-01-04: 3 windows failed: refused",
                "qb_invoices_backfill 2024-01-04..2024-01-05 failed: 0 inserted, 0 updated, 0 unchanged: another",
                "qb_invoices_backfill 2024-01-06..2024-01-07 failed: 0 inserted, 0 updated, 0 unchanged: another",
            ]
        );
    }
}
