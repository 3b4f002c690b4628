//! Every entity of the catalogue, each with its oddities, from an emulated company that has them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use backfill_core::{Axis, Catalog, EntitySpec, RunEventKind, RunRequest};
use fixtures::{CallKind, Fault, Rule, SandboxOptions, Shape, Unavailable};
use qbo_client::PageSize;
use raw_store::{LogFilter, LogLine, Reopen, RunStatus, WindowState};
use time::macros::datetime;

use crate::bench::{self, Bench};

/// What the plan of the emulated company leaves out, and how it says so.
const MISSING: [(&str, Unavailable, &str); 3] = [
    ("Budget", Unavailable::Unknown, "not available in this company (code 4001)"),
    ("InventoryAdjustment", Unavailable::NotPermitted, "not available in this company (code 5020)"),
    ("JournalCode", Unavailable::NotSupported, "not available in this company (code 5030)"),
];

async fn everything() -> Bench {
    // Enough of these for several pages: of half the size, and by position.
    let shape =
        Shape::default().every_entity(70).with_count("TimeActivity", 1200).with_count("TaxAgency", 2300);
    let shape = MISSING.iter().fold(shape, |shape, (entity, why, _)| shape.without(entity, *why));
    Bench::with_options(shape, SandboxOptions::default()).await
}

fn calls(bench: &Bench, spec: &EntitySpec) -> usize {
    let journal = bench.sandbox.journal();
    let words = |statement: &str| statement.split(' ').any(|word| word == spec.name().as_str());
    journal.calls().iter().filter(|call| words(&call.statement)).count()
}

async fn lines(bench: &Bench, entity: &str) -> Vec<LogLine> {
    let name = Catalog::bundled().find(entity).unwrap().entity_name().into();
    bench.store_lines(&LogFilter { entity_name: Some(name), ..LogFilter::default() }).await
}

fn is_missing(spec: &EntitySpec) -> bool {
    MISSING.iter().any(|(entity, ..)| *entity == spec.name().as_str())
}

#[tokio::test]
async fn every_entity_lands_byte_for_byte_at_the_cost_of_its_pages() {
    let bench = everything().await;
    let outcome = bench.run(bench.request_for(&["all"])).await;
    assert_eq!(outcome.status(), RunStatus::Completed, "{:?}", outcome.failure);
    assert_eq!(outcome.totals().windows_unavailable, 3 * 366);
    for spec in Catalog::bundled().entities() {
        let entity = spec.name().as_str();
        if is_missing(spec) {
            assert_eq!(calls(&bench, spec), 1, "{entity}");
            assert!(bench.store.rows(spec.table()).is_empty(), "{entity}");
            continue;
        }
        bench.assert_complete(entity);
        let page = usize::from(spec.page_size(PageSize::MAX).get());
        let allowed = bench.count(entity).div_ceil(page) + 2;
        assert!(calls(&bench, spec) <= allowed, "{entity}: {} calls", calls(&bench, spec));
    }
    let inactive =
        |entity: &str| bench.sandbox.with_company(|company| company.records(entity).any(|it| !it.active));
    assert!(["Account", "Vendor", "TaxCode", "Term"].into_iter().all(inactive), "none is inactive");
}

#[tokio::test]
async fn ids_are_made_of_keys_wrappers_are_kept_and_links_are_not() {
    let bench = everything().await;
    bench.run(bench.request_for(&["ExchangeRate", "RecurringTransaction", "Attachable"])).await;
    let rates = bench.store.rows(&Bench::table("ExchangeRate"));
    assert!(rates.keys().all(|id| id.split('/').count() == 3), "{:?}", rates.keys().next());
    assert!(rates.keys().any(|id| id.contains("//")), "none without a home currency");
    for row in bench.store.rows(&Bench::table("RecurringTransaction")).values() {
        let wrapper: serde_json::Value = serde_json::from_slice(&row.payload).unwrap();
        let inner = wrapper.as_object().unwrap().values().next().unwrap();
        assert_eq!(inner["Id"].as_str(), Some(&*row.id));
        assert!(row.updated_at.is_some() && row.sync_token.is_some());
    }
    for row in bench.store.rows(&Bench::table("Attachable")).values() {
        let text = std::str::from_utf8(&row.payload).unwrap();
        assert!(!text.contains("TempDownloadUri") && text.contains("FileAccessUri"), "{text}");
    }
}

