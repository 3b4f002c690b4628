//! An answer without records, or with fewer than asked for, is one witness that there are no more. It takes two.

use backfill_core::{CancellationToken, ChunkSize, Failure, Proof, RunEventKind, RunRequest};
use fixtures::{CallKind, Fault, Rule, Shape};
use raw_store::{Reopen, RunStatus, WindowState};
use time::macros::datetime;

use crate::bench::{self, Bench};

async fn company() -> Bench {
    Bench::start(Shape::default().with_counts(300, 20, 5)).await
}

/// No window of the log says that it is done.
async fn assert_nothing_completed(bench: &Bench) {
    let lines = bench.lines().await;
    assert!(!lines.is_empty());
    assert!(lines.iter().all(|line| line.state != WindowState::Completed), "{:?}", lines[0]);
}

#[tokio::test]
async fn an_empty_first_answer_is_not_believed() {
    for proof in [Proof::Count, Proof::None] {
        for chunk in [ChunkSize::Day, ChunkSize::Month, ChunkSize::Whole] {
            let bench = company().await;
            bench.empty_pages(1);
            let request = RunRequest { proof, chunk, ..bench.request_for(&["Invoice"]) };
            let outcome = bench.run(request.clone()).await;
            assert_eq!(outcome.status(), RunStatus::Completed, "{proof:?} {chunk:?}");
            bench.assert_complete("Invoice");
            // An empty answer, a count, the page, and another count.
            assert_eq!(bench.sandbox.journal().metered(), 4, "{proof:?} {chunk:?}");
            bench.run(RunRequest { id: bench::run_id(), ..request }).await;
            assert_eq!(bench.sandbox.journal().metered(), 4, "a quiet run costs calls");
        }
    }
}

#[tokio::test]
async fn answers_that_stay_empty_against_the_count_fail_with_both_numbers() {
    for proof in [Proof::Count, Proof::None] {
        let bench = company().await;
        bench.empty_pages(u32::MAX);
        let outcome = bench.run(RunRequest { proof, ..bench.request_for(&["Invoice"]) }).await;
        assert_eq!(outcome.status(), RunStatus::Incomplete);
        assert!(outcome.totals().windows_failed > 0, "{:?}", outcome.totals());
        let lines = bench.lines().await;
        let of = |state| lines.iter().filter(move |line| line.state == state);
        let held: u64 = of(WindowState::Completed).map(|line| line.metrics.records_read).sum();
        assert_eq!(held, 0);
        let message = of(WindowState::Failed).next().unwrap().error_message.clone().unwrap();
        assert!(message.starts_with("QuickBooks counts ") && message.ends_with(" 0 were read"), "{message}");
        let calls = bench.sandbox.journal().metered();
        assert!(calls < 250, "{calls}");
        // What failed is read by the next run.
        bench.empty_pages(0);
        let request = RunRequest { proof, ..bench.request_for(&["Invoice"]) };
        assert_eq!(bench.run(request).await.status(), RunStatus::Completed);
        bench.assert_complete("Invoice");
    }
}

#[tokio::test]
async fn a_process_that_dies_before_the_count_leaves_nothing_completed() {
    for proof in [Proof::Count, Proof::None] {
        let bench = company().await;
        bench.empty_pages(1);
        let stop = CancellationToken::new();
        let on_page = stop.clone();
        bench.on_event(move |event| {
            if matches!(event.kind, RunEventKind::PageCommitted { .. }) {
                on_page.cancel();
            }
        });
        let request = || RunRequest { proof, ..bench.request_for(&["Invoice"]) };
        let outcome = bench.run_until(request(), stop).await;
        assert!(matches!(outcome.failure.unwrap().failure, Failure::Stopped));
        assert_nothing_completed(&bench).await;
        bench.on_event(|_| {});
        assert_eq!(bench.run(request()).await.status(), RunStatus::Completed);
        bench.assert_complete("Invoice");
    }
}

#[tokio::test]
async fn a_count_that_is_never_answered_completes_nothing() {
    let bench = company().await;
    bench.empty_pages(1);
    bench.sandbox.faults().push(Rule::on(CallKind::Count, Fault::Html { status: 503 }).always());
    let outcome = bench.run(bench.request_for(&["Invoice"])).await;
    assert_eq!(outcome.status(), RunStatus::Failed);
    assert!(matches!(outcome.failure.unwrap().failure, Failure::Read(_)));
    assert_nothing_completed(&bench).await;
}

