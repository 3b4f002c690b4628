//! A range that ends now: the run waits until the margin has passed, and reads what ended too near to now once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use backfill_core::{CancellationToken, Failure, RunEvent, RunEventKind, RunOutcome, RunRequest, Settle};
use fixtures::Shape;
use raw_store::{RunStatus, WindowState};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::bench::{Bench, run_id, window};

const NOW: OffsetDateTime = datetime!(2024-12-30 12:00 UTC);

/// A company whose people have worked until now.
async fn company() -> Arc<Bench> {
    let shape = Shape::default().with_counts(1500, 40, 10);
    Arc::new(Bench::start(Shape { to: NOW, now: Some(NOW), ..shape }).await)
}

/// A request for everything until now.
fn until_now(bench: &Bench, settle: Settle) -> RunRequest {
    RunRequest {
        span: window(datetime!(2024-01-01 0:00 UTC), NOW),
        settle,
        ..bench.request_for(&["Invoice", "Customer"])
    }
}

/// Records appear that say they are a minute old, and one that was read is changed; then the source's clock goes on with the
/// wait.
fn work_goes_on(bench: &Bench, wait: std::time::Duration) {
    let minute = time::Duration::MINUTE;
    bench.sandbox.with_company(|company| {
        company.advance(-minute);
        for _ in 0..7 {
            company.insert_new("Invoice").unwrap();
        }
        let id = company.ids("Customer").into_iter().next().unwrap();
        assert!(company.edit("Customer", &id));
        company.advance(minute + wait);
    });
}

/// Calls a hook when the run begins to wait, with how long.
fn on_settling(bench: &Bench, hook: impl Fn(usize, std::time::Duration) + Send + Sync + 'static) {
    bench.on_event(move |event: &RunEvent| {
        if let RunEventKind::Settling { windows, wait } = &event.kind {
            hook(*windows, *wait);
        }
    });
}

async fn states(bench: &Bench, state: WindowState) -> usize {
    bench.lines().await.iter().filter(|line| line.state == state).count()
}

fn assert_settled(bench: &Bench, outcome: &RunOutcome) {
    assert!(outcome.failure.is_none(), "{:?}", outcome.failure);
    assert_eq!((outcome.status(), outcome.totals().windows_provisional), (RunStatus::Completed, 0));
    bench.assert_complete("Invoice");
    bench.assert_complete("Customer");
}

#[tokio::test]
async fn a_range_that_ends_now_is_completed_with_all_that_appears_meanwhile() {
    let bench = company().await;
    let (waits, people) = (Arc::new(AtomicU32::new(0)), Arc::clone(&bench));
    let counted = Arc::clone(&waits);
    on_settling(&bench, move |windows, wait| {
        counted.fetch_add(1, Ordering::SeqCst);
        assert_eq!((windows, wait.as_secs()), (2, 301));
        work_goes_on(&people, wait);
    });
    let request = until_now(&bench, Settle::Soon);
    let planned = bench.engine().plan(&request).await.unwrap().settling(&request, NOW).unwrap();
    let before = bench.elapsed();
    let outcome = bench.run(request.clone()).await;
    assert_settled(&bench, &outcome);
    assert_eq!(waits.load(Ordering::SeqCst), 1);
    assert_eq!(bench.elapsed().saturating_sub(before).as_secs(), 301);
    assert_eq!(states(&bench, WindowState::Completed).await, 2 * 365);
    // One page and one count for each pipeline that was settled.
    let all = bench.sandbox.journal().metered();
    let left = Arc::new(
        Bench::start(Shape { to: NOW, now: Some(NOW), ..Shape::default().with_counts(1500, 40, 10) }).await,
    );
    left.run(until_now(&left, Settle::Never)).await;
    let settling = all - left.sandbox.journal().metered();
    assert_eq!((planned.windows, planned.calls, planned.wait.as_secs()), (2, settling as u64, 300));
    // Nothing is left for another run.
    bench.run(RunRequest { id: run_id(), ..request }).await;
    assert_eq!(bench.sandbox.journal().metered(), all);
}

#[tokio::test]
async fn a_run_that_is_not_to_settle_leaves_its_last_windows_to_another() {
    let bench = company().await;
    on_settling(&bench, |_, _| panic!("it waits"));
    let outcome = bench.run(until_now(&bench, Settle::Never)).await;
    assert_eq!(outcome.status(), RunStatus::Incomplete);
    assert_eq!(states(&bench, WindowState::Provisional).await, 2);
    // Neither does a run whose range ends far ahead, unless it is told to.
    let ahead = window(datetime!(2024-01-01 0:00 UTC), NOW + time::Duration::days(2));
    let later = RunRequest { id: run_id(), span: ahead, ..until_now(&bench, Settle::Soon) };
    assert_eq!(later.settle, Settle::Soon);
    assert_eq!(bench.run(later).await.status(), RunStatus::Incomplete);
}

#[tokio::test]
async fn a_range_that_reaches_ahead_is_not_waited_for_where_one_of_its_windows_has_just_ended() {
    let midnight = datetime!(2024-12-30 0:00 UTC);
    let now = midnight + time::Duration::MINUTE;
    let shape = Shape { to: now, now: Some(now), ..Shape::default().with_counts(150, 40, 10) };
    let bench = Bench::start(shape).await;
    on_settling(&bench, |_, _| panic!("it waits, and stays provisional all the same"));
    let span = window(datetime!(2024-12-01 0:00 UTC), midnight + time::Duration::days(3));
    let request = RunRequest { span, settle: Settle::Soon, ..bench.request_for(&["Invoice", "Customer"]) };
    assert_eq!(bench.engine().plan(&request).await.unwrap().settling(&request, now), None);
    assert_eq!(bench.run(request).await.status(), RunStatus::Incomplete);
    assert_eq!(states(&bench, WindowState::Provisional).await, 2 * 4);
}

