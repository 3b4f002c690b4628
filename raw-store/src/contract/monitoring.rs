//! Contract cases: what people are shown of the log, the runs, the processes and the rows.

use std::time::Duration;

use time::macros::datetime;
use time::{Month, OffsetDateTime};

use super::scene::{Scene, day, noon, pipeline, row, run_end, run_start};
use crate::{
    ActivityReader, CoverageReader, EventLog, HistoryEntry, HistoryFilter, HistoryKey, HistoryKind,
    HistoryOrder, HistoryPhase, HistoryReader, IfMissed, IssueReader, LineFilter, LineKey, NewEvent,
    NewTrigger, NumberSearch, PipelineTotals, QuarantineFilter, QuarantineKey, RejectedRow, Reopen,
    RestingTrigger, RowReader, RunFilter, RunKey, RunReader, RunStatus, ScanCursor, Severity, Store,
    StoreError, StoreErrorKind, TriggerPlan, TriggerQueue, Window, WindowFailure, WindowSelection,
    WindowState, WindowUpdate, WorkerActivity, WorkerBeat, WorkerLog,
};

/// A window longer than a month.
fn long() -> Window {
    Window::new(datetime!(2024-02-15 0:00 UTC), datetime!(2024-04-11 0:00 UTC)).unwrap()
}

/// The log is summed by month, and a long window counts in each month that it covers.
pub async fn the_log_is_summed_by_month(store: &(impl Store + CoverageReader)) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.land(vec![row("1", "{}", noon(0)), row("2", "{}", noon(0))]).await?;
    scene.close(day(0), WindowState::Completed).await?;
    scene.close(day(1), WindowState::Completed).await?;
    store.open_windows(scene.owner(), &[long()], Reopen::Unfinished).await?;
    let counted = WindowUpdate::Counted(noon(21).into());
    store.update_windows(scene.owner(), &[day(1)], counted).await?;
    let found = store.months("UTC").await?.value;
    let shown: Vec<_> = found
        .iter()
        .map(|one| (one.month, one.state, one.counted, one.windows, one.covered.as_secs() / 86400))
        .collect();
    assert_eq!(
        shown,
        [
            (Month::January, WindowState::Completed, false, 1, 1),
            (Month::January, WindowState::Completed, true, 1, 1),
            (Month::January, WindowState::Pending, false, 8, 8),
            (Month::February, WindowState::Pending, false, 1, 15),
            (Month::March, WindowState::Pending, false, 1, 31),
            (Month::April, WindowState::Pending, false, 1, 10),
        ]
    );
    assert!(found.iter().all(|one| one.year == 2024 && &*one.entity_name == "invoices"));
    let records: Vec<_> = found.iter().map(|one| (one.records_read, one.records_inserted)).collect();
    assert_eq!(records, [(2, 2), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0)]);
    let inserted = store.inserted_rows().await?.value;
    assert_eq!(
        inserted.iter().map(|one| (&*one.entity_name, one.rows)).collect::<Vec<_>>(),
        [("invoices", 2)]
    );
    let unknown = store.months("Nowhere/At_All").await.unwrap_err();
    assert!(matches!(unknown.kind, StoreErrorKind::Configuration(_)), "{unknown}");
    Ok(())
}

/// Windows that touch or overlap are one stretch; what nobody planned lies between two.
pub async fn stretches_of_the_log_have_no_gap(
    store: &(impl Store + CoverageReader),
) -> Result<(), StoreError> {
    let scene = Scene::begin(store).await?;
    let week = Window::new(day(8).start(), day(12).end()).unwrap();
    let inside = Window::new(day(9).start(), noon(9)).unwrap();
    store.open_windows(scene.owner(), &[week, inside, day(20)], Reopen::Unfinished).await?;
    let found = store.stretches().await?.value;
    let spans: Vec<Window> = found.iter().map(|one| one.span).collect();
    assert_eq!(spans, [Window::new(day(0).start(), day(12).end()).unwrap(), day(20)]);
    assert!(found.iter().all(|one| &*one.entity_name == "invoices" && &*one.time_axis == "updated"));
    Ok(())
}

