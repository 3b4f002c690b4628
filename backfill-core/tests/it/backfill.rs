//! Whole backfills: the emulated company over real HTTP, into the store that lives in memory.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backfill_core::{Axis, CancellationToken, ChunkSize, Failure, Proof, RunEvent, RunEventKind, RunRequest};
use fixtures::{CallKind, Drift, Fault, Hostile, Rule, SandboxOptions, Shape};
use qbo_client::{ClientEvent, PageSize};
use raw_store::{LogFilter, MemoryStore, Reopen, RunStatus, StoreErrorKind, WindowState};
use time::macros::datetime;

use crate::bench::{self, Bench};

/// What `ceil(records / 999) + 2` allows, plus the closing count.
fn calls_allowed(records: usize) -> usize {
    records.div_ceil(999) + 2 + 1
}

#[tokio::test]
async fn a_year_by_day_lands_every_record_at_the_cost_of_its_pages() {
    let bench = Bench::start(Shape::default().with_counts(4000, 300, 80).with_bulk_import(90)).await;
    let outcome = bench.run(bench.request()).await;
    assert_eq!(outcome.status(), RunStatus::Completed, "{outcome:?}");
    for entity in ["Invoice", "Customer", "Item"] {
        bench.assert_complete(entity);
    }
    let journal = bench.sandbox.journal();
    let records: usize = ["Invoice", "Customer", "Item"].map(|entity| bench.count(entity)).iter().sum();
    let allowed = ["Invoice", "Customer", "Item"].map(|entity| calls_allowed(bench.count(entity)));
    assert!(journal.metered() <= allowed.iter().sum(), "{} calls for {records} records", journal.metered());
    assert_eq!(bench.sandbox.violations(), 0);
    assert_eq!(outcome.totals().windows_completed, 3 * 366);
}

/// The listener is all that an embedder hands over: the engine finds the client's events by itself.
#[tokio::test]
async fn every_event_says_its_run_and_time_and_those_of_the_client_come_before_the_end() {
    let bench = Bench::start(Shape::default().with_counts(300, 5, 5)).await;
    let throttled = Fault::Xml { status: 429, code: "003001".into(), retry_after: Some("7".into()) };
    bench.sandbox.faults().push(Rule::on(CallKind::Query, throttled));
    let request = bench.request_for(&["Invoice"]);
    let run = request.id.clone();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let events = Arc::clone(&heard);
    bench.on_event(move |event| events.lock().unwrap().push(event.clone()));
    assert_eq!(bench.run(request).await.status(), RunStatus::Completed);
    let events = heard.lock().unwrap();
    assert!(events.iter().all(|event| event.run.as_ref() == Some(&run)));
    assert!(events.is_sorted_by_key(|event| event.at));
    let retry = |event: &&RunEvent| matches!(event.kind, RunEventKind::Source(ClientEvent::Retrying { .. }));
    let wait = |event: &&RunEvent| matches!(event.kind, RunEventKind::Source(ClientEvent::Waiting { .. }));
    assert_eq!((events.iter().filter(retry).count(), events.iter().filter(wait).count()), (1, 1));
    let (first, last) = (&events[0].kind, &events[events.len() - 1].kind);
    assert!(matches!(first, RunEventKind::RunStarted { .. }), "{first:?}");
    assert!(matches!(last, RunEventKind::RunFinished { .. }), "{last:?}");
}

#[tokio::test]
async fn thirty_empty_days_cost_one_call_and_a_count() {
    let bench = Bench::start(Shape::default().with_counts(10, 1, 1)).await;
    let mut request = bench.request_for(&["Invoice"]);
    request.span = bench::window(datetime!(2022-01-01 0:00 UTC), datetime!(2022-01-31 0:00 UTC));
    let outcome = bench.run(request).await;
    assert_eq!(outcome.totals().windows_completed, 30);
    assert_eq!(bench.sandbox.journal().metered(), 2);
    assert_eq!(bench.sandbox.journal().count(CallKind::Count), 1, "one for all of them");
    assert!(bench.lines().await.iter().all(|line| line.counted_at.is_some()));
}

