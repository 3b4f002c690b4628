//! Custom fields, and requests without the parts that the company refuses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use backfill_core::{
    Axis, Catalog, ChunkSize, CustomFields, Report, RequestPart, RunEventKind, RunRequest, Thresholds,
};
use fixtures::{CallKind, Drift, Refused, SandboxOptions, Shape, Unavailable};
use raw_store::{Reopen, RunStatus, SourceRefusals as _, WindowState};
use time::macros::datetime;

use crate::bench::{Bench, SPAN_END, run_id, window};

/// An emulated company whose records have custom fields of every type.
async fn bench() -> Bench {
    Bench::start(shape()).await
}

fn shape() -> Shape {
    Shape::default().with_counts(300, 40, 30).with_count("Vendor", 40).with_custom_fields()
}

/// Every record of the company is stored as it is with all its custom fields, or with the few that come unasked.
fn assert_stored(bench: &Bench, entity: &str, all_fields: bool) {
    let rows = bench.store.rows(&Bench::table(entity));
    bench.sandbox.with_company(|company| {
        assert_eq!(rows.len(), company.count(entity), "{entity}");
        for record in company.records(entity) {
            let payload = if all_fields { record.full_payload() } else { record.payload.clone() };
            assert_eq!(rows[&record.id].payload, payload, "{entity} {}", record.id);
        }
    });
}

/// Collects which parts are told to be refused, by pipeline.
fn told(bench: &Bench) -> Arc<Mutex<BTreeMap<String, Vec<RequestPart>>>> {
    let told: Arc<Mutex<BTreeMap<String, Vec<RequestPart>>>> = Arc::default();
    let sink = Arc::clone(&told);
    bench.on_event(move |event| {
        if let RunEventKind::PartsRefused { pipeline, parts } = &event.kind {
            let before = sink.lock().unwrap().insert(pipeline.clone(), parts.clone());
            assert_eq!(before, None, "{pipeline} was told twice");
        }
    });
    told
}

fn refused_calls(bench: &Bench) -> usize {
    bench.sandbox.journal().calls().iter().filter(|call| call.status == 400).count()
}

fn refuse(bench: &Bench, entity: &str, parts: &[Refused]) {
    bench.sandbox.with_company(|company| parts.iter().for_each(|part| company.refuse(entity, *part)));
}

/// The same request, of another run.
fn again(request: &RunRequest) -> RunRequest {
    RunRequest { id: run_id(), ..request.clone() }
}