#[tokio::test]
async fn a_second_run_asks_only_for_what_was_missing_and_a_forced_one_changes_nothing() {
    let bench = everything().await;
    let first = bench.run(bench.request_for(&["all"])).await.totals().counts;
    let asked =
        || bench.sandbox.journal().count(CallKind::Query) + bench.sandbox.journal().count(CallKind::Count);
    let before = asked();
    let again = bench.run(bench.request_for(&["all"])).await;
    assert_eq!(again.status(), RunStatus::Completed);
    assert_eq!(asked() - before, MISSING.len(), "what is completed costs calls");

    let forced = RunRequest { reopen: Reopen::All, ..bench.request_for(&["all"]) };
    let counts = bench.run(forced).await.totals().counts;
    assert_eq!((counts.inserted, counts.updated, counts.unchanged), (0, 0, first.inserted));
}

#[tokio::test]
async fn what_is_not_available_is_neither_failed_nor_empty_until_it_is_there() {
    let bench = everything().await;
    let told = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&told);
    bench.on_event(move |event| {
        if matches!(event.kind, RunEventKind::Unavailable { windows: 366, .. }) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let missing = MISSING.map(|(entity, ..)| entity);
    let outcome = bench.run(bench.request_for(&missing)).await;
    assert_eq!((outcome.status(), told.load(Ordering::Relaxed)), (RunStatus::Completed, 3));
    for (entity, _, message) in MISSING {
        for line in lines(&bench, entity).await {
            assert_eq!(line.state, WindowState::Unavailable);
            assert_eq!(line.error_message.as_deref(), Some(message));
            assert_eq!(line.metrics.records_read, 0);
        }
    }
    bench.sandbox.with_company(|company| company.grant("Budget"));
    bench.run(bench.request_for(&["Budget"])).await;
    bench.assert_complete("Budget");
    assert!(lines(&bench, "Budget").await.iter().all(|line| line.state == WindowState::Completed));
}

#[tokio::test]
async fn one_call_decides_for_all_the_scans_of_a_pipeline() {
    let bench = Bench::start(Shape::default().with_counts(300, 5, 5)).await;
    let mut request = bench.request_for(&["Invoice"]);
    request.span = bench::window(datetime!(2024-03-01 0:00 UTC), datetime!(2024-04-01 0:00 UTC));
    bench.run(request).await;
    bench.sandbox.with_company(|company| company.withhold("Invoice", Unavailable::NotSupported));
    let before = bench.sandbox.journal().count(CallKind::Query);
    let outcome = bench.run(bench.request_for(&["Invoice"])).await;
    assert_eq!((outcome.status(), outcome.totals().windows_unavailable), (RunStatus::Completed, 366 - 31));
    // Two, because the refusal might have been about the custom fields.
    assert_eq!(bench.sandbox.journal().count(CallKind::Query) - before, 2);
    let completed =
        lines(&bench, "Invoice").await.into_iter().filter(|line| line.state == WindowState::Completed);
    assert_eq!(completed.count(), 31, "what was read is forgotten");
}

#[tokio::test]
async fn a_refusal_after_records_were_read_is_a_failure() {
    let bench = Bench::start(Shape::default().with_counts(300, 5, 5)).await;
    bench.sandbox.faults().push(Rule::on(CallKind::Query, Fault::json(400, "5020")).after(1));
    let mut request = bench.request_for(&["Invoice"]);
    request.page_size = PageSize::new(100).unwrap();
    let totals = bench.run(request).await.totals();
    assert!(totals.windows_failed > 0);
    assert_eq!(totals.windows_unavailable, 0);
    let failed = lines(&bench, "Invoice").await.into_iter().find(|line| line.state == WindowState::Failed);
    let message = failed.unwrap().error_message.unwrap();
    assert_eq!(&*message, "not available in this company (code 5020), though records were read before");
}

#[tokio::test]
async fn a_half_read_entity_that_is_taken_away_has_failed() {
    let bench = Bench::start(Shape::default().with_counts(300, 5, 5)).await;
    let mut request = bench.request_for(&["Invoice"]);
    request.page_size = PageSize::new(100).unwrap();
    bench.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Html { status: 503 }).after(1).always());
    assert_eq!(bench.run(request.clone()).await.status(), RunStatus::Failed);
    bench.sandbox.faults().clear();
    bench.sandbox.with_company(|company| company.withhold("Invoice", Unavailable::NotPermitted));
    request.id = bench::run_id();
    let totals = bench.run(request).await.totals();
    assert!(totals.windows_failed > 0);
    assert_eq!(totals.windows_unavailable, 0);
}

