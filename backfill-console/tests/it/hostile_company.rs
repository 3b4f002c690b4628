//! A company in which every text that came from outside is hostile, and whose documents hold a marker.

use std::sync::Arc;
use std::time::Duration as Span;

use backfill_console::Console;
use qbo_auth::Clock;
use raw_store::store::{GoneMarks as _, GoneRecord, Leases as _, PageSink as _, Tables as _};
use raw_store::{
    BackfillLog as _, Bytes, ChainLink, EventLog as _, Finding, HistoryPhase, IfMissed, Lease, MemoryStore,
    NewEvent, NewTrigger, Owner, PageCommit, Pipeline, Quarantine as _, RejectedRow, Reopen, RestingTrigger,
    Row, RunEnd, RunId, RunStart, RunStatus, ScanCursor, Severity, SourceRefusal, SourceRefusals as _,
    StoreIdentity, TriggerPlan, TriggerQueue as _, Validation as _, ValidationResult, VerificationLog as _,
    VerificationRecord, VerifyMethod, VerifyResult, Window, WindowChange, WindowFailure, WindowSelection,
    WindowState, WindowUpdate, WorkerActivity, WorkerBeat, WorkerLog as _,
};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::invented::{self, Invented, PAYLOAD_MARK};

/// Text with markup, quotes, controls, a forged header and marks that turn the direction of text.
pub(crate) const TEXT: &str = "\"><img src=x onerror=alert(1)>'<script>alert('x')</script>\u{202e}\u{7}\u{2066}\u{200b}\
                               \r\nset-cookie: a=b";

/// The run that has everything.
pub(crate) const RUN: &str = "20261129T050000Z-0a1b2c3d";

const START: OffsetDateTime = datetime!(2025-03-14 0:00 UTC);

/// A console that may show documents, over a store whose every text is hostile.
pub(crate) async fn hostile(clock: Arc<dyn Clock>) -> (Console, Invented) {
    let now = clock.now_utc();
    let (mut console, invented) = invented::empty(clock).await;
    console.documents = true;
    for company in &mut console.companies {
        company.environment = TEXT.into();
        company.zone = TEXT.into();
    }
    let store = &*invented.store;
    let ended = now - Duration::hours(9);
    run(store, ended).await;
    people(store, ended).await;
    triggers(store, now).await;
    (console, invented)
}

fn day(number: i64) -> Window {
    let start = START + Duration::days(number);
    Window::new(start, start + Duration::DAY).unwrap()
}

fn pipeline(entity_name: &str, table: &str) -> Pipeline {
    Pipeline { entity_name: entity_name.into(), table: table.parse().unwrap(), time_axis: "updated".into() }
}

async fn run(store: &MemoryStore, ended: OffsetDateTime) {
    let (invoices, own) = (pipeline("invoices", "qb_invoices"), pipeline(TEXT, "qb_own"));
    let run: RunId = RUN.parse().unwrap();
    let start = RunStart {
        id: run.clone(),
        identity: StoreIdentity { realm_id: "9130000000000001".into(), environment: "sandbox".into() },
        seed: 1,
        pipelines: vec![invoices.clone(), own.clone()],
        span: Window::new(START, START + Duration::days(9)).unwrap(),
        chunk: TEXT.into(),
        started_at: ended - Duration::minutes(7),
        fence: None,
    };
    store.prepare(&invoices).await.unwrap();
    store.prepare(&own).await.unwrap();
    let lease = store.acquire(&invoices, TEXT).await.unwrap();
    let own_lease = store.acquire(&own, TEXT).await.unwrap();
    store.begin_run(&start).await.unwrap();
    let owner = Owner { run: &run, pipeline: &invoices, lease: &lease, fence: None };
    let days: Vec<_> = (0..9).map(day).collect();
    store.open_windows(owner, &days, Reopen::All).await.unwrap();
    let own_owner = Owner { pipeline: &own, lease: &own_lease, ..owner };
    store.open_windows(own_owner, &days, Reopen::All).await.unwrap();
    let failure = WindowFailure { message: TEXT.into(), error_code: Some(TEXT.into()), at: ended };
    store.commit_page(&page(&invoices, &run, &lease, ended)).await.unwrap();
    store.update_windows(owner, &[day(1)], WindowUpdate::Failed(&failure)).await.unwrap();
    store.update_windows(own_owner, &[day(2)], WindowUpdate::Failed(&failure)).await.unwrap();
    let gone = GoneRecord { id: "2".into(), deleted_at: Some(ended) };
    store.mark_gone(&invoices, &lease, &[gone], ended).await.unwrap();
    let end = RunEnd {
        status: RunStatus::Failed,
        closed: 0,
        message: Some(TEXT.into()),
        error_code: Some(TEXT.into()),
        finished_at: ended,
        calls: 19,
        retries: 1,
        waited_seconds: 2.5,
        fence: None,
    };
    store.request_stop(&run, TEXT).await.unwrap();
    store.finish_run(&run, &end).await.unwrap();
    let finding = |entity_name: &str| ValidationResult {
        entity_name: entity_name.into(),
        time_axis: "updated".into(),
        at: ended,
        rows: 3,
        findings: vec![Finding {
            kind: TEXT.into(),
            severity: Severity::Error,
            span: Some(day(0)),
            amount: 1,
            detail: TEXT.into(),
        }],
    };
    store.keep_validated(&run, &[finding("invoices"), finding(TEXT)]).await.unwrap();
}

