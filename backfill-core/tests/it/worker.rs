//! Workers over an emulated company.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backfill_core::{
    CancellationToken, Catalog, Engine, RunEventKind, RunFactory, Settle, Until, Worker, WorkerPresence,
};
use fixtures::{CallKind, Fault, Gate, Rule, Shape};
use qbo_auth::ManualClock;
use raw_store::{
    ActivityReader, BackfillLog, ChainLink, IfMissed, MemoryStore, NewTrigger, RunId, RunStatus, Trigger,
    TriggerName, TriggerPlan, TriggerQueue, TriggerState, WindowSelection, WindowState, WorkerActivity,
};
use time::macros::datetime;

use crate::bench::{Bench, SPAN_END, run_id, window};

/// An engine of the bench, over the store as this worker's process sees it.
struct Maker(Box<dyn Fn() -> Engine + Send + Sync>);

impl std::fmt::Debug for Maker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Maker")
    }
}

#[async_trait::async_trait]
impl RunFactory for Maker {
    fn name(&self) -> (RunId, u64) {
        (run_id(), 1)
    }

    fn engine(&self) -> Result<Engine, Box<str>> {
        Ok((self.0)())
    }
}

fn worker(bench: &Arc<Bench>) -> Arc<Worker> {
    worker_over(bench, Arc::new(bench.store.another_process()))
}

fn worker_over(bench: &Arc<Bench>, store: Arc<MemoryStore>) -> Arc<Worker> {
    let (of_runs, made) = (Arc::clone(&store), Arc::clone(bench));
    Arc::new(Worker {
        presence: WorkerPresence {
            log: store.clone(),
            version: "1.2.3".into(),
            profile: Some("acme".into()),
        },
        queue: store.clone(),
        store,
        clock: Arc::new(ManualClock::auto(datetime!(2026-11-22 10:00 UTC))),
        catalog: Catalog::bundled(),
        identity: bench.request().identity,
        holder: "this test".into(),
        settle: Settle::Soon,
        sink: bench.sink(),
        runs: Arc::new(Maker(Box::new(move || made.engine_over(of_runs.clone())))),
    })
}

fn trigger(name: &str, entities: &[&str]) -> NewTrigger {
    NewTrigger {
        name: name.parse().unwrap(),
        plan: TriggerPlan {
            entity_names: entities.iter().map(|name| (*name).into()).collect(),
            time_axis: "updated".into(),
            span: window(datetime!(2024-01-01 0:00 UTC), SPAN_END),
            chunk: "day".into(),
            selection: WindowSelection::Open,
        },
        fire_at: datetime!(2026-02-02 15:00 UTC),
        if_missed: IfMissed::Run,
        link: None,
    }
}

async fn state(bench: &Bench, name: &str) -> Trigger {
    let name: TriggerName = name.parse().unwrap();
    bench.store.triggers().await.unwrap().0.into_iter().find(|one| one.asked.name == name).unwrap()
}

async fn work_off(bench: &Arc<Bench>) -> bool {
    worker(bench).work(Until::Idle, CancellationToken::new()).await.unwrap().is_sound()
}

#[tokio::test]
async fn a_trigger_runs_its_backfill_once() {
    let bench = Arc::new(Bench::start(Shape::default().with_counts(300, 20, 10)).await);
    let (_, now) = bench.store.triggers().await.unwrap();
    let later = NewTrigger { fire_at: now + time::Duration::HOUR, ..trigger("later", &["items"]) };
    bench.store.add(&[trigger("now", &["invoices", "customers"]), later], "op1").await.unwrap();
    assert!(work_off(&bench).await);
    bench.assert_complete("Invoice");
    bench.assert_complete("Customer");
    let now = state(&bench, "now").await;
    assert_eq!((now.state, now.message), (TriggerState::Done, None));
    assert_eq!(state(&bench, "later").await.state, TriggerState::Armed);
    assert!(work_off(&bench).await);
    let runs = bench.store.runs(9).await.unwrap();
    assert_eq!((runs.len(), &runs[0].id), (1, now.run.as_ref().unwrap()));
    assert_eq!(runs[0].status, RunStatus::Completed);
}

#[tokio::test]
async fn a_run_that_was_stopped_goes_on_with_the_next_worker() {
    let bench = Arc::new(Bench::start(Shape::default().with_counts(3500, 5, 5)).await);
    bench.store.add(&[trigger("one", &["invoices"])], "op1").await.unwrap();
    let stop = CancellationToken::new();
    let on_page = stop.clone();
    bench.on_event(move |event| {
        if matches!(event.kind, RunEventKind::PageCommitted { .. }) {
            on_page.cancel();
        }
    });
    assert!(worker(&bench).work(Until::Stopped, stop).await.unwrap().is_sound());
    let stopped = state(&bench, "one").await;
    assert_eq!(stopped.state, TriggerState::Running);
    bench.on_event(|_| {});
    assert!(work_off(&bench).await);
    bench.assert_complete("Invoice");
    let done = state(&bench, "one").await;
    assert_eq!((done.state, &done.run), (TriggerState::Done, &stopped.run));
    let runs = bench.store.runs(9).await.unwrap();
    assert_eq!((runs.len(), runs[0].status), (1, RunStatus::Completed));
    assert_eq!(runs[0].calls as usize, bench.sandbox.journal().metered(), "both parts of the run count");
}