#[tokio::test]
async fn a_time_that_cannot_be_asked_for_is_left_out_though_the_code_is_that_of_a_missing_entity() {
    let bench = everything().await;
    let own = "[[entity]]\nname = 'ExchangeRate'\naxes = ['created']\n";
    let catalog = Catalog::bundled().extended(own).unwrap();
    let entities = catalog.select(["ExchangeRate"]).unwrap();
    let request = RunRequest { entities, axis: Axis::Created, ..bench.request_for(&[]) };
    let outcome = bench.run(request).await;
    assert_eq!(outcome.status(), RunStatus::Completed);
    let completed = lines(&bench, "ExchangeRate").await;
    let completed: Vec<_> = completed.iter().filter(|line| line.state == WindowState::Completed).collect();
    assert_eq!((completed.len(), completed[0].metrics.records_read), (1, bench.count("ExchangeRate") as u64));
}

#[tokio::test]
async fn a_snapshot_is_one_window_and_complete_only_if_it_ends_before_the_sources_clock() {
    let bench = everything().await;
    let whole = ["CompanyInfo", "Preferences", "TaxAgency"];
    let request = bench.request_for(&whole);
    let plan = bench.engine().plan(&request).await.unwrap();
    assert_eq!((plan.open_windows(), plan.estimated_calls), (3, 4));
    assert_eq!(bench.run(request.clone()).await.totals().windows_completed, 3);
    for entity in whole {
        let lines = lines(&bench, entity).await;
        assert_eq!((lines.len(), lines[0].window), (1, request.span));
        let rows = bench.store.rows(&Bench::table(entity));
        assert!(rows.values().all(|row| row.window == request.span), "{entity}");
    }
    let spent = bench.sandbox.journal().metered();
    bench.run(RunRequest { id: bench::run_id(), ..request.clone() }).await;
    assert_eq!(bench.sandbox.journal().metered(), spent, "a completed snapshot was read again");

    let span = bench::window(datetime!(2024-01-01 0:00 UTC), datetime!(2030-01-01 0:00 UTC));
    let open = bench.run(RunRequest { id: bench::run_id(), span, ..request }).await;
    assert_eq!(open.totals().windows_provisional, 3);
}

#[tokio::test]
async fn an_entity_that_cannot_be_asked_for_by_time_after_all_is_read_as_a_whole_by_one_key() {
    let shape = Shape::default().with_counts(1, 1, 1).with_count("ExchangeRate", 250);
    let bench = Bench::start(shape).await;
    let own = "[[entity]]\nname = 'ExchangeRate'\nsnapshot = true\npage_size = 100\n";
    let entities = Catalog::bundled().extended(own).unwrap().select(["ExchangeRate"]).unwrap();
    let outcome = bench.run(RunRequest { entities, ..bench.request_for(&[]) }).await;
    assert_eq!((outcome.status(), outcome.totals().windows_completed), (RunStatus::Completed, 1));
    bench.assert_complete("ExchangeRate");
}

#[tokio::test]
async fn an_entity_that_bears_smaller_pages_is_asked_for_smaller_ones() {
    let bench = everything().await;
    bench.run(bench.request_for(&["TimeActivity", "Bill"])).await;
    let sizes = |entity: &str| {
        let rows = bench.store.rows(&Bench::table(entity));
        assert!(!rows.is_empty());
        rows.values().map(|row| row.page_size).max()
    };
    assert_eq!((sizes("TimeActivity"), sizes("Bill")), (Some(500), Some(1000)));
}