/// The log is listed in pages, and filtered by every field.
pub async fn log_lines_are_listed_in_pages(store: &(impl Store + CoverageReader)) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.close(day(0), WindowState::Completed).await?;
    scene.close(day(1), WindowState::Completed).await?;
    let counted = WindowUpdate::Counted(noon(21).into());
    store.update_windows(scene.owner(), &[day(1)], counted).await?;
    let reason = WindowFailure {
        message: "the source refused".into(),
        error_code: Some("api.refused".into()),
        at: noon(20),
    };
    store.update_windows(scene.owner(), &[day(2)], WindowUpdate::Failed(&reason)).await?;
    let mut after: Option<LineKey> = None;
    let mut seen = Vec::new();
    loop {
        let page = store.page_of_lines(&LineFilter::default(), after.as_ref(), 4).await?.value;
        let is_last = page.len() < 4;
        after = page.last().map(LineKey::from).or(after);
        seen.extend(page.into_iter().map(|line| line.window));
        if is_last {
            break;
        }
    }
    assert_eq!(seen, (0..10).map(day).collect::<Vec<_>>());
    let found = async |filter: LineFilter| {
        let lines = store.page_of_lines(&filter, None, 100).await?.value;
        Ok::<_, StoreError>(lines.into_iter().map(|line| line.window).collect::<Vec<_>>())
    };
    let filter = LineFilter::default;
    let failed = LineFilter { state: Some(WindowState::Failed), ..filter() };
    let lines = store.page_of_lines(&failed, None, 100).await?.value;
    assert_eq!(lines.iter().map(|line| line.window).collect::<Vec<_>>(), [day(2)]);
    assert_eq!(lines[0].error_code.as_deref(), Some("api.refused"));
    assert_eq!(found(LineFilter { unconfirmed: true, ..filter() }).await?, [day(0)]);
    assert_eq!(found(LineFilter { span: Some(day(3)), ..filter() }).await?, [day(3)]);
    assert_eq!(found(LineFilter { time_axis: Some("created".into()), ..filter() }).await?, []);
    assert_eq!(found(LineFilter { entity_name: Some("bills".into()), ..filter() }).await?, []);
    let of_run =
        LineFilter { run: Some("first".parse().unwrap()), state: Some(WindowState::Completed), ..filter() };
    assert_eq!(found(of_run).await?, [day(0), day(1)]);
    // A window that is read again forgets why it failed.
    scene.next_run("second").await?;
    scene.open(2..3, Reopen::Unfinished).await?;
    let line = scene.line(2).await?;
    assert_eq!((line.error_message, line.error_code), (None, None));
    Ok(())
}

/// Runs are listed newest first, in pages.
pub async fn runs_are_listed_in_pages(store: &(impl Store + RunReader)) -> Result<(), StoreError> {
    let scene = Scene::begin(store).await?;
    for (name, at) in [("second", noon(22)), ("third", noon(22))] {
        let start = crate::RunStart { started_at: at, ..run_start(name) };
        store.begin_run(&start).await?;
    }
    let failed =
        crate::RunEnd { status: RunStatus::Failed, error_code: Some("store.full".into()), ..run_end() };
    store.finish_run(&scene.run, &failed).await?;
    let names = |runs: &[crate::RunRecord]| runs.iter().map(|run| run.id.to_string()).collect::<Vec<_>>();
    let all = store.page_of_runs(&RunFilter::default(), None, 2).await?.value;
    assert_eq!(names(&all), ["third", "second"]);
    let before = RunKey::from(&all[1]);
    let rest = store.page_of_runs(&RunFilter::default(), Some(&before), 2).await?.value;
    assert_eq!(names(&rest), ["first"]);
    assert_eq!(rest[0].error_code.as_deref(), Some("store.full"));
    assert_eq!(rest[0].pipelines.len(), 1);
    let filter = RunFilter { status: Some(RunStatus::Failed), entity_name: Some("invoices".into()) };
    assert_eq!(names(&store.page_of_runs(&filter, None, 9).await?.value), ["first"]);
    let other = RunFilter { entity_name: Some("bills".into()), ..RunFilter::default() };
    assert!(store.page_of_runs(&other, None, 9).await?.value.is_empty());
    Ok(())
}