#[tokio::test]
async fn a_run_is_stopped_from_elsewhere() {
    let bench = Arc::new(Bench::start(Shape::default().with_counts(3500, 5, 5)).await);
    bench.store.add(&[trigger("one", &["invoices"])], "op1").await.unwrap();
    let gate = Gate::new();
    bench.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())).after(2));
    let worker = tokio::spawn(worker(&bench).work(Until::Idle, CancellationToken::new()));
    gate.arrived().await;
    bench.store.another_process().cancel(&"one".parse().unwrap(), "op1").await.unwrap();
    assert!(worker.await.unwrap().unwrap().is_sound());
    let cancelled = state(&bench, "one").await;
    assert_eq!(cancelled.state, TriggerState::Cancelled);
}

#[tokio::test]
async fn a_chain_stops_where_something_failed_and_goes_on_when_it_is_armed_again() {
    let bench = Arc::new(Bench::start(Shape::default().with_counts(50, 20, 10)).await);
    let link = |position| Some(ChainLink { chain: "night".into(), position });
    let chain = [("first", "invoices", 1), ("second", "customers", 2)];
    let chain =
        chain.map(|(name, entity, place)| NewTrigger { link: link(place), ..trigger(name, &[entity]) });
    bench.store.add(&chain, "op1").await.unwrap();
    bench.sandbox.faults().push(Rule::on(CallKind::Query, Fault::json(400, "2500")).always());
    assert!(!work_off(&bench).await);
    let failed = state(&bench, "first").await;
    assert_eq!(failed.state, TriggerState::Failed);
    assert!(failed.message.unwrap().ends_with("windows failed"));
    assert_eq!(state(&bench, "second").await.state, TriggerState::Armed);

    bench.sandbox.faults().clear();
    bench.store.rearm(&"first".parse().unwrap(), datetime!(2026-02-02 15:00 UTC), None, "op1").await.unwrap();
    assert!(work_off(&bench).await);
    bench.assert_complete("Invoice");
    bench.assert_complete("Customer");
}

/// A night without QuickBooks: the run rests and goes on, and is the same run in the end.
#[tokio::test]
async fn a_run_rests_while_the_source_is_down() {
    let bench = Arc::new(Bench::start(Shape::default().with_counts(50, 5, 5)).await);
    bench.store.add(&[trigger("one", &["invoices"])], "op1").await.unwrap();
    bench.sandbox.faults().push(Rule::on(CallKind::Query, Fault::json(503, "0")).times(2 * (6 + 9) + 3));
    let worker = worker(&bench);
    let clock = Arc::clone(&worker.clock);
    let ended = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&ended);
    bench.on_event(move |event| {
        if let RunEventKind::TriggerEnded { state, .. } = &event.kind {
            heard.lock().unwrap().push(*state);
        }
    });
    let began = clock.elapsed();
    assert!(worker.work(Until::Idle, CancellationToken::new()).await.unwrap().is_sound());
    assert!(clock.elapsed() >= began + Duration::from_mins(10));
    let ended = ended.lock().unwrap().clone();
    assert_eq!(ended, [TriggerState::Running, TriggerState::Running, TriggerState::Done]);
    bench.assert_complete("Invoice");
    assert_eq!(bench.store.runs(9).await.unwrap().len(), 1);
}

/// Two runs over one pipeline take turns, also in one worker.
#[tokio::test]
async fn triggers_of_one_pipeline_wait_for_each_other() {
    let bench = Arc::new(Bench::start(Shape::default().with_counts(3500, 20, 5)).await);
    bench.store.add(&[trigger("one", &["invoices"])], "op1").await.unwrap();
    let gate = Gate::new();
    bench.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())).after(2));
    let worker = tokio::spawn(worker(&bench).work(Until::Idle, CancellationToken::new()));
    gate.arrived().await;
    let held = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&held);
    bench.on_event(move |event| {
        heard.store(matches!(event.kind, RunEventKind::Held { .. }), Ordering::SeqCst);
    });
    bench.store.add(&[trigger("two", &["invoices", "customers"])], "op1").await.unwrap();
    while !held.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    bench.on_event(|_| {});
    gate.open();
    assert!(worker.await.unwrap().unwrap().is_sound());
    for name in ["one", "two"] {
        assert_eq!(state(&bench, name).await.state, TriggerState::Done, "{name}");
    }
    bench.assert_complete("Invoice");
    bench.assert_complete("Customer");
}

