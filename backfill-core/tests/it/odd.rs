//! Records whose times contradict the question or their neighbours, and sources that keep to no order.

use std::collections::BTreeSet;

use backfill_core::{CancellationToken, Catalog, Proof, Report, RunRequest, Thresholds};
use fixtures::{Shape, Stamped};
use qbo_client::{PageSize, Query};
use raw_store::{RunStatus, WindowState};

use crate::bench::Bench;

/// Times that no record of the company has: before and behind the range, and in it at either end.
const OTHER_TIMES: [&str; 4] = [
    "2019-05-01T10:00:00-08:00",
    "2031-05-01T10:00:00-08:00",
    "2024-12-31T23:58:00+00:00",
    "2024-01-01T00:00:01+00:00",
];

/// Ids in the order of their times.
fn in_order(bench: &Bench) -> Vec<String> {
    bench.sandbox.with_company(|company| {
        let mut records: Vec<_> =
            company.records("Invoice").map(|record| (record.last_updated, record.id.clone())).collect();
        records.sort();
        records.into_iter().map(|(_, id)| id).collect()
    })
}

/// Every record is a row or set aside; returns how many are set aside, and that none of the others is.
async fn accounted(bench: &Bench, odd: &BTreeSet<String>) -> usize {
    let rows: BTreeSet<_> = bench.store.rows(&Bench::table("Invoice")).into_keys().collect();
    let aside = bench.store.quarantine();
    for one in &aside {
        let told = ["time outside the requested range", "out of order"];
        assert!(told.iter().any(|words| one.reason.contains(words)), "{}", one.reason);
        assert!(one.record_id.as_ref().is_some_and(|id| odd.contains(&**id)), "{one:?}");
    }
    let known: BTreeSet<_> =
        aside.iter().filter_map(|one| one.record_id.as_deref().map(str::to_owned)).collect();
    let ids = bench.sandbox.with_company(|company| company.ids("Invoice"));
    let lost: Vec<_> = ids.iter().filter(|id| !rows.contains(*id) && !known.contains(*id)).collect();
    assert!(lost.is_empty(), "{lost:?} are lost");
    let marked: u64 = bench.lines().await.iter().map(|line| line.metrics.records_quarantined).sum();
    assert_eq!(marked, aside.len() as u64, "their windows do not say so");
    aside.len()
}

/// Wherever it stands, and whatever it says; with a count behind it and without.
#[tokio::test]
async fn one_odd_time_costs_its_own_record_and_no_window() {
    for (n, time) in OTHER_TIMES.into_iter().enumerate() {
        for place in [0, 1, 8, 9, 10, 30, 59, 60] {
            for page_size in [10, 1000] {
                let bench = Bench::start(Shape::default().with_counts(61, 1, 1)).await;
                let id = in_order(&bench)[place].clone();
                bench.say(&id, time, u32::MAX);
                let proof = if place % 2 == 0 { Proof::None } else { Proof::Count };
                let page_size = PageSize::new(page_size).unwrap();
                let request = || RunRequest { page_size, proof, ..bench.request_for(&["Invoice"]) };
                let named = format!("{time} at {place}, pages of {}", page_size.get());
                let outcome = bench.run(request()).await;
                assert!(outcome.failure.is_none(), "{named}: {:?}", outcome.failure);
                assert_eq!(outcome.totals().windows_failed, 0, "{named}");
                assert!(bench.sandbox.journal().metered() < 40, "{named}");
                let aside = accounted(&bench, &BTreeSet::from([id])).await;
                assert!(aside == 1 || n >= 2, "{named}: {aside} set aside");
                let status = if aside == 1 { RunStatus::Incomplete } else { RunStatus::Completed };
                assert_eq!(outcome.status(), status, "{named}");

                let verification = bench.engine().verify(request(), CancellationToken::new()).await.unwrap();
                let found = &verification.pipelines[0];
                assert!(verification.failure.is_none() && found.agrees(), "{named}: {found:?}");
                assert_eq!(found.same + found.quarantined, 61, "{named}");
            }
        }
    }
}