/// The progress of a run is what its pages have done, what is left, and how fast the last pages were.
pub async fn the_progress_of_a_run_is_shown(store: &(impl Store + RunReader)) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let run = scene.run.clone();
    let begun = store.progress(&run).await?.value.unwrap();
    assert_eq!((begun.stop, begun.pipelines[0].windows_left), (None, 10));
    assert_eq!((begun.pipelines[0].recent, begun.pipelines[0].last_page_at), (None, None));
    scene.land(vec![row("1", "{}", noon(0))]).await?;
    scene.close(day(0), WindowState::Completed).await?;
    let cursor = ScanCursor { at: noon(1), seen: Vec::new() };
    scene.pause(day(1), &cursor, Vec::new()).await?;
    assert!(store.request_stop(&run, "op1").await?);
    assert!(store.request_stop(&run, "op2").await?);
    let progress = store.progress(&run).await?.value.unwrap();
    assert_eq!(progress.run.status, RunStatus::Running);
    assert_eq!(progress.stop.unwrap().by.as_deref(), Some("op1"));
    let part = &progress.pipelines[0];
    let PipelineTotals { pages, windows_opened, windows_completed, counts, .. } = &part.totals;
    assert_eq!((*pages, *windows_opened, *windows_completed, counts.inserted), (3, 10, 1, 1));
    assert_eq!((part.windows_left, part.cursor), (9, Some(noon(1))));
    let half_a_day = Duration::from_hours(12);
    assert_eq!((part.time_left, &*part.time_axis), (half_a_day * 17, "updated"));
    let recent = part.recent.unwrap();
    // The pages changed the first window, and the half of the second that lies before the cursor.
    assert_eq!((recent.pages, recent.covered), (3, half_a_day * 3));
    let last = part.last_page_at.unwrap();
    assert_eq!(recent.elapsed, (last - progress.run.started_at).unsigned_abs());
    assert!(store.progress(&"unknown".parse().unwrap()).await?.value.is_none());
    Ok(())
}

/// A trigger of one pipeline, due at once.
fn trigger(name: &str, fire_at: OffsetDateTime) -> NewTrigger {
    NewTrigger {
        name: name.parse().unwrap(),
        plan: TriggerPlan {
            entity_names: vec!["invoices".into()],
            time_axis: "updated".into(),
            span: day(0),
            chunk: "day".into(),
            selection: WindowSelection::Failed,
        },
        fire_at,
        if_missed: IfMissed::Run,
        link: None,
    }
}

/// A trigger says who armed and cancelled it, and is armed again only by those who saw how it is.
pub async fn a_trigger_is_armed_again_by_who_has_seen_it(
    store: &impl TriggerQueue,
) -> Result<(), StoreError> {
    let (_, now) = store.triggers().await?;
    let asked = trigger("night", now + Duration::from_hours(1));
    store.add(std::slice::from_ref(&asked), "op1").await?;
    assert_eq!(store.triggers().await?.0[0].asked.plan, asked.plan);
    store.cancel(&asked.name, "op2").await?;
    let armed = store.rearm(&asked.name, asked.fire_at, Some(1), "op3").await?;
    assert_eq!(armed.armings, 2);
    store.cancel(&asked.name, "op2").await?;
    let late = store.rearm(&asked.name, asked.fire_at, Some(1), "op1").await.unwrap_err();
    let StoreErrorKind::TriggerChanged { armings, by, .. } = &late.kind else { panic!("{late}") };
    assert_eq!((*armings, by.as_deref()), (2, Some("op3")));
    assert_eq!(late.code(), "store.trigger_changed");
    let history = store.trigger_history(&asked.name).await?;
    let told: Vec<_> =
        history.iter().map(|event| (&*event.event, event.by.as_deref().unwrap_or(""))).collect();
    assert_eq!(told, [("armed", "op1"), ("cancelled", "op2"), ("armed", "op3"), ("cancelled", "op2")]);
    Ok(())
}

/// Leases are shown with their holders, and the budget with what is used.
pub async fn leases_and_the_budget_are_shown(
    store: &(impl Store + ActivityReader + TriggerQueue),
) -> Result<(), StoreError> {
    let scene = Scene::begin(store).await?;
    let lease = store.claim(&"night".parse().unwrap(), "a worker").await?;
    let held = store.held_leases().await?;
    let shown: Vec<_> = held
        .value
        .iter()
        .map(|one| (one.entity_name.as_deref(), one.trigger.as_ref().map(ToString::to_string), &*one.holder))
        .collect();
    assert_eq!(shown, [(Some("invoices"), None, "the story"), (None, Some("night".into()), "a worker")]);
    assert!(held.value.iter().all(|one| one.since <= held.now));
    store.release(&lease).await?;
    store.release(&scene.lease).await?;
    assert!(store.held_leases().await?.value.is_empty());
    let budget = store.call_budget().await?;
    assert_eq!((budget.value.used, budget.value.share), (0, 1.0));
    assert_eq!((budget.value.paused_until, budget.value.down_until), (None, None));
    assert!(budget.now < budget.value.until);
    Ok(())
}

