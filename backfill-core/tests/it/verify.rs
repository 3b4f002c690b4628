//! Verification against an emulated company.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use backfill_core::{
    Axis, CancellationToken, Catalog, ChunkSize, Failure, Mismatch, MismatchKind, RunEventKind, RunRequest,
    Verification, VerifyMethod, VerifyRequest,
};
use fixtures::{CallKind, Fault, Hostile, Record, Rule, Shape, Unavailable};
use raw_store::{Leases as _, Reopen, StoreErrorKind, StoredRow, Window};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::bench::{Bench, SPAN_END, window};

const START: OffsetDateTime = datetime!(2024-01-01 0:00 UTC);

/// Verifies, and collects every difference that is told.
async fn verify(bench: &Bench, request: RunRequest) -> (Verification, BTreeSet<(MismatchKind, String)>) {
    let told: Arc<Mutex<Vec<Mismatch>>> = Arc::default();
    let sink = Arc::clone(&told);
    bench.on_event(move |event| {
        if let RunEventKind::Mismatch(difference) = &event.kind {
            sink.lock().unwrap().push(difference.clone());
        }
    });
    let lines = bench.lines().await;
    let rows = bench.store.rows(&Bench::table("Invoice"));
    let verification = bench.engine().verify(request, CancellationToken::new()).await.unwrap();
    assert_eq!(bench.lines().await, lines, "the log changed");
    assert_eq!(bench.store.rows(&Bench::table("Invoice")), rows, "rows changed");
    let told = std::mem::take(&mut *told.lock().unwrap());
    let named: BTreeSet<_> =
        told.iter().map(|one| (one.kind, one.id.as_deref().unwrap_or_default().to_owned())).collect();
    assert_eq!(named.len(), told.len(), "a record was told twice");
    (verification, named)
}

fn until(bench: &Bench, end: OffsetDateTime) -> RunRequest {
    RunRequest { span: window(START, end), ..bench.request_for(&["Invoice"]) }
}

#[tokio::test]
async fn what_is_stored_as_it_is_agrees_at_the_cost_of_its_pages() {
    let bench = Bench::start(Shape::default().with_counts(2500, 300, 80).with_bulk_import(90)).await;
    bench.run(bench.request()).await;
    let before = bench.sandbox.journal().metered();
    let (verification, told) = verify(&bench, bench.request()).await;
    assert!(verification.failure.is_none() && told.is_empty(), "{told:?}");
    for (entity, found) in ["Invoice", "Customer", "Item"].iter().zip(&verification.pipelines) {
        assert!(found.agrees() && found.looked_for_gone);
        assert_eq!(found.same, bench.count(entity) as u64);
    }
    let calls = bench.sandbox.journal().metered() - before;
    // Three pipelines of 3, 1 and 1 pages; splitting costs part-filled ones.
    assert!(calls <= 10, "{calls}");
    assert_eq!(bench.sandbox.journal().count(CallKind::Cdc), 0);
}