#[tokio::test]
async fn five_years_by_day_with_few_records_cost_three_calls_a_pipeline() {
    let bench = Bench::start(Shape::default().with_counts(22, 22, 22)).await;
    let mut request = bench.request();
    request.span = bench::window(datetime!(2021-01-01 0:00 UTC), datetime!(2026-01-01 0:00 UTC));
    bench.sandbox.with_company(|company| company.advance(time::Duration::days(800)));
    let outcome = bench.run(request).await;
    assert_eq!((outcome.status(), outcome.totals().windows_completed), (RunStatus::Completed, 3 * 1826));
    for entity in ["Invoice", "Customer", "Item"] {
        bench.assert_complete(entity);
    }
    assert!(bench.sandbox.journal().metered() <= 9, "{}", bench.sandbox.journal().metered());
}

#[tokio::test]
async fn what_is_completed_costs_no_call_and_a_forced_run_changes_nothing() {
    let bench = Bench::start(Shape::default().with_counts(2500, 40, 10)).await;
    bench.run(bench.request()).await;
    let before = bench.store.rows(&Bench::table("Invoice"));
    let calls = bench.sandbox.journal().metered();

    let again = bench.run(bench.request()).await;
    assert_eq!(again.status(), RunStatus::Completed);
    assert_eq!(bench.sandbox.journal().metered(), calls, "completed windows cost calls");

    let mut forced = bench.request();
    forced.reopen = Reopen::All;
    let counts = bench.run(forced).await.totals().counts;
    assert_eq!((counts.inserted, counts.updated), (0, 0));
    assert_eq!(counts.unchanged, 2500 + 40 + 10);
    assert_eq!(bench.store.rows(&Bench::table("Invoice")).len(), before.len());
}

#[tokio::test]
async fn every_axis_and_chunk_lands_the_same_records() {
    for axis in [Axis::Updated, Axis::Created, Axis::TxnDate] {
        for chunk in [ChunkSize::Week, ChunkSize::Quarter, ChunkSize::Whole] {
            let bench = Bench::start(Shape::default().with_counts(1500, 5, 5)).await;
            let mut request = bench.request_for(&["Invoice"]);
            (request.axis, request.chunk) = (axis, chunk);
            // Bookkeeping dates may lie a little outside of the time in which the records were made.
            request.span = bench::window(datetime!(2023-01-01 0:00 UTC), datetime!(2026-01-01 0:00 UTC));
            bench.run(request).await;
            bench.assert_complete("Invoice");
        }
    }
}

#[tokio::test]
async fn thousands_of_records_in_one_second_are_read_whatever_their_order() {
    for shuffle_ties in [None, Some(3)] {
        let shape = Shape::default().with_counts(3600, 3, 3).with_bulk_import(3300);
        let options = SandboxOptions { shuffle_ties, ..SandboxOptions::default() };
        let bench = Bench::with_options(shape, options).await;
        let outcome = bench.run(bench.request_for(&["Invoice"])).await;
        assert_eq!(outcome.status(), RunStatus::Completed, "{:?}", outcome.failure);
        bench.assert_complete("Invoice");
    }
}

#[tokio::test]
async fn nothing_is_lost_while_people_edit_insert_and_delete() {
    for seed in 0..6 {
        let drift = Drift { every_n_calls: 1, edits: 3, inserts: 1, deletes: 1, seed };
        let options = SandboxOptions { drift: Some(drift), ..SandboxOptions::default() };
        let bench = Bench::with_options(Shape::default().with_counts(900, 30, 10), options).await;
        let mut request = bench.request_for(&["Invoice"]);
        request.page_size = PageSize::new(50).unwrap();
        bench.run(request).await;
        // Whatever still has its place in the range must be there; what was edited left it.
        let stored: BTreeSet<String> = bench.store.rows(&Bench::table("Invoice")).into_keys().collect();
        bench.sandbox.with_company(|company| {
            let end = bench::SPAN_END;
            let untouched = company.records("Invoice").filter(|record| record.last_updated < end);
            for record in untouched {
                assert!(stored.contains(&record.id), "seed {seed}: {} is missing", record.id);
            }
        });
    }
}

