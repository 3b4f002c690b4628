//! Verification by count against an emulated company.

use std::collections::BTreeSet;

use backfill_core::{CancellationToken, RunRequest, Verification, VerifyMethod, VerifyRequest};
use fixtures::{CallKind, Record, Shape};
use raw_store::Reopen;
use time::Duration;
use time::macros::datetime;

use crate::bench::{Bench, SPAN_END, window};

async fn by_count(bench: &Bench, run: RunRequest) -> Verification {
    let request = VerifyRequest::new(run).with_method(VerifyMethod::Count).with_marks(true);
    let verification = bench.engine().verify(request, CancellationToken::new()).await.unwrap();
    assert!(verification.failure.is_none(), "{verification:?}");
    verification
}

/// Deletes one in `apart` invoices, whatever their age, and returns them as they were.
fn deleted(bench: &Bench, apart: usize) -> Vec<Record> {
    bench.sandbox.with_company(|company| {
        let gone: Vec<_> = company.records("Invoice").step_by(apart).cloned().collect();
        assert!(gone.iter().all(|record| company.delete("Invoice", &record.id)));
        gone
    })
}

fn marked(bench: &Bench) -> BTreeSet<String> {
    let rows = bench.store.rows(&Bench::table("Invoice")).into_iter();
    rows.filter(|(_, row)| row.gone_found_at.is_some()).map(|(id, _)| id).collect()
}

#[tokio::test]
async fn a_quiet_company_is_proved_by_about_one_call_for_each_pipeline() {
    let bench = Bench::start(Shape::default().every_entity(7)).await;
    let request = || bench.request_for(&["all"]);
    bench.run(request()).await;
    let before = bench.sandbox.journal().metered();
    let verification = by_count(&bench, request()).await;
    let calls = bench.sandbox.journal().metered() - before;
    assert!(calls <= 45, "{calls} calls");
    for found in &verification.pipelines {
        assert!(found.agrees() && found.looked_for_gone, "{found:?}");
        let is_counted = found.method == VerifyMethod::Count;
        assert_eq!(is_counted, found.same == 0 && found.counted > 0, "{found:?}");
    }
}

#[tokio::test]
async fn forty_deletions_of_any_age_are_found_among_twenty_thousand_records_and_taken_back() {
    let history = window(datetime!(2019-01-01 0:00 UTC), SPAN_END);
    let bench =
        Bench::start(Shape::default().with_counts(20_000, 0, 0).with_history(history.start()..history.end()))
            .await;
    let request = || RunRequest { span: history, ..bench.request_for(&["Invoice"]) };
    bench.run(request()).await;
    let mut gone = deleted(&bench, 1000);
    bench.sandbox.with_company(|company| company.advance(Duration::days(40)));
    gone.extend(deleted(&bench, 1000));
    assert_eq!(gone.len(), 40);
    let ids: BTreeSet<_> = gone.iter().map(|record| record.id.clone()).collect();

    let before = bench.sandbox.journal().metered();
    let verification = by_count(&bench, request()).await;
    let calls = bench.sandbox.journal().metered() - before;
    let found = &verification.pipelines[0];
    assert_eq!((found.gone, found.marked, found.method), (40, 40, VerifyMethod::Count));
    assert_eq!(found.same + found.counted, 20_000 - 40);
    assert!(calls < 400 && found.same < 5000, "{calls} calls, {} records read", found.same);
    assert_eq!(marked(&bench), ids);

    let before = bench.sandbox.journal().metered();
    let again = by_count(&bench, request()).await;
    assert_eq!((again.pipelines[0].counted, again.pipelines[0].gone), (20_000 - 40, 0));
    assert_eq!(bench.sandbox.journal().metered() - before, 1);

    bench
        .sandbox
        .with_company(|company| gone.into_iter().for_each(|record| company.insert("Invoice", record)));
    let verification = by_count(&bench, request()).await;
    assert_eq!(verification.pipelines[0].changed, 40);
    let chosen = verification.pipelines[0].read_again.iter().copied().collect();
    let chosen = Some([("invoices".into(), chosen)].into());
    bench.run(RunRequest { chosen, reopen: Reopen::All, by_content: true, ..request() }).await;
    assert_eq!(marked(&bench), BTreeSet::new());
    assert!(by_count(&bench, request()).await.pipelines[0].agrees());
}