/// A window that fails its count in the first part of a run, and is read again in the second, proves what it has and no more.
#[tokio::test]
async fn a_window_read_again_by_the_same_run_counts_once() {
    let bench = Arc::new(Bench::start(Shape::default().with_counts(100, 20, 5)).await);
    bench.store.add(&[trigger("one", &["invoices", "customers"])], "op1").await.unwrap();
    let hidden = bench.sandbox.with_company(|company| company.ids("Invoice").pop_first().unwrap());
    bench.hide(&[hidden]);
    let down = Rule::on(CallKind::Query, Fault::json(503, "0")).containing("FROM Customer").times(6 + 9);
    bench.sandbox.faults().push(down);
    assert!(!work_off(&bench).await);
    let failed = state(&bench, "one").await;
    let lines = bench.lines().await;
    // A customer has the same id, and is hidden too.
    assert_eq!((failed.state, failed.message.as_deref()), (TriggerState::Failed, Some("2 windows failed")));
    let read: u64 = lines
        .iter()
        .filter(|line| &*line.entity_name == "invoices")
        .map(|line| line.metrics.records_read)
        .sum();
    assert_eq!(read, 99);
}

#[tokio::test]
async fn what_this_worker_does_not_know_is_left_to_others() {
    let bench = Arc::new(Bench::start(Shape::default().with_counts(5, 5, 5)).await);
    bench.store.add(&[trigger("one", &["widgets"])], "op1").await.unwrap();
    assert!(work_off(&bench).await);
    assert_eq!(state(&bench, "one").await.state, TriggerState::Armed);
    assert!(bench.store.runs(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_worker_says_that_it_is_alive_and_which_triggers_it_delays() {
    let bench = Arc::new(Bench::start(Shape::default().with_counts(5, 5, 5)).await);
    bench.store.add(&[trigger("one", &["widgets"]), trigger("two", &["invoices"])], "op1").await.unwrap();
    let gate = Gate::new();
    bench.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())).times(1));
    let stop = CancellationToken::new();
    let worker = tokio::spawn(worker(&bench).work(Until::Stopped, stop.clone()));
    gate.arrived().await;
    // The worker's clock moves with its waits, so that a heartbeat follows soon.
    let seen = loop {
        let seen = bench.store.workers(9).await.unwrap().value;
        if seen.first().is_some_and(|one| one.activity == WorkerActivity::Running) {
            break seen;
        }
        tokio::task::yield_now().await;
    };
    let [one] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((&*one.worker, &*one.version, one.profile.as_deref()), ("this test", "1.2.3", Some("acme")));
    assert_eq!(one.running, ["two".parse().unwrap()]);
    let [rest] = &one.resting[..] else { panic!("{one:?}") };
    assert_eq!(rest.trigger.as_str(), "one");
    assert!(rest.reason.contains("widgets") && rest.until > one.seen_at, "{rest:?}");
    gate.open();
    stop.cancel();
    worker.await.unwrap().unwrap();
    assert_eq!(bench.store.workers(9).await.unwrap().value[0].activity, WorkerActivity::Ended);
}

/// Which windows a trigger reads is decided when it fires.
#[tokio::test]
async fn a_trigger_for_failed_windows_reads_no_others_and_one_for_all_reads_them_again() {
    let bench = Arc::new(Bench::start(Shape::default().with_counts(100, 20, 5)).await);
    bench.store.add(&[trigger("one", &["invoices"])], "op1").await.unwrap();
    let hidden = bench.sandbox.with_company(|company| company.ids("Invoice").pop_first().unwrap());
    bench.hide(&[hidden]);
    assert!(!work_off(&bench).await);
    let attempts = async || {
        let lines = bench.lines().await;
        lines
            .into_iter()
            .map(|line| (line.window, (line.state, line.attempts, line.error_code)))
            .collect::<Vec<_>>()
    };
    let before = attempts().await;
    let failed: Vec<_> = before.iter().filter(|(_, (state, ..))| *state == WindowState::Failed).collect();
    let [(window, (.., code))] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!(code.as_deref(), Some("count.differs"));
    assert_eq!(state(&bench, "one").await.error_code.as_deref(), Some("run.windows_failed"));

    let mut again = trigger("two", &["invoices"]);
    again.plan.selection = WindowSelection::Failed;
    bench.store.add(&[again], "op1").await.unwrap();
    work_off(&bench).await;
    let after = attempts().await;
    for ((at, (_, tries, _)), (_, (_, now, _))) in before.iter().zip(&after) {
        // The run reads it twice, because the count still differs.
        assert_eq!(now - tries, if at == window { 2 } else { 0 }, "{at}");
    }

    let mut all = trigger("three", &["invoices"]);
    all.plan.selection = WindowSelection::Again;
    bench.store.add(&[all], "op1").await.unwrap();
    work_off(&bench).await;
    let last = attempts().await;
    for ((at, (_, tries, _)), (_, (_, now, _))) in after.iter().zip(&last) {
        // The count still differs, and some are read once more for it.
        assert!(now > tries, "{at}");
    }
}
