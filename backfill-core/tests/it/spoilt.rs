//! Records that make every page fail that they are in, by whatever fault, and outages that look the same.

use std::num::NonZeroUsize;

use backfill_core::{CancellationToken, Failure, RunRequest};
use fixtures::{CallKind, Fault, Rule, Shape, Spoil};
use raw_store::RunStatus;

use crate::bench::Bench;

const SPOILS: [Spoil; 6] = [
    Spoil::WebPage { status: 500 },
    Spoil::WebPage { status: 503 },
    Spoil::Fault { status: 500, code: "6000" },
    Spoil::Fault { status: 400, code: "6000" },
    Spoil::Fault { status: 400, code: "2500" },
    Spoil::Torn,
];

fn in_order(bench: &Bench) -> Vec<String> {
    bench.sandbox.with_company(|company| {
        let mut records: Vec<_> =
            company.records("Invoice").map(|record| (record.last_updated, record.id.clone())).collect();
        records.sort();
        records.into_iter().map(|(_, id)| id).collect()
    })
}

#[tokio::test]
async fn one_record_that_spoils_its_page_is_isolated_whatever_the_fault() {
    for (n, spoil) in SPOILS.into_iter().enumerate() {
        for place in [0, 150, 299] {
            let bench = Bench::start(Shape::default().with_counts(300, 1, 1)).await;
            let id = in_order(&bench)[place].clone();
            bench.sandbox.with_company(|company| company.spoil("Invoice", &id, spoil));
            let concurrency = NonZeroUsize::new(1 + n % 3).unwrap();
            let request = || RunRequest { concurrency, ..bench.request_for(&["Invoice"]) };
            let named = format!("{spoil:?} at {place}");
            let outcome = bench.run(request()).await;
            assert!(outcome.failure.is_none(), "{named}: {:?}", outcome.failure);
            assert_eq!(outcome.totals().windows_failed, 0, "{named}: {:?}", bench.lines().await);
            assert_eq!(outcome.status(), RunStatus::Incomplete, "{named}");
            let rows = bench.store.rows(&Bench::table("Invoice"));
            assert_eq!((rows.len(), rows.contains_key(&id)), (299, false), "{named}");
            let aside = bench.store.quarantine();
            assert_eq!(aside.len(), 1, "{named}: {aside:?}");
            assert!(
                aside[0].reason.starts_with("QuickBooks cannot deliver this record"),
                "{}",
                aside[0].reason
            );
            let at =
                bench.sandbox.with_company(|company| company.record("Invoice", &id).unwrap().last_updated);
            assert!(aside[0].window.contains(at), "{named}: {:?}", aside[0].window);
            let calls = bench.sandbox.journal().metered();
            assert!(calls < 150, "{named}: {calls} calls");

            let verification = bench.engine().verify(request(), CancellationToken::new()).await.unwrap();
            let found = &verification.pipelines[0];
            assert!(verification.failure.is_none() && found.agrees(), "{named}: {found:?}");
            assert_eq!((found.same, found.quarantined), (299, 1), "{named}");
        }
    }
}

/// Whatever is in the page: then it is no record's fault, and nobody searches for one.
#[tokio::test]
async fn an_outage_is_an_outage_and_costs_few_calls() {
    for fault in [Fault::Html { status: 500 }, Fault::json(500, "6000"), Fault::Truncated, Fault::Closed] {
        for after in [0, 3] {
            let bench = Bench::start(Shape::default().with_counts(500, 1, 1)).await;
            bench.sandbox.faults().push(Rule::on(CallKind::Query, fault.clone()).after(after).always());
            let request = RunRequest {
                page_size: qbo_client::PageSize::new(50).unwrap(),
                concurrency: NonZeroUsize::MIN,
                ..bench.request_for(&["Invoice"])
            };
            let outcome = bench.run(request).await;
            let failure = outcome.failure.as_ref().map(|error| &error.failure);
            assert!(matches!(failure, Some(Failure::Read(_))), "{fault:?}: {failure:?}");
            assert_eq!(outcome.totals().windows_failed, 0, "{fault:?}");
            assert!(bench.store.quarantine().is_empty(), "{fault:?}");
            let calls = bench.sandbox.journal().metered();
            assert!(calls <= 3 + 6 + 9, "{fault:?}: {calls} calls");
        }
    }
}

#[tokio::test]
async fn a_question_that_is_refused_whatever_it_asks_for_costs_few_calls() {
    // The first code says that QuickBooks accepts no query for the entity, the second one says nothing of it.
    for (code, failed, most) in [("4000", 0, 4), ("2500", 366, 6)] {
        let bench = Bench::start(Shape::default().with_counts(500, 1, 1)).await;
        bench.sandbox.faults().push(Rule::on(CallKind::Query, Fault::json(400, code)).always());
        let outcome = bench.run(bench.request_for(&["Invoice"])).await;
        assert!(outcome.failure.is_none(), "{:?}", outcome.failure);
        let totals = outcome.totals();
        assert_eq!((totals.windows_failed, totals.windows_unavailable), (failed, 366 - failed));
        let calls = bench.sandbox.journal().metered();
        assert!(calls <= most, "{code}: {calls}");
    }
}