#[tokio::test]
async fn a_run_that_is_told_to_settle_waits_for_the_end_of_its_range() {
    let bench = company().await;
    let people = Arc::clone(&bench);
    on_settling(&bench, move |_, wait| work_goes_on(&people, wait));
    let end = NOW + time::Duration::hours(30);
    let request =
        RunRequest { span: window(datetime!(2024-01-01 0:00 UTC), end), ..until_now(&bench, Settle::Always) };
    assert_settled(&bench, &bench.run(request).await);
    assert!(bench.elapsed().as_secs() > 30 * 3600);
}

#[tokio::test]
async fn a_run_that_is_stopped_while_it_waits_ends_at_once_and_the_next_one_settles() {
    let bench = company().await;
    let stop = CancellationToken::new();
    let on_waiting = stop.clone();
    on_settling(&bench, move |_, _| on_waiting.cancel());
    let outcome = bench.run_until(until_now(&bench, Settle::Soon), stop).await;
    assert!(matches!(outcome.failure.unwrap().failure, Failure::Stopped));
    assert_eq!((outcome.record.status, bench.elapsed().as_secs()), (RunStatus::Stopped, 0));
    assert_eq!(states(&bench, WindowState::Provisional).await, 2, "what was read stays");
    let people = Arc::clone(&bench);
    on_settling(&bench, move |_, wait| work_goes_on(&people, wait));
    let next = RunRequest { id: run_id(), ..until_now(&bench, Settle::Soon) };
    assert_settled(&bench, &bench.run(next).await);
}

/// A process that is killed leaves a run that is still recorded as running; a worker resumes it under its own name.
#[tokio::test]
async fn a_run_that_is_killed_while_it_waits_is_settled_when_it_is_resumed() {
    let bench = company().await;
    let waits = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&waits);
    on_settling(&bench, move |_, _| told.notify_one());
    let request = until_now(&bench, Settle::Soon);
    // The engine is dropped between its event and its wait.
    let process = bench.engine_with_a_clock_that_stands();
    tokio::select! {
        biased;
        outcome = process.run(request.clone(), CancellationToken::new()) => panic!("it does not wait: {outcome:?}"),
        () = waits.notified() => {}
    }
    drop(process);
    assert_eq!(states(&bench, WindowState::Provisional).await, 2);
    let people = Arc::clone(&bench);
    on_settling(&bench, move |_, wait| work_goes_on(&people, wait));
    let spent = bench.sandbox.journal().metered();
    let outcome = bench.run(request).await;
    assert_settled(&bench, &outcome);
    // The resumed run does not know the source's time, so it asks once too early.
    assert!(bench.sandbox.journal().metered() - spent <= 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_may_settle_the_windows_meanwhile() {
    let bench = company().await;
    let people = Arc::clone(&bench);
    on_settling(&bench, move |_, wait| {
        work_goes_on(&people, wait);
        let engine = people.engine_over(Arc::new(people.store.another_process()));
        let request = RunRequest { id: run_id(), ..until_now(&people, Settle::Never) };
        let run = async { engine.run(request, CancellationToken::new()).await.unwrap().status() };
        let status = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(run));
        assert_eq!(status, RunStatus::Completed);
    });
    let spent = || bench.sandbox.journal().metered();
    let outcome = bench.run(until_now(&bench, Settle::Soon)).await;
    assert!(outcome.failure.is_none(), "{:?}", outcome.failure);
    assert_eq!(outcome.status(), RunStatus::Completed, "the log says so");
    bench.assert_complete("Invoice");
    let after = spent();
    bench.run(RunRequest { id: run_id(), ..until_now(&bench, Settle::Soon) }).await;
    assert_eq!(spent(), after);
}

/// The lease of a pipeline is free while the run waits. A process that has taken it is not waited for longer than asked, and the
/// run says that it is not complete.
#[tokio::test]
async fn windows_that_another_process_reads_when_the_wait_is_over_are_left_to_it() {
    let bench = company().await;
    let other = Arc::new(bench.store.another_process());
    let people = Arc::clone(&bench);
    let held = std::sync::Mutex::new(Some(other));
    on_settling(&bench, move |_, wait| {
        work_goes_on(&people, wait);
        if let Some(other) = held.lock().unwrap().take() {
            let pipeline = backfill_core::Catalog::bundled();
            let pipeline = pipeline.find("Invoice").unwrap().pipeline(backfill_core::Axis::Updated);
            let taken = raw_store::Leases::acquire(&*other, &pipeline, "another process");
            at_once(taken);
            std::mem::forget(other);
        }
    });
    let outcome = bench.run(until_now(&bench, Settle::Soon)).await;
    assert!(outcome.failure.is_none(), "{:?}", outcome.failure);
    assert_eq!(outcome.status(), RunStatus::Incomplete);
    assert_eq!(states(&bench, WindowState::Provisional).await, 1, "the other pipeline is settled");
    bench.assert_complete("Customer");
}

/// The store in memory never waits.
fn at_once<T, E: std::fmt::Debug>(future: impl Future<Output = Result<T, E>>) {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(result) = future.as_mut().poll(&mut context) else { panic!("it waits") };
    result.unwrap();
}