#[tokio::test]
async fn an_odd_time_that_passes_leaves_no_trace() {
    for time in OTHER_TIMES {
        let bench = Bench::start(Shape::default().with_counts(61, 1, 1)).await;
        bench.say(&in_order(&bench)[30].clone(), time, 2);
        let outcome = bench.run(bench.request_for(&["Invoice"])).await;
        assert_eq!(outcome.status(), RunStatus::Completed, "{time}: {:?}", outcome.failure);
        bench.assert_complete("Invoice");
        assert!(bench.store.quarantine().is_empty(), "{time}");
        assert!(bench.sandbox.journal().metered() <= 4 + 1, "{time}");
    }
}

/// An hour of records with the offset of the hour before, as at the end of daylight saving.
#[tokio::test]
async fn the_hour_that_comes_twice_costs_no_other_record() {
    let bench = Bench::start(Shape::default().with_counts(400, 1, 1)).await;
    let ids = in_order(&bench);
    let earlier = bench.sandbox.with_company(|company| {
        let at =
            |id: &String| company.record("Invoice", id).unwrap().last_updated - time::Duration::hours(30);
        let text =
            |at: time::OffsetDateTime| at.format(&time::format_description::well_known::Rfc3339).unwrap();
        ids[200..206].iter().map(|id| (id.clone(), text(at(id)))).collect::<Vec<_>>()
    });
    for (id, time) in &earlier {
        bench.say(id, time, u32::MAX);
    }
    let outcome = bench.run(bench.request_for(&["Invoice"])).await;
    assert_eq!(outcome.totals().windows_failed, 0, "{:?}", outcome.failure);
    let odd = earlier.into_iter().map(|(id, _)| id).collect();
    assert!(accounted(&bench, &odd).await <= 6);
}

#[tokio::test]
async fn a_source_that_keeps_to_no_order_is_read_in_parts() {
    for records in [3, 700, 3000] {
        let bench =
            Bench::start(Shape::default().with_counts(records, 1, 1).with_bulk_import(60.min(records))).await;
        bench.sort_nothing();
        let outcome = bench.run(bench.request_for(&["Invoice"])).await;
        assert_eq!(outcome.status(), RunStatus::Completed, "{records}: {:?}", outcome.failure);
        bench.assert_complete("Invoice");
        assert!(bench.store.quarantine().is_empty());
        let calls = bench.sandbox.journal().metered();
        assert!(calls < 60, "{records}: {calls} calls");
    }
}

/// Each says something that is no time: a page of them tells nobody where to go on.
#[tokio::test]
async fn records_whose_times_cannot_be_read_are_read_in_parts_and_nothing_is_said_to_be_missing() {
    for odd in [1, 1500] {
        let bench = Bench::start(Shape::default().with_counts(1500, 1, 1)).await;
        for id in in_order(&bench).iter().skip(700).chain(&in_order(&bench)).take(odd) {
            bench.say(id, "a while ago", u32::MAX);
        }
        let outcome = bench.run(bench.request_for(&["Invoice"])).await;
        assert_eq!(outcome.status(), RunStatus::Completed, "{odd}: {:?}", outcome.failure);
        assert_eq!(accounted(&bench, &BTreeSet::new()).await, 0);
        let calls = bench.sandbox.journal().metered();
        assert!(calls < 40, "{odd}: {calls} calls");
        let report = Report::build(&*bench.store, &Catalog::bundled(), None).await.unwrap();
        let validated =
            report.validate(&*bench.store, &Thresholds::default(), report.run.started_at).await.unwrap();
        let missing: Vec<_> =
            validated[0].findings.iter().filter(|finding| &*finding.kind == "rows_missing").collect();
        assert!(missing.is_empty(), "{odd}: {missing:?}");
    }
}