#[tokio::test]
async fn an_edit_and_a_lost_row_are_told_as_what_they_are() {
    let bench = Bench::start(Shape::default().with_counts(3000, 0, 0)).await;
    let request = || RunRequest {
        span: window(datetime!(2024-01-01 0:00 UTC), SPAN_END),
        ..bench.request_for(&["Invoice"])
    };
    bench.run(request()).await;
    let ids = bench.sandbox.with_company(|company| {
        let mut records: Vec<_> = company.records("Invoice").cloned().collect();
        records.sort_by_key(|record| record.last_updated);
        records.into_iter().map(|record| record.id).collect::<Vec<_>>()
    });
    bench.sandbox.with_company(|company| assert!(company.edit("Invoice", &ids[10])));
    bench.store.remove_row(&Bench::table("Invoice"), &ids[2900]);
    let found = &by_count(&bench, request()).await.pipelines[0];
    assert!(found.agrees() && found.counted == 2999, "one more and one less: the documents say so");
    bench.store.remove_row(&Bench::table("Invoice"), &ids[2990]);
    let found = &by_count(&bench, request()).await.pipelines[0];
    assert_eq!((found.missing, found.changed, found.gone, found.marked), (2, 1, 0, 0), "{found:?}");
    assert!(!found.agrees() && found.same < 1000, "{found:?}");
}

#[tokio::test]
async fn what_lies_between_the_counted_windows_is_not_confirmed() {
    let bench = Bench::start(Shape::default().with_counts(300, 0, 0)).await;
    let year = bench.request_for(&["Invoice"]);
    bench.run(year.clone()).await;
    let (start, end) = (year.span.start(), year.span.end());
    let (first, last) = (window(start, start + Duration::days(90)), window(end - Duration::days(90), end));
    let chosen = |windows| Some([("invoices".into(), windows)].into());
    let found =
        &by_count(&bench, RunRequest { chosen: chosen(vec![first]), ..year.clone() }).await.pipelines[0];
    assert!(found.agrees(), "{found:?}");
    let found =
        &by_count(&bench, RunRequest { chosen: chosen(vec![first, last]), ..year }).await.pipelines[0];
    assert!(found.unread == 1 && !found.agrees(), "{found:?}");
}

/// The first half seems to miss what the second half misses, which then seems to agree.
#[tokio::test]
async fn a_count_that_the_records_contradict_is_not_believed() {
    let bench = Bench::start(Shape::default().with_counts(3000, 0, 0)).await;
    let request = || RunRequest {
        span: window(datetime!(2024-01-01 0:00 UTC), SPAN_END),
        ..bench.request_for(&["Invoice"])
    };
    bench.run(request()).await;
    let ids: BTreeSet<_> = bench.sandbox.with_company(|company| {
        let mut records: Vec<_> = company.records("Invoice").cloned().collect();
        records.sort_by_key(|record| record.last_updated);
        let last: BTreeSet<_> = records[2990..2993].iter().map(|record| record.id.clone()).collect();
        assert!(last.iter().all(|id| company.delete("Invoice", id)));
        last
    });
    bench.counts_are_off_by(&[0, -3]);
    let found = &by_count(&bench, request()).await.pipelines[0];
    assert_eq!((found.gone, found.marked, found.same), (3, 3, 2997), "{found:?}");
    assert_eq!(marked(&bench), ids);
    assert!(bench.sandbox.journal().count(CallKind::Cdc) == 1);
}