/// Each worker has one record, which its heartbeats replace.
pub async fn workers_say_that_they_are_alive(
    store: &(impl ActivityReader + WorkerLog),
) -> Result<(), StoreError> {
    let beat = |worker: &str, activity| WorkerBeat {
        worker: worker.into(),
        version: "1.2.3".into(),
        profile: Some("acme".into()),
        activity,
        running: vec!["night".parse().unwrap()],
        resting: vec![RestingTrigger {
            trigger: "noon".parse().unwrap(),
            until: Duration::from_secs(300),
            reason: "the source is \"down\"".into(),
        }],
    };
    assert!(store.workers(9).await?.value.is_empty());
    store.heartbeat(&beat("one", WorkerActivity::Running)).await?;
    store.heartbeat(&beat("two", WorkerActivity::Waiting)).await?;
    let first = store.workers(9).await?;
    assert_eq!(first.value.iter().map(|one| &*one.worker).collect::<Vec<_>>(), ["two", "one"]);
    let one = &first.value[1];
    assert_eq!(
        (one.activity, &*one.version, one.profile.as_deref()),
        (WorkerActivity::Running, "1.2.3", Some("acme"))
    );
    assert_eq!(one.running, ["night".parse().unwrap()]);
    let resting = &one.resting[0];
    assert_eq!((resting.trigger.as_str(), &*resting.reason), ("noon", "the source is \"down\""));
    assert!(resting.until > one.seen_at + Duration::from_secs(290) && one.seen_at <= first.now);
    let ended = WorkerBeat { resting: Vec::new(), ..beat("one", WorkerActivity::Ended) };
    store.heartbeat(&ended).await?;
    let then = store.workers(1).await?.value;
    assert_eq!(
        (&*then[0].worker, then[0].activity, then[0].started_at),
        ("one", WorkerActivity::Ended, one.started_at)
    );
    assert!(then[0].resting.is_empty());
    store.heartbeat(&beat("one", WorkerActivity::Waiting)).await?;
    let again = &store.workers(1).await?.value[0];
    assert!(again.started_at >= then[0].seen_at && again.activity == WorkerActivity::Waiting);
    Ok(())
}

/// An event at a time.
fn event(at: OffsetDateTime, level: Severity, text: &str) -> NewEvent {
    NewEvent {
        at,
        level,
        phase: HistoryPhase::Console,
        event: text.into(),
        run: None,
        entity_name: None,
        trigger: None,
        who: Some("op1".into()),
        code: None,
        detail: Some("100 % of it_".into()),
    }
}

/// Reads the whole history in pages.
async fn told(
    store: &impl HistoryReader,
    filter: &HistoryFilter,
    order: HistoryOrder,
    limit: u32,
) -> Result<Vec<HistoryEntry>, StoreError> {
    let span = Window::new(noon(19), noon(30)).unwrap();
    let (mut after, mut told): (Option<HistoryKey>, Vec<_>) = (None, Vec::new());
    loop {
        let page = store.happened(span, filter, order, after.as_ref(), limit).await?.value;
        let is_last = page.len() < limit as usize;
        after = page.last().map(HistoryKey::from).or(after);
        told.extend(page);
        if is_last {
            return Ok(told);
        }
    }
}

/// What happened is told in the order of time, whatever table remembers it, and in pages.
pub async fn what_happened_is_told_in_order(
    store: &(impl Store + HistoryReader + EventLog),
) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.land(vec![row("1", "{}", noon(0))]).await?;
    scene.close(day(0), WindowState::Completed).await?;
    scene.close(day(1), WindowState::Completed).await?;
    let reason = WindowFailure {
        message: "QuickBooks counts more".into(),
        error_code: Some("count.differs".into()),
        at: noon(20) + Duration::from_secs(600),
    };
    store.update_windows(scene.owner(), &[day(2)], WindowUpdate::Failed(&reason)).await?;
    let stopped = crate::RunEnd { status: RunStatus::Stopped, ..run_end() };
    store.finish_run(&scene.run, &stopped).await?;
    let same_time = noon(20) + Duration::from_secs(300);
    store
        .record_events(&[
            event(same_time, Severity::Info, "retry"),
            event(same_time, Severity::Warning, "refused"),
        ])
        .await?;
    store.record_events(&[]).await?;
    let everything = HistoryFilter::default();
    let oldest = told(store, &everything, HistoryOrder::OldestFirst, 100).await?;
    let kinds: Vec<_> = oldest.iter().map(|entry| (entry.kind, &*entry.event)).collect();
    let (page, window) = (HistoryKind::Page, HistoryKind::Window);
    assert_eq!(
        kinds,
        [
            (HistoryKind::RunBegun, "running"),
            (page, "1"),
            (page, "2"),
            (page, "3"),
            (window, "completed"),
            (window, "completed"),
            (HistoryKind::Event, "retry"),
            (HistoryKind::Event, "refused"),
            (window, "failed"),
            (HistoryKind::RunEnded, "stopped"),
        ]
    );
    let mut newest = told(store, &everything, HistoryOrder::NewestFirst, 100).await?;
    newest.reverse();
    assert_eq!(newest, oldest);
    for n in [1, 3] {
        assert_eq!(told(store, &everything, HistoryOrder::OldestFirst, n).await?, oldest);
        let mut backwards = told(store, &everything, HistoryOrder::NewestFirst, n).await?;
        backwards.reverse();
        assert_eq!(backwards, oldest);
    }
    the_history_is_filtered(store, &scene.run).await
}