#[tokio::test]
async fn a_source_that_says_the_same_for_ever_is_left_after_a_bounded_number_of_calls() {
    let bench = Bench::start(Shape::default().with_counts(300, 1, 1)).await;
    let size = PageSize::new(50).unwrap();
    bench.answer_all_with(Query::select("Invoice".parse().unwrap()).page(1, size));
    let request = RunRequest {
        page_size: size,
        concurrency: std::num::NonZeroUsize::MIN,
        ..bench.request_for(&["Invoice"])
    };
    let outcome = bench.run(request).await;
    assert!(outcome.failure.is_none(), "{:?}", outcome.failure);
    assert_eq!(outcome.status(), RunStatus::Incomplete);
    let failed = bench.lines().await.into_iter().find(|line| line.state == WindowState::Failed).unwrap();
    let message = failed.error_message.unwrap();
    assert!(
        message.contains("no new record") || message.contains("outside the requested range"),
        "{message}"
    );
    assert!(bench.sandbox.journal().metered() < 1100, "{}", bench.sandbox.journal().metered());
}

/// A company some of whose invoices do not say when they were changed.
async fn blurred(invoices: usize, blurred: usize, stamped: Stamped) -> Bench {
    let bench = Bench::start(Shape::default().with_counts(invoices, 1, 1)).await;
    let ids = in_order(&bench);
    bench.sandbox.with_company(|company| {
        let step = invoices / blurred;
        for id in ids.iter().step_by(step) {
            assert!(company.blur("Invoice", id, stamped));
        }
    });
    bench
}

/// Everything is stored, in a bounded number of calls, and the log and the table agree.
async fn assert_read(bench: &Bench, most_calls: usize, named: &str) {
    let outcome = bench.run(bench.request_for(&["Invoice"])).await;
    assert_eq!(outcome.status(), RunStatus::Completed, "{named}: {:?}", outcome.failure);
    bench.assert_complete("Invoice");
    assert!(bench.store.quarantine().is_empty(), "{named}");
    let calls = bench.sandbox.journal().metered();
    assert!(calls <= most_calls, "{named}: {calls} calls");
    let read: u64 = bench.lines().await.iter().map(|line| line.metrics.records_read).sum();
    assert_eq!(read as usize, bench.count("Invoice"), "{named}: the log counts some twice");
    let report = Report::build(&*bench.store, &Catalog::bundled(), None).await.unwrap();
    let validated =
        report.validate(&*bench.store, &Thresholds::default(), report.run.started_at).await.unwrap();
    let missing: Vec<_> =
        validated[0].findings.iter().filter(|finding| &*finding.kind == "rows_missing").collect();
    assert!(missing.is_empty(), "{named}: {missing:?}");
}

/// How many rows say when their record was changed to the instant, to the day, and not at all.
fn exactness(bench: &Bench) -> (usize, usize, usize) {
    let rows = bench.store.rows(&Bench::table("Invoice"));
    let of = |is_at: bool, is_on: bool| {
        rows.values()
            .filter(|row| (row.updated_at.is_some(), row.updated_on.is_some()) == (is_at, is_on))
            .count()
    };
    (of(true, false), of(false, true), of(false, false))
}

/// Such a record comes with every range of times, so no range is small enough for a page of them.
#[tokio::test]
async fn records_without_a_time_are_read_once_and_no_scan_creeps() {
    for (invoices, timeless) in [(60, 3), (1500, 500), (3000, 1500), (3000, 3000), (9000, 4500)] {
        let bench = blurred(invoices, timeless, Stamped::Never).await;
        assert_read(&bench, 150, &format!("{timeless} of {invoices}")).await;
        assert_eq!(exactness(&bench), (invoices - timeless, 0, timeless));
    }
}

#[tokio::test]
async fn records_that_say_only_the_day_are_read_in_a_bounded_number_of_calls() {
    for (invoices, days) in [(60, 3), (1500, 500), (3000, 3000), (9000, 9000)] {
        let bench = blurred(invoices, days, Stamped::Day).await;
        assert_read(&bench, 150, &format!("{days} of {invoices}")).await;
        assert_eq!(exactness(&bench), (invoices - days, days, 0));
    }
    // More of one day than a page holds.
    let shape = Shape::default().with_counts(5000, 1, 1).with_bulk_import(4000);
    let bench = Bench::start(shape).await;
    bench.sandbox.with_company(|company| {
        for id in company.ids("Invoice") {
            company.blur("Invoice", &id, Stamped::Day);
        }
    });
    assert_read(&bench, 150, "a bulk import").await;
}