#[tokio::test]
async fn every_passing_fault_is_survived() {
    for fault in Fault::transient() {
        let bench = Bench::start(Shape::default().with_counts(350, 5, 5)).await;
        let named = format!("{fault:?}");
        bench.sandbox.faults().push(Rule::on(CallKind::Query, fault).after(1));
        let mut request = bench.request_for(&["Invoice"]);
        request.page_size = PageSize::new(100).unwrap();
        let outcome = bench.run(request).await;
        assert_eq!(outcome.status(), RunStatus::Completed, "{named}: {:?}", outcome.failure);
        bench.assert_complete("Invoice");
        assert_eq!(bench.sandbox.faults().pending(), 0, "{named}");
    }
}

#[tokio::test]
async fn a_source_that_stays_down_ends_the_run_and_the_next_one_goes_on_at_the_cursor() {
    let bench = Bench::start(Shape::default().with_counts(1000, 5, 5)).await;
    let mut request = bench.request_for(&["Invoice"]);
    request.page_size = PageSize::new(100).unwrap();
    // With more places the failures would be shared out.
    request.concurrency = std::num::NonZeroUsize::MIN;
    let fault = Fault::Html { status: 503 };
    bench.sandbox.faults().push(Rule::on(CallKind::Query, fault).after(4).times(9));
    let outcome = bench.run(request.clone()).await;
    assert_eq!(outcome.status(), RunStatus::Failed);
    assert_eq!(outcome.totals().windows_failed, 0, "nobody knows that these windows are bad");
    let read = bench.sandbox.journal().metered();

    request.id = bench::run_id();
    assert_eq!(bench.run(request).await.status(), RunStatus::Completed);
    bench.assert_complete("Invoice");
    let more = bench.sandbox.journal().metered() - read;
    assert!(more <= 6 + 3, "the pages that were committed were read again: {more} calls");
    let read: u64 = bench.lines().await.iter().map(|line| line.metrics.records_read).sum();
    assert_eq!(read as usize, bench.count("Invoice"), "the overlap at the cursor was counted twice");
}

/// A run that is stopped between its last page and its count has proved nothing; the next one does, though there is nothing to
/// read.
#[tokio::test]
async fn what_a_stopped_run_did_not_count_the_next_one_counts() {
    let bench = Bench::start(Shape::default().with_counts(300, 5, 5)).await;
    let hidden = bench.sandbox.with_company(|company| company.ids("Invoice").pop_first().unwrap());
    bench.hide(&[hidden]);
    let stop = CancellationToken::new();
    let on_page = stop.clone();
    bench.on_event(move |event| {
        if matches!(event.kind, RunEventKind::PageCommitted { .. }) {
            on_page.cancel();
        }
    });
    let request = || bench.request_for(&["Invoice"]);
    let outcome = bench.run_until(request(), stop).await;
    assert_eq!(outcome.status(), RunStatus::Stopped);
    // The only page was the last one, and nothing but its silence says that it was: nothing is completed on that.
    let lines = bench.lines().await;
    assert!(lines.iter().all(|line| line.state == WindowState::Running && line.counted_at.is_none()));
    assert_eq!(outcome.totals().windows_completed, 0);

    bench.on_event(|_| {});
    bench.hide(&[]);
    assert_eq!(bench.run(request()).await.status(), RunStatus::Completed);
    bench.assert_complete("Invoice");
    assert!(bench.lines().await.iter().all(|line| line.counted_at.is_some()));
    let calls = bench.sandbox.journal().metered();
    bench.run(request()).await;
    assert_eq!(bench.sandbox.journal().metered(), calls);
}

/// A scan that waits to be shared out gets an answer also while other stretches wait and no place is free.
#[tokio::test]
async fn one_place_reads_several_stretches_of_several_pages() {
    let bench = Bench::start(Shape::default().with_counts(3000, 5, 5)).await;
    let request = || RunRequest {
        page_size: PageSize::new(50).unwrap(),
        concurrency: std::num::NonZeroUsize::MIN,
        ..bench.request_for(&["Invoice"])
    };
    let middle = bench::window(datetime!(2024-06-01 0:00 UTC), datetime!(2024-06-11 0:00 UTC));
    bench.run(RunRequest { span: middle, ..request() }).await;
    let run = bench.run(request());
    let outcome = tokio::time::timeout(Duration::from_secs(120), run).await.expect("it hangs");
    assert_eq!(outcome.status(), RunStatus::Completed);
    bench.assert_complete("Invoice");
}