/// A page with a record whose id and number are hostile, one whose id has slashes, one that is gone, and two for the quarantine.
fn page(pipeline: &Pipeline, run: &RunId, lease: &Lease, at: OffsetDateTime) -> PageCommit {
    let row = |id: &str, number: &str| {
        let escaped = number.chars().map(|letter| format!("\\u{:04x}", u32::from(letter)));
        let number = escaped.collect::<Vec<_>>().concat();
        let payload = format!(
            r#"{{"Id":"1","DocNumber":"{number}","Note":"{PAYLOAD_MARK} <b>&amp;</b> {}"}}"#,
            '\u{202e}'
        );
        Row {
            id: id.into(),
            payload: Bytes::from(payload),
            window: 0,
            updated_at: Some(START + Duration::hours(12)),
            updated_on: None,
            sync_token: Some(3),
        }
    };
    let rejected = |id: Option<&str>, raw: &str| RejectedRow {
        id: id.map(Into::into),
        raw: Bytes::from(format!("{PAYLOAD_MARK} {raw}")),
        reason: TEXT.into(),
        window: 0,
    };
    PageCommit {
        pipeline: pipeline.clone(),
        run: run.clone(),
        lease: lease.clone(),
        page_number: 1,
        page_size: 1000,
        request: format!("{{\"query\":\"{TEXT}\"}}").into(),
        started_at: at - Duration::minutes(1),
        ingested_at: at,
        answered_at: at,
        latest_at: at,
        all_fields: true,
        by_content: false,
        rows: vec![row("1", "1043"), row("2", "1044"), row(TEXT, TEXT), row("USD/EUR/2026-01-01", "1044")],
        rejected: vec![rejected(Some(TEXT), "one"), rejected(None, "two")],
        windows: vec![WindowChange {
            window: day(0),
            state: WindowState::Completed,
            cursor: None::<ScanCursor>,
            duration: Span::from_millis(40),
            after: None,
        }],
    }
}

async fn people(store: &MemoryStore, at: OffsetDateTime) {
    let event = |phase, level| NewEvent {
        at,
        level,
        phase,
        event: TEXT.into(),
        run: Some(RUN.parse().unwrap()),
        entity_name: Some(TEXT.into()),
        trigger: Some("night".parse().unwrap()),
        who: Some(TEXT.into()),
        code: Some(TEXT.into()),
        detail: Some(TEXT.into()),
    };
    let events =
        [event(HistoryPhase::Extract, Severity::Info), event(HistoryPhase::Console, Severity::Error)];
    store.record_events(&events).await.unwrap();
    let aside = store.quarantined(None).await.unwrap();
    store.accept_quarantined("invoices", &aside[0].digest, TEXT, TEXT).await.unwrap().unwrap();
    let beat = WorkerBeat {
        worker: TEXT.into(),
        version: TEXT.into(),
        profile: Some(TEXT.into()),
        activity: WorkerActivity::Running,
        running: vec!["night".parse().unwrap()],
        resting: vec![RestingTrigger {
            trigger: "night".parse().unwrap(),
            until: Span::from_secs(600),
            reason: TEXT.into(),
        }],
    };
    store.heartbeat(&beat).await.unwrap();
    let refusal = SourceRefusal {
        entity_name: "invoices".into(),
        part: TEXT.into(),
        refused_at: at,
        program: TEXT.into(),
    };
    store.keep_refusals(&[refusal]).await.unwrap();
    let verified = VerificationRecord {
        id: "verification-1".parse().unwrap(),
        entity_name: TEXT.into(),
        method: VerifyMethod::Compared,
        span: day(0),
        result: VerifyResult::Differs,
        counted: 0,
        same: 2,
        missing: 1,
        changed: 0,
        gone: 0,
        marked: 0,
        calls: 2,
        at,
    };
    store.keep_verifications(&[verified]).await.unwrap();
}

async fn triggers(store: &MemoryStore, now: OffsetDateTime) {
    let trigger = |name: &str, link| NewTrigger {
        name: name.parse().unwrap(),
        plan: TriggerPlan {
            entity_names: vec![TEXT.into(), "invoices".into()],
            time_axis: TEXT.into(),
            span: day(0),
            chunk: TEXT.into(),
            selection: WindowSelection::Failed,
        },
        fire_at: now + Duration::hours(1),
        if_missed: IfMissed::Run,
        link,
    };
    let link = |position| Some(ChainLink { chain: TEXT.into(), position });
    store.add(&[trigger("night", None)], TEXT).await.unwrap();
    store.add(&[trigger("year.1", link(1)), trigger("year.2", link(2))], TEXT).await.unwrap();
    store.cancel(&"year.1".parse().unwrap(), TEXT).await.unwrap();
}