/// Each field of a filter leaves out what does not match it.
async fn the_history_is_filtered(store: &impl HistoryReader, run: &crate::RunId) -> Result<(), StoreError> {
    let count = async |filter: HistoryFilter| {
        let found = told(store, &filter, HistoryOrder::NewestFirst, 2).await?;
        Ok::<_, StoreError>(found.len())
    };
    let filter = HistoryFilter::default;
    assert_eq!(count(HistoryFilter { level: Some(Severity::Error), ..filter() }).await?, 1);
    assert_eq!(count(HistoryFilter { level: Some(Severity::Warning), ..filter() }).await?, 3);
    assert_eq!(count(HistoryFilter { phase: Some(HistoryPhase::Load), ..filter() }).await?, 6);
    assert_eq!(count(HistoryFilter { phase: Some(HistoryPhase::Console), ..filter() }).await?, 2);
    assert_eq!(count(HistoryFilter { phase: Some(HistoryPhase::Verify), ..filter() }).await?, 0);
    assert_eq!(count(HistoryFilter { who: Some("op1".into()), ..filter() }).await?, 2);
    assert_eq!(count(HistoryFilter { run: Some(run.clone()), ..filter() }).await?, 8);
    assert_eq!(count(HistoryFilter { entity_name: Some("invoices".into()), ..filter() }).await?, 6);
    for (text, found) in [("counts MORE", 1), ("COUNT.", 1), ("0 %", 2), ("_", 2), ("i%t", 0), ("'; --", 0)] {
        assert_eq!(count(HistoryFilter { text: Some(text.into()), ..filter() }).await?, found, "{text}");
    }
    Ok(())
}

/// Old events are removed, and no others.
pub async fn old_events_are_removed(
    store: &(impl EventLog + HistoryReader + ActivityReader),
) -> Result<(), StoreError> {
    let now = store.call_budget().await?.now;
    let before = |days: i64| now - time::Duration::days(days);
    let old = [event(before(181), Severity::Info, "old"), event(before(400), Severity::Info, "older")];
    store.record_events(&old).await?;
    store.record_events(&[event(before(179), Severity::Info, "young")]).await?;
    assert_eq!(store.remove_old_events().await?, 2);
    assert_eq!(store.remove_old_events().await?, 0);
    let span = Window::new(before(500), now).unwrap();
    let left = store.happened(span, &HistoryFilter::default(), HistoryOrder::NewestFirst, None, 9).await?;
    assert_eq!(left.value.iter().map(|entry| &*entry.event).collect::<Vec<_>>(), ["young"]);
    Ok(())
}