#[tokio::test]
async fn what_is_missing_changed_or_gone_is_named_and_can_be_read_again() {
    let bench = Bench::start(Shape::default().with_counts(1200, 0, 0)).await;
    bench.run(until(&bench, SPAN_END)).await;
    let (edited, deleted, forgotten, new) = bench.sandbox.with_company(|company| {
        let ids: Vec<_> = company.ids("Invoice").into_iter().collect();
        let (edited, deleted, forgotten) = (ids[3].clone(), ids[500].clone(), ids[700].clone());
        assert!(company.delete("Invoice", &forgotten));
        // Change data capture forgets after thirty days.
        company.advance(Duration::days(40));
        let new = company.insert_new("Invoice").unwrap();
        assert!(company.edit("Invoice", &edited) && company.delete("Invoice", &deleted));
        (edited, deleted, forgotten, new)
    });
    let expected = BTreeSet::from([
        (MismatchKind::Missing, new.clone()),
        (MismatchKind::Changed, edited.clone()),
        (MismatchKind::Gone, deleted.clone()),
        (MismatchKind::Gone, forgotten),
    ]);
    let wider = || until(&bench, datetime!(2025-04-01 0:00 UTC));
    let (verification, told) = verify(&bench, wider()).await;
    assert_eq!(told, expected);
    let found = &verification.pipelines[0];
    assert_eq!((found.missing, found.changed, found.gone, found.unread), (1, 1, 2, 0));
    assert!(!found.agrees());

    // In the span that was read, the new one lies outside, and so does the new version of the edited one.
    let (verification, told) = verify(&bench, until(&bench, SPAN_END)).await;
    let without_new: BTreeSet<_> = expected.into_iter().filter(|(_, id)| *id != new).collect();
    assert_eq!(told, without_new);
    let again: Vec<Window> = verification.pipelines[0].read_again.iter().copied().collect();
    let now = bench.sandbox.with_company(|company| company.now());
    assert!(matches!(again[..], [day] if day.contains(now)), "{again:?}");

    let chosen = [("invoices".into(), again)].into();
    bench.run(RunRequest { chosen: Some(chosen), ..wider() }).await;
    let (verification, told) = verify(&bench, wider()).await;
    assert!(verification.pipelines[0].agrees(), "{told:?}");
    assert_eq!(verification.pipelines[0].gone, 2);
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_unknown_and_hides_nothing_else() {
    let bench = Bench::start(Shape::default().with_counts(300, 0, 0)).await;
    bench.run(until(&bench, SPAN_END)).await;
    let ids: Vec<_> = bench.sandbox.with_company(|company| {
        let ids: Vec<_> = company.ids("Invoice").into_iter().take(3).collect();
        // Edited to a time behind the span: each has to be asked for by its id.
        assert!(ids.iter().all(|id| company.edit("Invoice", id)));
        ids
    });
    bench.poison(&ids[..1]);
    let (verification, told) = verify(&bench, until(&bench, SPAN_END)).await;
    let edited = |id: &String| (MismatchKind::Changed, id.clone());
    assert_eq!(told, ids[1..].iter().map(edited).collect());
    let found = &verification.pipelines[0];
    assert_eq!((found.unknown, found.gone), (1, 0));
    assert!(!found.agrees());
}

/// Neither the answer for the span nor the one for the ids of what was not met is believed alone when it is empty.
#[tokio::test]
async fn an_empty_answer_does_not_say_that_records_are_gone() {
    let bench = Bench::start(Shape::default().with_counts(300, 0, 0)).await;
    bench.run(until(&bench, SPAN_END)).await;
    bench.empty_pages(1);
    let (verification, told) = verify(&bench, until(&bench, SPAN_END)).await;
    assert!(told.is_empty() && verification.pipelines[0].agrees(), "{told:?}");
    assert_eq!(verification.pipelines[0].same, 300);

    // A page that is cut is read again, and nothing of it is told twice.
    bench.cut_next_page();
    let (verification, told) = verify(&bench, until(&bench, SPAN_END)).await;
    assert!(told.is_empty() && verification.pipelines[0].same == 300, "{verification:?}");

    let edited = bench.sandbox.with_company(|company| {
        let id = company.ids("Invoice").pop_first().unwrap();
        assert!(company.edit("Invoice", &id));
        id
    });
    // Behind the page of the span comes the one that is asked for by id.
    bench.empty_pages_after(1, 1);
    let (verification, told) = verify(&bench, until(&bench, SPAN_END)).await;
    assert_eq!(told, BTreeSet::from([(MismatchKind::Changed, edited)]), "{verification:?}");
}

/// Sixty rows that somebody changed, on as many days: two pages hold them all, with everything between them.
#[tokio::test]
async fn differences_on_many_days_are_read_again_in_few_questions() {
    let bench = Bench::start(Shape::default().with_counts(1500, 0, 0)).await;
    bench.run(until(&bench, SPAN_END)).await;
    let rows: Vec<_> = bench.store.rows(&Bench::table("Invoice")).into_values().step_by(25).collect();
    for row in &rows {
        let payload = format!(r#"{{"Id":"{}","ByHand":true}}"#, row.id).into();
        bench.store.put_row(&Bench::table("Invoice"), StoredRow { payload, ..row.clone() });
    }
    let (verification, told) = verify(&bench, until(&bench, SPAN_END)).await;
    assert_eq!((told.len(), verification.pipelines[0].changed), (rows.len(), rows.len() as u64));
    let again = verification.pipelines[0].read_again.iter().copied().collect();
    let before = bench.sandbox.journal().metered();
    let request = RunRequest {
        chosen: Some([("invoices".into(), again)].into()),
        reopen: Reopen::All,
        by_content: true,
        ..until(&bench, SPAN_END)
    };
    bench.run(request).await;
    bench.assert_complete("Invoice");
    let calls = bench.sandbox.journal().metered() - before;
    assert!(calls <= 6, "{calls} calls");
}

#[tokio::test]
async fn when_a_record_was_deleted_is_told_where_quickbooks_knows() {
    let bench = Bench::start(Shape::default().with_counts(50, 0, 0).with_count("TimeActivity", 20)).await;
    let request = || bench.request_for(&["Invoice", "TimeActivity"]);
    bench.run(request()).await;
    let at = bench.sandbox.with_company(|company| {
        for entity in ["Invoice", "TimeActivity"] {
            let id = company.ids(entity).pop_last().unwrap();
            assert!(company.delete(entity, &id));
        }
        company.now()
    });
    let when: Arc<Mutex<Vec<_>>> = Arc::default();
    let sink = Arc::clone(&when);
    bench.on_event(move |event| {
        if let RunEventKind::Mismatch(gone) = &event.kind {
            sink.lock().unwrap().push((gone.pipeline.clone(), gone.deleted_at));
        }
    });
    bench.engine().verify(request(), CancellationToken::new()).await.unwrap();
    let at = at.replace_nanosecond(0).unwrap();
    let expected =
        [("qb_invoices_backfill".to_owned(), Some(at)), ("qb_time_activities_backfill".to_owned(), None)];
    assert_eq!(*when.lock().unwrap(), expected);
    assert_eq!(bench.sandbox.journal().count(CallKind::Cdc), 1, "it does not tell of time activities");
}

#[tokio::test]
async fn every_entity_agrees_after_a_run_also_those_without_ids_times_or_pages() {
    let bench = Bench::start(Shape::default().every_entity(7)).await;
    bench.run(bench.request_for(&["all"])).await;
    let (verification, told) = verify(&bench, bench.request_for(&["all"])).await;
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(verification.pipelines.len(), Catalog::bundled().entities().len());
    for found in &verification.pipelines {
        assert!(found.agrees() && found.same > 0, "{found:?}");
    }
}

#[tokio::test]
async fn what_is_in_quarantine_is_known_and_what_cannot_be_read_is_said() {
    let bench =
        Bench::start(Shape::default().with_counts(200, 0, 0).with_hostile("Invoice", Hostile::NulEscape))
            .await;
    bench.run(until(&bench, SPAN_END)).await;
    let (verification, told) = verify(&bench, until(&bench, SPAN_END)).await;
    let found = &verification.pipelines[0];
    assert!(told.is_empty() && found.agrees(), "{told:?}");
    assert_eq!((found.same + 1, found.quarantined), (bench.count("Invoice") as u64, 1));

    bench.sandbox.faults().push(Rule::on(CallKind::Query, Fault::json(400, "2500")).always());
    let (verification, _) = verify(&bench, until(&bench, SPAN_END)).await;
    let found = &verification.pipelines[0];
    assert!(!found.agrees() && found.unread > 0 && !found.looked_for_gone, "{found:?}");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_known_whatever_windows_are_asked_for() {
    let bench = Bench::start(Shape::default().with_counts(200, 0, 0)).await;
    let poisonous: Vec<_> =
        bench.sandbox.with_company(|company| company.ids("Invoice").into_iter().skip(90).take(2).collect());
    bench.poison(&poisonous[..1]);
    bench.run(until(&bench, SPAN_END)).await;
    for chunk in [ChunkSize::Day, ChunkSize::Month, ChunkSize::Whole] {
        let (verification, told) = verify(&bench, RunRequest { chunk, ..until(&bench, SPAN_END) }).await;
        let found = &verification.pipelines[0];
        assert!(told.is_empty() && found.agrees(), "{chunk:?}: {told:?}");
        assert_eq!((found.same, found.quarantined), (199, 1));
    }
    // Another one has become unreadable, which is stored.
    bench.poison(&poisonous);
    let (verification, _) = verify(&bench, until(&bench, SPAN_END)).await;
    assert_eq!(verification.pipelines[0].missing + verification.pipelines[0].unknown, 2, "{verification:?}");
}

#[tokio::test]
async fn what_stops_it_is_in_the_result_and_another_company_is_refused() {
    let bench = Bench::start(Shape::default().with_counts(20, 0, 0)).await;
    bench.run(until(&bench, SPAN_END)).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let verification = bench.engine().verify(until(&bench, SPAN_END), stop).await.unwrap();
    assert!(matches!(verification.failure, Some(error) if matches!(error.failure, Failure::Stopped)));
    assert!(!verification.pipelines[0].looked_for_gone);

    let mut request = until(&bench, SPAN_END);
    request.identity.realm_id = "1".into();
    let error = bench.engine().verify(request, CancellationToken::new()).await.unwrap_err();
    assert!(
        matches!(&error.failure, Failure::Land(error) if matches!(error.kind, StoreErrorKind::OtherCompany { .. })),
        "{error}"
    );
}

/// Deletes records, and returns them as they were.
fn deleted(bench: &Bench, ids: &[String]) -> Vec<Record> {
    bench.sandbox.with_company(|company| {
        let records = ids.iter().map(|id| company.record("Invoice", id).unwrap().clone()).collect();
        assert!(ids.iter().all(|id| company.delete("Invoice", id)));
        records
    })
}

/// The marks of the rows: when each was found gone, and when it was deleted.
fn marks(bench: &Bench) -> BTreeMap<String, (OffsetDateTime, Option<OffsetDateTime>)> {
    let rows = bench.store.rows(&Bench::table("Invoice")).into_iter();
    rows.filter_map(|(id, row)| Some((id, (row.gone_found_at?, row.source_deleted_at)))).collect()
}

#[tokio::test]
async fn what_is_gone_is_marked_on_request_and_the_mark_goes_when_the_record_comes_back() {
    let bench = Bench::start(Shape::default().with_counts(300, 0, 0)).await;
    bench.run(until(&bench, SPAN_END)).await;
    let ids: Vec<String> = bench.sandbox.with_company(|company| company.ids("Invoice").into_iter().collect());
    let mut gone = deleted(&bench, &ids[..2]);
    let at = bench.sandbox.with_company(|company| {
        company.advance(Duration::days(40));
        company.now().replace_nanosecond(0).unwrap()
    });
    gone.extend(deleted(&bench, &ids[299..]));
    let (verification, _) = verify(&bench, until(&bench, SPAN_END)).await;
    assert_eq!((verification.pipelines[0].gone, verification.pipelines[0].marked), (3, 0));
    assert_eq!(marks(&bench), BTreeMap::new());

    let marking = || VerifyRequest::new(until(&bench, SPAN_END)).with_marks(true);
    let before = bench.store.rows(&Bench::table("Invoice"));
    let verification = bench.engine().verify(marking(), CancellationToken::new()).await.unwrap();
    assert!(verification.failure.is_none(), "{verification:?}");
    assert_eq!((verification.pipelines[0].gone, verification.pipelines[0].marked), (3, 3));
    let marked = marks(&bench);
    assert_eq!(marked.keys().collect::<Vec<_>>(), [&ids[0], &ids[1], &ids[299]]);
    let deleted_at: Vec<_> = marked.values().map(|(_, deleted_at)| *deleted_at).collect();
    assert_eq!(deleted_at, [None, None, Some(at)], "change data capture knows thirty days");
    for (id, row) in bench.store.rows(&Bench::table("Invoice")) {
        assert_eq!(StoredRow { gone_found_at: None, source_deleted_at: None, ..row }, before[&id]);
    }
    // What is marked is not searched for again.
    let calls = bench.sandbox.journal().metered();
    let (verification, told) = verify(&bench, until(&bench, SPAN_END)).await;
    assert!(told.is_empty() && verification.pipelines[0].agrees(), "{told:?}");
    assert!(bench.sandbox.journal().metered() - calls <= 2);

    let back: BTreeSet<_> = gone.iter().map(|record| (MismatchKind::Changed, record.id.clone())).collect();
    bench
        .sandbox
        .with_company(|company| gone.into_iter().for_each(|record| company.insert("Invoice", record)));
    let (_, told) = verify(&bench, until(&bench, SPAN_END)).await;
    assert_eq!(told, back);
    bench.run(RunRequest { reopen: Reopen::All, ..until(&bench, SPAN_END) }).await;
    assert_eq!(marks(&bench), BTreeMap::new());
    let (verification, told) = verify(&bench, until(&bench, SPAN_END)).await;
    assert!(told.is_empty() && verification.pipelines[0].agrees(), "{told:?}");
}

/// Change data capture may call an edited record deleted (.NET SDK of Intuit, issue 189).
#[tokio::test]
async fn a_record_that_is_said_to_be_deleted_and_can_be_read_is_not_gone() {
    let bench = Bench::start(Shape::default().with_counts(50, 0, 0)).await;
    bench.run(until(&bench, SPAN_END)).await;
    let ids: Vec<String> = bench.sandbox.with_company(|company| company.ids("Invoice").into_iter().collect());
    for record in deleted(&bench, &ids[..1]) {
        bench.sandbox.with_company(|company| {
            company.insert("Invoice", record);
            assert!(company.edit("Invoice", &ids[0]));
        });
    }
    // One that is gone, so that change data capture is queried.
    deleted(&bench, &ids[1..2]);
    let marking = VerifyRequest::new(until(&bench, SPAN_END)).with_marks(true);
    let verification = bench.engine().verify(marking, CancellationToken::new()).await.unwrap();
    let found = &verification.pipelines[0];
    assert_eq!((found.changed, found.gone, found.marked), (1, 1, 1), "{verification:?}");
    assert_eq!(bench.sandbox.journal().count(CallKind::Cdc), 1);
    assert_eq!(marks(&bench).into_keys().collect::<Vec<_>>(), ids[1..2]);
}

/// A page with an answer from before a record was deleted cannot be committed after its mark: marks need the pipeline's lease.
#[tokio::test]
async fn nothing_is_marked_while_another_process_reads_the_pipeline() {
    let bench = Bench::start(Shape::default().with_counts(50, 0, 0)).await;
    bench.run(until(&bench, SPAN_END)).await;
    let ids: Vec<String> = bench.sandbox.with_company(|company| company.ids("Invoice").into_iter().collect());
    deleted(&bench, &ids[..1]);
    let other = bench.store.another_process();
    let pipeline = Catalog::bundled().find("Invoice").unwrap().pipeline(Axis::Updated);
    let lease = other.acquire(&pipeline, "another process").await.unwrap();
    let marking = || VerifyRequest::new(until(&bench, SPAN_END)).with_marks(true);
    let verification = bench.engine().verify(marking(), CancellationToken::new()).await.unwrap();
    let failure = verification.failure.unwrap().failure;
    assert!(
        matches!(&failure, Failure::Land(error) if matches!(error.kind, StoreErrorKind::LeaseHeld { .. })),
        "{failure}"
    );
    assert_eq!(marks(&bench), BTreeMap::new());
    other.release(&lease).await.unwrap();
    let verification = bench.engine().verify(marking(), CancellationToken::new()).await.unwrap();
    assert_eq!(verification.pipelines[0].marked, 1);
    assert!(other.acquire(&pipeline, "another process").await.is_ok(), "the lease was given back");
}

/// QuickBooks denies the entity now: nothing was compared with what is stored of it.
#[tokio::test]
async fn rows_of_an_entity_that_the_company_no_longer_has_are_not_confirmed() {
    let bench = Bench::start(Shape::default().with_counts(40, 5, 5)).await;
    bench.run(bench.request_for(&["Invoice", "Budget"])).await;
    bench.sandbox.with_company(|company| company.withhold("Invoice", Unavailable::NotSupported));
    for method in [VerifyMethod::Compared, VerifyMethod::Count] {
        let request = VerifyRequest::new(bench.request_for(&["Invoice"])).with_method(method);
        let verification = bench.engine().verify(request, CancellationToken::new()).await.unwrap();
        let told = verification.failure.is_some() || verification.pipelines.iter().any(|one| !one.agrees());
        assert!(told, "{method:?}: {:?}", verification.pipelines);
    }
}