/// A source that counts more than it delivers nearly everywhere is not counted window by window.
#[tokio::test]
async fn shortfalls_everywhere_cost_a_bounded_number_of_counts() {
    let bench = Bench::start(Shape::default().with_counts(3000, 5, 5)).await;
    let hidden = bench.sandbox.with_company(|company| company.ids("Invoice"));
    bench.hide(&hidden.into_iter().step_by(4).collect::<Vec<_>>());
    let outcome = bench.run(bench.request_for(&["Invoice"])).await;
    assert_eq!(outcome.status(), RunStatus::Incomplete);
    assert!(outcome.totals().windows_failed > 100, "{:?}", outcome.totals());
    let counts = bench.sandbox.journal().count(CallKind::Count);
    // Before and after reading again: a hundred to trace it, and one for each stretch to begin with.
    assert!(counts <= 2 * 100 + 1 + 60, "{counts}");
    let failed = bench.lines().await.into_iter().find(|line| line.state == WindowState::Failed).unwrap();
    let message = failed.error_message.unwrap();
    assert!(message.starts_with("QuickBooks counts ") && message.ends_with(" were read"), "{message}");
}

/// A count that showed too little read is not forgotten because the next one is refused.
#[tokio::test]
async fn a_shortfall_that_is_not_counted_again_is_a_failed_window() {
    let short = || async {
        let bench = Bench::start(Shape::default().with_counts(300, 5, 5)).await;
        let hidden = bench.sandbox.with_company(|company| company.ids("Invoice").pop_first().unwrap());
        bench.hide(&[hidden]);
        bench
    };
    // Some counts to find the window, and one after it was read again.
    let calm = short().await;
    calm.run(calm.request_for(&["Invoice"])).await;
    let counts = u32::try_from(calm.sandbox.journal().count(CallKind::Count)).unwrap();

    let bench = short().await;
    let refused = Rule::on(CallKind::Count, Fault::json(400, "4000"));
    bench.sandbox.faults().push(refused.after(counts - 1).always());
    let outcome = bench.run(bench.request_for(&["Invoice"])).await;
    assert_eq!((outcome.status(), outcome.totals().windows_failed), (RunStatus::Incomplete, 1));
    let failed = bench.lines().await.into_iter().find(|line| line.state == WindowState::Failed).unwrap();
    let message = failed.error_message.unwrap();
    assert!(message.contains("does not count them again"), "{message}");
}

/// Records that were edited away from windows of an earlier run do not make up for what a new window lacks.
#[tokio::test]
async fn edits_in_windows_counted_before_hide_nothing_in_new_ones() {
    let bench = Bench::start(Shape::default().with_counts(600, 5, 5)).await;
    let half = bench::window(datetime!(2024-01-01 0:00 UTC), datetime!(2024-07-01 0:00 UTC));
    let request = || bench.request_for(&["Invoice"]);
    assert_eq!(bench.run(RunRequest { span: half, ..request() }).await.status(), RunStatus::Completed);
    let rows = bench.store.rows(&Bench::table("Invoice"));
    let hidden = bench.sandbox.with_company(|company| {
        for id in rows.keys().take(5) {
            assert!(company.edit("Invoice", id));
        }
        company.ids("Invoice").into_iter().find(|id| !rows.contains_key(id)).unwrap()
    });
    bench.hide(&[hidden]);
    let outcome = bench.run(request()).await;
    assert_eq!((outcome.status(), outcome.totals().windows_failed), (RunStatus::Incomplete, 1));
}

#[tokio::test]
async fn a_stop_lands_the_page_in_hand_and_the_same_command_goes_on() {
    let bench = Bench::start(Shape::default().with_counts(1500, 5, 5)).await;
    let mut request = bench.request_for(&["Invoice"]);
    request.page_size = PageSize::new(100).unwrap();
    let stop = CancellationToken::new();
    let on_third = stop.clone();
    bench.on_event(move |event| {
        if matches!(event.kind, RunEventKind::PageCommitted { page: 3, .. }) {
            on_third.cancel();
        }
    });
    let outcome = bench.run_until(request.clone(), stop).await;
    assert_eq!(outcome.status(), RunStatus::Stopped);
    let landed = bench.store.rows(&Bench::table("Invoice")).len();
    // Three pages, and of each of three scans the one that is landing and the one that has come meanwhile.
    assert!((290..=900).contains(&landed), "{landed}");

    request.id = bench::run_id();
    assert_eq!(bench.run(request).await.status(), RunStatus::Completed);
    bench.assert_complete("Invoice");
}

