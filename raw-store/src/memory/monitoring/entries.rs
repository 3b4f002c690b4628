//! Makes an entry of the history from each thing that the store in memory remembers.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::memory::state::State;
use crate::{
    HistoryEntry, HistoryKind, HistoryPhase, LogLine, NewEvent, RunRecord, RunStatus, Severity, StopRequest,
    TriggerEvent, TriggerName, ValidationResult, VerificationRecord, VerifyResult, WindowState,
};

/// All entries, in no order.
pub(super) fn all(state: &State) -> Vec<HistoryEntry> {
    let mut entries = Vec::new();
    entries.extend(state.events.iter().map(|(number, event)| recorded(*number, event)));
    entries.extend(state.lines.values().filter_map(|line| window(&line.shown)));
    for ((run, entity_name, number), page) in &state.pages {
        let total = page.outcome.total;
        let level = if total.quarantined > 0 { Severity::Warning } else { Severity::Info };
        let key = format!("{run} {entity_name} {number:010}");
        entries.push(HistoryEntry {
            run: Some(run.clone()),
            entity_name: Some(entity_name.clone()),
            records: Some(total.read()),
            ..entry((page.committed_at, HistoryKind::Page, key), (level, HistoryPhase::Load), number)
        });
    }
    for record in &state.runs {
        entries.push(begun(record));
        entries.extend(ended(record));
    }
    for (run, request) in &state.to_stop {
        entries.push(HistoryEntry { run: Some(run.clone()), ..asked_to_stop(run.as_str(), request) });
    }
    for (name, history) in &state.triggers.history {
        entries.extend(history.iter().zip(1_u64..).map(|(event, number)| trigger(name, number, event)));
    }
    for (run, result) in &state.validated {
        entries.extend(findings(result).map(|found| HistoryEntry { run: Some(run.clone()), ..found }));
    }
    entries.extend(state.verified.iter().map(verification));
    entries
}

fn entry(
    (at, kind, key): (OffsetDateTime, HistoryKind, String),
    (level, phase): (Severity, HistoryPhase),
    event: &(impl ToString + ?Sized),
) -> HistoryEntry {
    HistoryEntry {
        at,
        kind,
        key: key.into(),
        level,
        phase,
        event: event.to_string().into(),
        run: None,
        entity_name: None,
        trigger: None,
        who: None,
        code: None,
        span: None,
        records: None,
        detail: None,
    }
}

fn recorded(number: u64, event: &NewEvent) -> HistoryEntry {
    HistoryEntry {
        run: event.run.clone(),
        entity_name: event.entity_name.clone(),
        trigger: event.trigger.clone(),
        who: event.who.clone(),
        code: event.code.clone(),
        detail: event.detail.clone(),
        ..entry(
            (event.at, HistoryKind::Event, format!("{number:020}")),
            (event.level, event.phase),
            &event.event,
        )
    }
}

/// The last attempt of a window, if it has ended.
fn window(line: &LogLine) -> Option<HistoryEntry> {
    let level = match line.state {
        WindowState::Failed => Severity::Error,
        WindowState::Unavailable => Severity::Warning,
        _ => Severity::Info,
    };
    let time = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    let (start, end) = (time(line.window.start()), time(line.window.end()));
    let key = format!("{} {} {start} {end}", line.entity_name, line.time_axis);
    Some(HistoryEntry {
        run: line.run.clone(),
        entity_name: Some(line.entity_name.clone()),
        code: line.error_code.clone(),
        span: Some(line.window),
        records: Some(line.metrics.records_read),
        detail: line.error_message.clone(),
        ..entry((line.finished_at?, HistoryKind::Window, key), (level, HistoryPhase::Load), &line.state)
    })
}

fn begun(run: &RunRecord) -> HistoryEntry {
    HistoryEntry {
        run: Some(run.id.clone()),
        span: Some(run.span),
        ..entry(
            (run.started_at, HistoryKind::RunBegun, run.id.to_string()),
            (Severity::Info, HistoryPhase::Run),
            &RunStatus::Running,
        )
    }
}

fn ended(run: &RunRecord) -> Option<HistoryEntry> {
    let level = match run.status {
        RunStatus::Failed => Severity::Error,
        RunStatus::Incomplete | RunStatus::Stopped => Severity::Warning,
        RunStatus::Running | RunStatus::Completed => Severity::Info,
    };
    Some(HistoryEntry {
        run: Some(run.id.clone()),
        span: Some(run.span),
        code: run.error_code.clone(),
        detail: run.message.clone(),
        ..entry(
            (run.finished_at?, HistoryKind::RunEnded, run.id.to_string()),
            (level, HistoryPhase::Run),
            &run.status,
        )
    })
}

fn asked_to_stop(run: &str, request: &StopRequest) -> HistoryEntry {
    HistoryEntry {
        who: request.by.clone(),
        ..entry(
            (request.at, HistoryKind::RunAskedToStop, run.to_owned()),
            (Severity::Info, HistoryPhase::Run),
            "stop requested",
        )
    }
}

fn trigger(name: &TriggerName, number: u64, event: &TriggerEvent) -> HistoryEntry {
    let level = match &*event.event {
        "failed" => Severity::Error,
        "expired" => Severity::Warning,
        _ => Severity::Info,
    };
    HistoryEntry {
        run: event.run.clone(),
        trigger: Some(name.clone()),
        who: event.by.clone(),
        detail: event.detail.clone(),
        ..entry(
            (event.at, HistoryKind::Trigger, format!("{name} {number:020}")),
            (level, HistoryPhase::Trigger),
            &event.event,
        )
    }
}

fn findings(result: &ValidationResult) -> impl Iterator<Item = HistoryEntry> {
    result.findings.iter().zip(0_u32..).map(|(finding, number)| HistoryEntry {
        entity_name: Some(result.entity_name.clone()),
        span: finding.span,
        records: Some(finding.amount),
        detail: Some(finding.detail.clone()),
        ..entry(
            (result.at, HistoryKind::Finding, format!("{} {number:010}", result.entity_name)),
            (finding.severity, HistoryPhase::Validate),
            &finding.kind,
        )
    })
}

fn verification(record: &VerificationRecord) -> HistoryEntry {
    let level = match record.result {
        VerifyResult::Confirmed => Severity::Info,
        VerifyResult::Differs => Severity::Error,
        VerifyResult::Incomplete => Severity::Warning,
    };
    HistoryEntry {
        run: Some(record.id.clone()),
        entity_name: Some(record.entity_name.clone()),
        span: Some(record.span),
        records: Some(record.counted + record.same),
        detail: Some(record.method.as_str().into()),
        ..entry(
            (record.at, HistoryKind::Verification, format!("{} {}", record.id, record.entity_name)),
            (level, HistoryPhase::Verify),
            &record.result,
        )
    }
}