/// A row is shown with what brought it, and without its document.
pub async fn single_rows_are_shown(store: &(impl Store + RowReader)) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let documents = [
        row("1", r#"{"DocNumber": "1043", "Id": "1"}"#, noon(0)),
        row("2", r#"{"DocNumber": "10", "Id": "2"}"#, noon(0)),
        row("3", r#"{"DocNumber": 1043, "Id": "3"}"#, noon(0)),
        row("4", r#"{"Id": "4"}"#, noon(0)),
        crate::Row {
            updated_at: None,
            updated_on: Some(noon(0).date()),
            ..row("6", r#"{"Id": "6"}"#, noon(0))
        },
    ];
    scene.land(documents.to_vec()).await?;
    let search = NumberSearch { pipeline: pipeline(), member: "DocNumber".into() };
    let shown = store.row(&search, "1").await?.value.unwrap();
    assert_eq!((&*shown.id, shown.number.as_deref()), ("1", Some("1043")));
    assert_eq!((shown.updated_at, shown.sync_token, shown.window), (Some(noon(0)), Some(0), day(0)));
    assert_eq!((shown.run.as_ref(), shown.page_number, shown.page_size), (Some(&scene.run), 1, 1000));
    assert!(shown.request.unwrap().contains("select * from Invoice"));
    assert_eq!(shown.digest.unwrap().len(), 32);
    assert_eq!((shown.gone_found_at, shown.deleted_at), (None, None));
    assert!(store.row(&search, "4").await?.value.unwrap().number.is_none());
    let dated = store.row(&search, "6").await?.value.unwrap();
    assert_eq!((shown.updated_on, dated.updated_at, dated.updated_on), (None, None, Some(noon(0).date())));
    assert!(store.row(&search, "5").await?.value.is_none());
    let other = NumberSearch {
        pipeline: crate::Pipeline { table: "qb_unknown".parse().unwrap(), ..pipeline() },
        member: "DocNumber".into(),
    };
    assert!(store.row(&other, "1").await?.value.is_none());
    assert!(store.document(&other.pipeline, "1").await?.value.is_none());
    let searches = [other, search];
    let found = store.rows_by_number(&searches, "1043", 9).await?.value;
    assert_eq!(found.iter().map(|one| &*one.id).collect::<Vec<_>>(), ["1", "3"]);
    assert_eq!(store.rows_by_number(&searches, "1043", 1).await?.value.len(), 1);
    assert!(store.rows_by_number(&searches, "' OR 1=1", 9).await?.value.is_empty());
    let text = store.document(&pipeline(), "2").await?.value.unwrap();
    assert!(text.contains("DocNumber") && text.contains("\"10\""), "{text}");
    assert!(store.document(&pipeline(), "5").await?.value.is_none());
    Ok(())
}

/// Findings are those of the newest validation, and the quarantine is listed in pages.
pub async fn what_to_look_at_is_shown(
    store: &(impl Store + IssueReader + crate::Validation),
) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let finding = |kind: &str, severity, span| crate::Finding {
        kind: kind.into(),
        severity,
        span,
        amount: 3,
        detail: "three days are empty".into(),
    };
    let result = |at, findings| crate::ValidationResult {
        entity_name: "invoices".into(),
        time_axis: "updated".into(),
        at,
        rows: 7,
        findings,
    };
    let older = result(noon(20), vec![finding("old", Severity::Error, None)]);
    store.keep_validated(&scene.run, &[older]).await?;
    let found = vec![
        finding("whole", Severity::Warning, None),
        finding("later", Severity::Warning, Some(day(2))),
        finding("early", Severity::Warning, Some(day(1))),
        finding("worst", Severity::Error, None),
    ];
    store.keep_validated(&scene.run, &[result(noon(21), found)]).await?;
    let newest = store.newest_findings(9).await?.value;
    let kinds: Vec<_> = newest.iter().map(|one| &*one.finding.kind).collect();
    assert_eq!(kinds, ["worst", "early", "later", "whole"]);
    assert_eq!((&newest[0].run, newest[0].validated_at), (&scene.run, noon(21)));
    assert_eq!(store.newest_findings(1).await?.value, newest[..1]);
    let mut page = scene.page(Vec::new());
    page.rejected = (0..5)
        .map(|n| RejectedRow {
            id: None,
            raw: format!("{{\"n\": {n}").into_bytes().into(),
            reason: "not JSON".into(),
            window: 0,
        })
        .collect();
    store.commit_page(&page).await?;
    let filter = QuarantineFilter { entity_name: Some("invoices".into()), open: true };
    let first = store.page_of_quarantine(&filter, None, 3).await?.value;
    let after = QuarantineKey::from(first.last().unwrap());
    let rest = store.page_of_quarantine(&filter, Some(&after), 3).await?.value;
    assert_eq!((first.len(), rest.len()), (3, 2));
    let keys: Vec<_> = first.iter().chain(&rest).map(|one| one.digest.clone()).collect();
    assert!(keys.is_sorted() && first.iter().all(|one| &*one.reason == "not JSON"));
    store.accept_quarantined("invoices", &keys[0], "op1", "known").await?;
    assert_eq!(store.page_of_quarantine(&filter, None, 9).await?.value.len(), 4);
    assert_eq!(store.page_of_quarantine(&QuarantineFilter::default(), None, 9).await?.value.len(), 5);
    Ok(())
}