#[tokio::test]
async fn hostile_records_are_kept_aside_and_the_rest_lands() {
    let hostile = [
        Hostile::WithoutId,
        Hostile::NumericId,
        Hostile::NulEscape,
        Hostile::LoneSurrogate,
        Hostile::HugeNumber,
        Hostile::DeepNesting,
        Hostile::InvalidUtf8,
        Hostile::RawControl,
        Hostile::UnknownEscape,
        Hostile::NotANumber,
    ];
    let shape = hostile.iter().fold(Shape::default().with_counts(300, 5, 5), |shape, hostile| {
        shape.with_hostile("Invoice", *hostile)
    });
    let bench = Bench::start(shape).await;
    let outcome = bench.run(bench.request_for(&["Invoice"])).await;
    let counts = outcome.totals().counts;
    assert_eq!(counts.quarantined as usize, hostile.len());
    assert_eq!(counts.inserted, 300);
    assert_eq!(outcome.status(), RunStatus::Incomplete);
    let kept = bench.store.quarantine();
    assert_eq!(kept.len(), hostile.len());
    let lines = bench.lines().await;
    let marked: u64 = lines.iter().map(|line| line.metrics.records_quarantined).sum();
    assert_eq!(marked as usize, hostile.len(), "their windows do not say so");
}

#[tokio::test]
async fn a_count_above_what_was_read_is_traced_to_its_windows_and_they_are_read_again() {
    let bench = Bench::start(Shape::default().with_counts(50, 5, 5)).await;
    let mut request = bench.request_for(&["Invoice"]);
    request.page_size = PageSize::new(10).unwrap();
    // One page loses its last row on the way and says nothing, so that the scan ends early.
    bench.drop_rows_after(3);
    let outcome = bench.run(request).await;
    assert_eq!(outcome.status(), RunStatus::Completed);
    bench.assert_complete("Invoice");
    let lines = bench.lines().await;
    assert_eq!(lines.iter().map(|line| line.metrics.records_read).sum::<u64>(), 50);
    assert!(lines.iter().any(|line| line.attempts == 1) && lines.iter().any(|line| line.attempts == 2));
}

#[tokio::test]
async fn a_window_that_still_disagrees_after_another_reading_fails_with_both_numbers() {
    let bench = Bench::start(Shape::default().with_counts(50, 5, 5)).await;
    let mut request = bench.request_for(&["Invoice"]);
    request.page_size = PageSize::new(10).unwrap();
    let hidden = bench.sandbox.with_company(|company| company.records("Invoice").nth(20).unwrap().id.clone());
    bench.hide(std::slice::from_ref(&hidden));
    let outcome = bench.run(request).await;
    assert_eq!(outcome.status(), RunStatus::Incomplete);
    assert_eq!(outcome.totals().windows_failed, 1);
    let rows = bench.store.rows(&Bench::table("Invoice"));
    assert_eq!((rows.len(), rows.contains_key(&hidden)), (49, false), "everything else is there");
    let lines = bench.lines().await;
    let failed: Vec<_> = lines.iter().filter(|line| line.state == WindowState::Failed).collect();
    let message = failed[0].error_message.as_deref().unwrap();
    assert!(message.contains("counts") && message.contains("were read"), "{message}");
}