/// Silence alone is no proof where a count is refused; records that come twice are.
#[tokio::test]
async fn where_a_count_is_refused_only_records_are_believed() {
    let bench = company().await;
    bench.empty_pages(u32::MAX);
    bench.sandbox.faults().push(Rule::on(CallKind::Count, Fault::json(400, "4000")).always());
    let outcome = bench.run(bench.request_for(&["Invoice"])).await;
    assert_eq!((outcome.status(), outcome.totals().windows_failed), (RunStatus::Incomplete, 366));
    assert_nothing_completed(&bench).await;
    let message = bench.lines().await[0].error_message.clone().unwrap();
    assert!(message.contains("does not count them"), "{message}");

    bench.empty_pages(0);
    let request = || bench.request_for(&["Invoice"]);
    assert_eq!(bench.run(request()).await.status(), RunStatus::Completed);
    bench.assert_complete("Invoice");
    assert!(bench.lines().await.iter().all(|line| line.counted_at.is_none()));
}

/// A page that is shorter than asked says as little of what is behind it, also where the closing count is left out.
#[tokio::test]
async fn a_short_last_page_is_not_believed_without_the_closing_count_either() {
    let bench = company().await;
    bench.drop_rows_after(2);
    let page_size = qbo_client::PageSize::new(100).unwrap();
    let concurrency = std::num::NonZeroUsize::MIN;
    let request =
        || RunRequest { proof: Proof::None, page_size, concurrency, ..bench.request_for(&["Invoice"]) };
    assert_eq!(bench.run(request()).await.status(), RunStatus::Completed);
    bench.assert_complete("Invoice");
}

/// One record, and nothing that could count it: what comes empty is asked for once more.
#[tokio::test]
async fn what_cannot_be_counted_is_asked_for_twice_when_it_comes_empty() {
    let shape = Shape::default().with_count("CompanyInfo", 1);
    let calls = |bench: &Bench| bench.sandbox.journal().metered();
    let bench = Bench::start(shape.clone()).await;
    bench.run(bench.request_for(&["CompanyInfo"])).await;
    assert_eq!(calls(&bench), 1, "a record is its own proof");

    let bench = Bench::start(shape.clone()).await;
    bench.empty_pages(1);
    assert_eq!(bench.run(bench.request_for(&["CompanyInfo"])).await.status(), RunStatus::Completed);
    bench.assert_complete("CompanyInfo");
    assert_eq!(calls(&bench), 3);

    let bench = Bench::start(shape).await;
    bench.empty_pages(u32::MAX);
    let request = || bench.request_for(&["CompanyInfo"]);
    assert_eq!(bench.run(request()).await.status(), RunStatus::Completed);
    assert_eq!(calls(&bench), 2, "two answers agree");
    assert_eq!(bench.lines().await[0].counted_at, None);
    let forced = RunRequest { reopen: Reopen::All, ..request() };
    assert_eq!(bench.engine().plan(&forced).await.unwrap().estimated_calls, 2, "the price is in the plan");
}

/// A record that was deleted between a page and its count is no reason to doubt the page.
#[tokio::test]
async fn fewer_records_at_the_count_than_on_the_page_are_believed() {
    let bench = company().await;
    let stretch = bench::window(datetime!(2024-01-01 0:00 UTC), bench::SPAN_END);
    let request = RunRequest { span: stretch, ..bench.request_for(&["Invoice"]) };
    let id = bench.sandbox.with_company(|company| company.ids("Invoice").pop_first().unwrap());
    let gate = fixtures::Gate::new();
    bench.sandbox.faults().push(Rule::on(CallKind::Count, Fault::Held(gate.clone())));
    let (outcome, ()) = tokio::join!(bench.run(request), async {
        gate.arrived().await;
        bench.sandbox.with_company(|company| assert!(company.delete("Invoice", &id)));
        gate.open();
    });
    assert_eq!(outcome.status(), RunStatus::Completed);
}