#[tokio::test]
async fn rows_are_the_full_records_with_every_custom_field() {
    let bench = bench().await;
    let outcome = bench.run(bench.request_for(&["Invoice", "Customer", "Vendor"])).await;
    assert_eq!(outcome.status(), RunStatus::Completed);
    for entity in ["Invoice", "Customer", "Vendor"] {
        assert_stored(&bench, entity, true);
        let rows = bench.store.rows(&Bench::table(entity));
        assert!(rows.values().all(|row| row.request.contains(r#""include":"enhancedAllCustomFields""#)));
    }
    let fields = CustomFields::of(&bench.lines().await);
    assert_eq!((fields.whole, fields.records), (380, 380));
    let journal = bench.sandbox.journal();
    let includes = journal.calls().iter().filter(|call| call.kind == CallKind::Query);
    assert!(includes.clone().all(|call| call.include.is_some()) && includes.count() >= 3);
}

#[tokio::test]
async fn a_refused_include_is_done_without_told_and_not_paid_for_again() {
    let bench = bench().await;
    refuse(&bench, "Invoice", &[Refused::Include]);
    let told = told(&bench);
    let request = bench.request_for(&["Invoice", "Customer"]);
    let half =
        RunRequest { span: window(request.span.start(), datetime!(2024-07-01 0:00 UTC)), ..request.clone() };
    let outcome = bench.run(half).await;
    assert_eq!(outcome.status(), RunStatus::Completed);
    assert_eq!(
        *told.lock().unwrap(),
        BTreeMap::from([("qb_invoices_backfill".into(), vec![RequestPart::CustomFields])])
    );
    let report =
        Report::of_run(&*bench.store, &Catalog::bundled(), &outcome, &Thresholds::default(), SPAN_END).await;
    let report = report.unwrap();
    let kinds = |entity: &str| -> Vec<_> {
        let validated = report.validated.iter().find(|one| *one.entity_name == *entity).unwrap();
        let of_ours = |kind: &str| kind.starts_with("custom") || kind.starts_with("request");
        let ours = validated.findings.iter().filter(|finding| of_ours(&finding.kind));
        ours.map(|finding| (finding.kind.to_string(), finding.amount)).collect()
    };
    let invoices = report.pipelines.iter().find(|one| one.table == "qb_invoices").unwrap();
    let (fields, invoices) = (invoices.custom_fields(), invoices.records_read());
    assert_eq!(kinds("invoices"), [("custom_fields_partial".to_owned(), invoices)]);
    assert_eq!(kinds("customers"), []);
    assert_eq!(fields, Some(CustomFields { whole: 0, records: invoices }));

    // Later runs do not ask again.
    let before = refused_calls(&bench);
    assert_eq!(before, 2, "the refusal was confirmed once");
    let outcome = bench.run(again(&request)).await;
    assert_eq!(outcome.status(), RunStatus::Completed);
    assert_eq!(refused_calls(&bench), before);
    assert_stored(&bench, "Invoice", false);
    assert_stored(&bench, "Customer", true);

    // After a month they do, and rows that were stored without are completed.
    bench.sandbox.with_company(|company| company.accept("Invoice"));
    bench.pass(std::time::Duration::from_secs(31 * 86_400));
    bench.run(RunRequest { reopen: Reopen::All, ..again(&request) }).await;
    assert_stored(&bench, "Invoice", true);
    assert!(bench.lines().await.iter().all(|line| line.all_fields));
}

#[tokio::test]
async fn a_refusal_that_passes_costs_no_field_and_no_invoice() {
    let bench = bench().await;
    let entities = bench.request_for(&["Invoice"]);
    bench.sandbox.faults().push(
        fixtures::Rule::on(
            CallKind::Query,
            fixtures::Fault::Json {
                status: 400,
                fault_type: "ValidationFault".into(),
                code: "5030".into(),
                message: "Feature Not Supported Error".into(),
            },
        )
        .times(1),
    );
    let outcome = bench.run(entities).await;
    assert_eq!(outcome.status(), RunStatus::Completed);
    assert_eq!(outcome.totals().windows_unavailable, 0);
    assert_stored(&bench, "Invoice", true);
}

/// A server's error may hide a refusal: it does not show that the request is accepted.
#[tokio::test]
async fn a_fault_during_the_search_blames_no_part_that_was_not_refused() {
    for fault in [fixtures::Fault::FaultInOk { code: "10000".into() }, fixtures::Fault::json(500, "6000")] {
        let bench = bench().await;
        refuse(&bench, "Invoice", &[Refused::Order]);
        let told = told(&bench);
        bench.sandbox.faults().push(fixtures::Rule::on(CallKind::Query, fault).after(1).times(3));
        let outcome = bench.run(bench.request_for(&["Invoice"])).await;
        assert_eq!(outcome.status(), RunStatus::Completed);
        assert_eq!(told.lock().unwrap()["qb_invoices_backfill"], [RequestPart::Order]);
        assert_stored(&bench, "Invoice", true);
    }
}

#[tokio::test]
async fn rows_of_an_earlier_edition_are_known_as_such_and_completed_by_force() {
    let bench = bench().await;
    let request = bench.request_for(&["Invoice"]);
    let entities = Catalog::bundled().without_custom_fields().select(["Invoice"]).unwrap();
    bench.run(RunRequest { entities, ..request.clone() }).await;
    assert_stored(&bench, "Invoice", false);
    assert_eq!(CustomFields::of(&bench.lines().await), CustomFields { whole: 0, records: 300 });
    bench.run(again(&request)).await;
    assert_eq!(CustomFields::of(&bench.lines().await).whole, 0, "nothing was read");
    let calls = bench.sandbox.journal().metered();
    let counts = bench.run(RunRequest { reopen: Reopen::All, ..again(&request) }).await.totals().counts;
    assert_eq!(counts.updated, 300);
    assert!(bench.sandbox.journal().metered() - calls <= 3, "the usual price");
    assert_stored(&bench, "Invoice", true);
    let lines = bench.lines().await;
    assert_eq!(CustomFields::of(&lines), CustomFields { whole: 300, records: 300 });
    assert_eq!(CustomFields::spans(&lines), [window(datetime!(2024-01-01 0:00 UTC), SPAN_END)]);
}

/// The parts that an entity is told to lack, for what the company refuses.
fn expected(refused: &[Refused]) -> Vec<RequestPart> {
    let has = |part| refused.contains(&part);
    let mut parts = Vec::new();
    for (part, refused) in [
        (RequestPart::CustomFields, Refused::Include),
        (RequestPart::Columns, Refused::Columns),
        (RequestPart::Order, Refused::Order),
        (RequestPart::Active, Refused::Active),
        (RequestPart::Time, Refused::Time),
    ] {
        // What is read as a whole has no order.
        if has(refused) && !(part == RequestPart::Order && has(Refused::Time)) {
            parts.push(part);
        }
    }
    parts
}

#[tokio::test]
async fn every_combination_of_refused_parts_is_read_to_its_end_while_records_change() {
    let all = [Refused::Include, Refused::Order, Refused::Active, Refused::Time];
    for chosen in 1_u32..16 {
        let refused: Vec<_> = all
            .into_iter()
            .enumerate()
            .filter(|(at, _)| chosen & (1 << at) != 0)
            .map(|(_, part)| part)
            .collect();
        let shape = Shape::default().with_counts(1, 700, 1).with_bulk_import(150).with_custom_fields();
        let shape = Shape { inactive_permille: 0, ..shape };
        let drift = Drift { every_n_calls: 3, edits: 2, inserts: 0, deletes: 0, seed: u64::from(chosen) };
        let options =
            SandboxOptions { shuffle_ties: Some(7), drift: Some(drift), ..SandboxOptions::default() };
        let bench = Bench::with_options(shape, options).await;
        refuse(&bench, "Customer", &refused);
        let told = told(&bench);
        let before = bench.sandbox.with_company(|company| company.ids("Customer"));
        let request =
            bench.request_for(&["Customer"]).with_page_size(qbo_client::PageSize::new(100).unwrap());
        let outcome = bench.run(request.clone()).await;
        let lines = bench.lines().await;
        let failed: Vec<_> =
            lines.iter().filter_map(|line| Some((line.window, line.error_message.as_deref()?))).collect();
        assert_eq!(outcome.status(), RunStatus::Completed, "{refused:?}: {:?} {failed:?}", outcome.failure);
        let mut parts = told.lock().unwrap().remove("qb_customers_backfill").unwrap_or_default();
        parts.sort();
        assert_eq!(parts, expected(&refused), "{refused:?}");
        // Records that were edited meanwhile have left the range, unless the entity is read as a whole.
        bench.sandbox.end_drift();
        let again =
            RunRequest { span: window(request.span.start(), datetime!(2025-02-01 0:00 UTC)), ..request };
        let before_again = refused_calls(&bench);
        let outcome = bench.run(again.with_chunk(ChunkSize::Whole)).await;
        assert_eq!(outcome.totals().windows_failed, 0, "{refused:?}");
        assert_eq!(refused_calls(&bench), before_again, "{refused:?}: asked again");
        let rows = bench.store.rows(&Bench::table("Customer"));
        let missing: Vec<_> = before.iter().filter(|id| !rows.contains_key(&**id)).collect();
        assert!(missing.is_empty(), "{refused:?}: {} are missing", missing.len());
        let calls = bench.sandbox.journal().metered();
        assert!(calls < 200, "{refused:?}: {calls} calls");
        assert_stored(&bench, "Customer", !refused.contains(&Refused::Include));
    }
}

#[tokio::test]
async fn a_refused_column_is_left_out_and_the_rest_of_the_records_is_read() {
    let bench = bench().await;
    refuse(&bench, "Item", &[Refused::Columns]);
    let told = told(&bench);
    let outcome = bench.run(bench.request_for(&["Item"])).await;
    assert_eq!(outcome.status(), RunStatus::Completed);
    assert_eq!(told.lock().unwrap()["qb_items_backfill"], [RequestPart::Columns]);
    assert_stored(&bench, "Item", false);
}

#[tokio::test]
async fn an_entity_whose_name_is_refused_in_any_words_is_unavailable_and_asked_for_again() {
    let bench = bench().await;
    for entity in ["Invoice", "Vendor", "CompanyInfo"] {
        refuse(&bench, entity, &[Refused::Entity]);
    }
    // This one is refused for its custom fields first, in other words.
    refuse(&bench, "Vendor", &[Refused::Include]);
    bench.sandbox.with_company(|company| company.withhold("Customer", Unavailable::NotSupported));
    let request = bench.request_for(&["Invoice", "Vendor", "CompanyInfo", "Customer"]);
    let outcome = bench.run(request.clone()).await;
    assert_eq!(outcome.status(), RunStatus::Completed, "{:?}", outcome.failure);
    let totals = outcome.totals();
    assert_eq!((totals.windows_failed, totals.windows_unavailable), (0, 3 * 366 + 1));
    assert_eq!(bench.store.refusals().await.unwrap(), [], "it was not about a part");
    for entity in ["Invoice", "Vendor", "CompanyInfo"] {
        bench.sandbox.with_company(|company| company.accept(entity));
    }
    bench.sandbox.with_company(|company| company.grant("Customer"));
    let outcome = bench.run(again(&request)).await;
    assert_eq!(outcome.status(), RunStatus::Completed);
    assert_stored(&bench, "Invoice", true);
    assert_stored(&bench, "Customer", true);
}

#[tokio::test]
async fn windows_of_an_entity_that_is_read_as_a_whole_stay_behind_and_one_takes_their_place() {
    let bench = bench().await;
    refuse(&bench, "Vendor", &[Refused::Time]);
    let outcome = bench.run(bench.request_for(&["Vendor"])).await;
    assert_eq!(outcome.status(), RunStatus::Completed);
    let lines = bench.lines().await;
    let in_state = |state| lines.iter().filter(|line| line.state == state).count();
    assert_eq!((in_state(WindowState::Completed), in_state(WindowState::Unavailable)), (1, 366));
    let report = Report::build(&*bench.store, &Catalog::bundled(), Some(outcome.run())).await.unwrap();
    assert_eq!(report.pipelines[0].windows.len(), 1, "the report is about the one window");
    assert_eq!(report.pipelines[0].left_out(), [RequestPart::Time]);
    assert_eq!(report.pipelines[0].axis, Axis::Updated);
}

/// Without the wish for inactive records, one that does not come may be inactive.
#[tokio::test]
async fn a_record_that_may_be_inactive_is_not_marked_as_gone() {
    let bench = bench().await;
    let request = bench.request_for(&["Customer"]);
    bench.run(request.clone()).await;
    refuse(&bench, "Customer", &[Refused::Active]);
    let id = bench.sandbox.with_company(|company| {
        let id = company.ids("Customer").into_iter().next().unwrap();
        assert!(company.deactivate("Customer", &id));
        id
    });
    // The refusal is remembered.
    bench.run(RunRequest { reopen: Reopen::All, ..again(&request) }).await;
    let verify = backfill_core::VerifyRequest::new(again(&request)).with_marks(true);
    let verification = bench.engine().verify(verify, backfill_core::CancellationToken::new()).await.unwrap();
    let found = &verification.pipelines[0];
    assert!(found.gone == 0 && found.unknown > 0 && !found.agrees(), "{found:?}");
    assert!(bench.store.rows(&Bench::table("Customer"))[&id].gone_found_at.is_none());
}

#[tokio::test]
async fn a_verification_asks_as_a_run_does_and_remembers_nothing() {
    let bench = bench().await;
    let request = bench.request_for(&["Invoice", "Vendor"]);
    bench.run(request.clone()).await;
    refuse(&bench, "Invoice", &[Refused::Order]);
    refuse(&bench, "Vendor", &[Refused::Time]);
    let verification = bench.engine().verify(request, backfill_core::CancellationToken::new()).await.unwrap();
    assert!(verification.failure.is_none(), "{:?}", verification.failure);
    for one in &verification.pipelines {
        assert!(one.agrees() && one.unread == 0 && !one.is_unavailable && one.looked_for_gone, "{one:?}");
    }
    assert_eq!(bench.store.refusals().await.unwrap(), []);
}