#[tokio::test]
async fn records_that_cannot_be_delivered_are_closed_in_and_everything_else_lands() {
    let shape = Shape::default().with_counts(3000, 5, 5).with_bulk_import(60);
    let bench = Bench::start(shape).await;
    let bad: Vec<String> = bench.sandbox.with_company(|company| {
        let mut records: Vec<_> =
            company.records("Invoice").map(|record| (record.last_updated, record.id.clone())).collect();
        records.sort();
        // One of many in one second, the first and the last of all, and two that follow one another.
        let tied = records.windows(2).position(|pair| pair[0].0 == pair[1].0).unwrap() + 1;
        [0, tied, 1500, 1501, 2999].into_iter().map(|place| records[place].1.clone()).collect()
    });
    bench.poison(&bad);
    let outcome = bench.run(bench.request_for(&["Invoice"])).await;
    assert_eq!(outcome.totals().windows_failed, 0, "{:?}", outcome.failure);
    assert_eq!(outcome.totals().counts.quarantined, 5);
    assert_eq!(outcome.status(), RunStatus::Incomplete);
    let rows = bench.store.rows(&Bench::table("Invoice"));
    assert_eq!(rows.len(), 2995);
    assert!(bad.iter().all(|id| !rows.contains_key(id)));
    let calls = bench.sandbox.journal().metered();
    assert!(calls < 5 * 40, "{calls} calls");
    for row in bench.store.quarantine() {
        assert!(row.reason.contains("code 4002"), "{row:?}");
    }
}

#[tokio::test]
async fn an_entity_whose_every_page_fails_is_given_up_and_not_searched_for_ever() {
    for entity in ["Invoice", "TaxAgency"] {
        let shape = Shape::default().with_counts(1500, 5, 5).with_count("TaxAgency", 300);
        let bench = Bench::start(shape).await;
        bench.refuse_every_page();
        let run = bench.run(bench.request_for(&[entity]));
        let outcome = tokio::time::timeout(std::time::Duration::from_secs(60), run).await.expect("it ends");
        assert!(outcome.totals().windows_failed > 0, "{entity}: {:?}", outcome.failure);
        assert_eq!(outcome.totals().windows_completed, 0, "{entity}");
        let calls = bench.sandbox.journal().metered();
        assert!(calls < 1000, "{entity}: {calls} calls");
    }
}

#[tokio::test]
async fn free_places_take_over_later_halves_and_the_result_is_the_same() {
    let shape = Shape::default().with_counts(6000, 5, 5).with_bulk_import(60);
    let simple = Bench::start(shape.clone()).await;
    let mut request = simple.request_for(&["Invoice"]);
    request.page_size = PageSize::new(100).unwrap();
    request.concurrency = std::num::NonZeroUsize::MIN;
    simple.run(request.clone()).await;
    let calls_alone = simple.sandbox.journal().metered();
    assert!(calls_alone <= 6000_usize.div_ceil(99) + 2, "{calls_alone}");

    let bench = Bench::start(shape).await;
    let splits = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = splits.clone();
    bench.on_event(move |event| {
        if matches!(event.kind, RunEventKind::ScanSplit { .. }) {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    request.concurrency = std::num::NonZeroUsize::new(10).unwrap();
    let outcome = bench.run(RunRequest { id: bench::run_id(), ..request }).await;
    assert_eq!(outcome.status(), RunStatus::Completed, "{:?}", outcome.failure);
    bench.assert_complete("Invoice");
    let splits = splits.load(std::sync::atomic::Ordering::SeqCst);
    let calls = bench.sandbox.journal().metered();
    assert!(splits >= 3, "{splits}");
    assert!(calls <= 6000_usize.div_ceil(99) + splits + 2, "{calls} calls, {splits} splits");
    let windows = |lines: Vec<raw_store::LogLine>| {
        lines.into_iter().map(|line| (line.window, line.state, line.metrics.records_read)).collect::<Vec<_>>()
    };
    assert_eq!(windows(bench.lines().await), windows(simple.lines().await));
}

#[tokio::test]
async fn windows_too_near_to_the_sources_clock_stay_provisional_and_are_read_again() {
    let now = datetime!(2024-12-30 12:00 UTC);
    let shape = Shape::default().with_counts(200, 5, 5);
    let shape = Shape { to: now, now: Some(now), ..shape };
    let bench = Bench::start(shape).await;
    let mut request = bench.request_for(&["Invoice"]);
    request.proof = Proof::None;
    let outcome = bench.run(request.clone()).await;
    let totals = outcome.totals();
    assert_eq!((totals.windows_completed, totals.windows_provisional), (364, 2));
    let again = bench.run(RunRequest { id: bench::run_id(), ..request }).await;
    assert_eq!(again.totals().windows_opened, 2);
}

/// Three clocks say what time it is. What has not ended by the earliest of them is read again, and the run says why.
#[tokio::test]
async fn what_has_not_ended_by_the_databases_clock_stays_provisional() {
    let bench = Bench::start(Shape::default().with_counts(200, 5, 5)).await;
    bench.store.stand_at(datetime!(2024-06-01 12:00 UTC));
    let outcome = bench.run(bench.request_for(&["Invoice"])).await;
    let totals = outcome.totals();
    assert_eq!((totals.windows_completed, totals.windows_provisional), (152, 214));
    assert!(
        outcome.clock.is_some_and(|apart| apart.ahead.abs() > time::Duration::days(30)),
        "{:?}",
        outcome.clock
    );
    bench.assert_complete("Invoice");
}

#[tokio::test]
async fn another_company_is_refused_before_anything_is_called() {
    let bench = Bench::start(Shape::default().with_counts(20, 2, 2)).await;
    bench.run(bench.request()).await;
    let calls = bench.sandbox.journal().metered();
    let mut request = bench.request();
    request.identity.realm_id = "999".into();
    let error = bench.engine().run(request, CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("999"), "{error}");
    assert_eq!(bench.sandbox.journal().metered(), calls);
}

#[tokio::test]
async fn a_pipeline_that_another_process_holds_is_left_alone_and_the_others_are_read() {
    let bench = Bench::start(Shape::default().with_counts(60, 20, 10)).await;
    let other: MemoryStore = bench.store.another_process();
    bench.hold("Customer", &other).await;
    let outcome = bench.run(bench.request()).await;
    let failure = outcome.failure.as_ref().unwrap().to_string();
    assert!(failure.contains("somebody else"), "{failure}");
    bench.assert_complete("Invoice");
    bench.assert_complete("Item");
    assert!(bench.store.rows(&Bench::table("Customer")).is_empty());
}

#[tokio::test]
async fn a_pipeline_that_another_process_gives_back_in_time_is_waited_for() {
    let bench = Bench::start(Shape::default().with_counts(60, 20, 10)).await;
    let other = bench.store.another_process();
    bench.hold("Customer", &other).await;
    // Given back as soon as somebody is said to wait for it.
    let other = Mutex::new(Some(other));
    let told = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&told);
    bench.on_event(move |event| {
        if let RunEventKind::Held { holder, .. } = &event.kind {
            assert_eq!(&**holder, "somebody else");
            count.fetch_add(1, Ordering::SeqCst);
            drop(other.lock().unwrap().take());
        }
    });
    let outcome = bench.run(RunRequest { wait: Duration::from_secs(90), ..bench.request() }).await;
    assert!(outcome.failure.is_none(), "{:?}", outcome.failure);
    assert_eq!(told.load(Ordering::SeqCst), 1);
    bench.assert_complete("Customer");
}

#[tokio::test]
async fn a_pipeline_that_is_not_given_back_is_waited_for_no_longer_than_asked() {
    let bench = Bench::start(Shape::default().with_counts(60, 20, 10)).await;
    let other = bench.store.another_process();
    bench.hold("Customer", &other).await;
    let request = RunRequest { wait: Duration::from_secs(90), ..bench.request_for(&["Customer"]) };
    let outcome = bench.run(request).await;
    let Some(Failure::Land(error)) = outcome.failure.map(|error| error.failure) else { panic!("it is held") };
    assert!(matches!(error.kind, StoreErrorKind::LeaseHeld { .. }), "{error}");
    assert_eq!(bench.elapsed().as_secs(), 90);
}

#[tokio::test]
async fn the_log_counts_exactly_what_is_in_the_table() {
    let bench = Bench::start(Shape::default().with_counts(2200, 150, 40)).await;
    bench.run(bench.request()).await;
    for line in bench.lines().await {
        let table = format!("qb_{}", line.entity_name).parse().unwrap();
        let rows = bench.store.rows(&table);
        let inside = rows.values().filter(|row| row.window == line.window).count() as u64;
        assert_eq!(line.metrics.records_inserted, inside, "{} {}", line.entity_name, line.window);
        assert_eq!(line.state, WindowState::Completed);
    }
    let all = bench.store_lines(&LogFilter::default()).await;
    assert_eq!(all.len(), 3 * 366);
}
