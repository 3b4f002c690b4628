//! While people edit, insert and delete between any two pages, while records of one second come in another order at every
//! request, and while a tenth of all answers is faulty: every record that is still where it was is stored as it is.
//!
//! A failure prints its seed: `DRIFT_SEED=n cargo test -p backfill-core --test it drift`.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backfill_core::{CancellationToken, Catalog, Report, RunRequest, Thresholds};
use fixtures::{Drift, Fault, SandboxOptions, Shape};
use qbo_client::PageSize;
use raw_store::{Finding, Severity, WindowState};

use crate::bench::Bench;

/// As many as the project promises to survive.
const SEEDS: u64 = 2000;

/// A company and its habits, all by the seed. Ties of five pages in one second.
async fn world(seed: u64) -> Bench {
    company_of(seed, Shape::default().with_counts(260, 1, 1).with_bulk_import(100)).await
}

async fn company_of(seed: u64, shape: Shape) -> Bench {
    let pick = |choices: u64, salt: u64| {
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17).wrapping_add(salt) % choices
    };
    let drift = Drift {
        every_n_calls: 1 + pick(2, 1),
        edits: 1 + u32::try_from(pick(5, 2)).unwrap(),
        inserts: u32::try_from(pick(2, 3)).unwrap(),
        deletes: u32::try_from(pick(3, 4)).unwrap(),
        seed,
    };
    let shuffle_ties = (pick(2, 5) == 0).then_some(seed);
    let options = SandboxOptions { drift: Some(drift), shuffle_ties, ..SandboxOptions::default() };
    Bench::with_options(shape, options).await
}

fn request(bench: &Bench, places: usize) -> RunRequest {
    let mut request = bench.request_for(&["Invoice"]);
    request.page_size = PageSize::new(20).unwrap();
    request.concurrency = NonZeroUsize::new(places).unwrap();
    request
}

/// What is missing or old afterwards.
async fn lost(bench: &Bench) -> Vec<String> {
    let rows = bench.store.rows(&Bench::table("Invoice"));
    let lines = bench.lines().await;
    let done = |at| lines.iter().any(|line| line.state == WindowState::Completed && line.window.contains(at));
    bench.sandbox.with_company(|company| {
        let still = company.records("Invoice").filter(|record| done(record.last_updated));
        still
            .filter(|record| rows.get(&record.id).is_none_or(|row| row.payload != record.payload))
            .map(|record| record.id.clone())
            .collect()
    })
}

async fn survives(seed: u64) {
    let bench = world(seed).await;
    outlasts(&bench, seed, 20).await;
}

/// Runs until all is read, and looks whether all is there.
async fn outlasts(bench: &Bench, seed: u64, page_size: u16) {
    bench.sandbox.faults().random(seed, 100, Fault::transient());
    let places = [1, 3, 10][usize::try_from(seed % 3).unwrap()];
    // A question that meets many faults in a row ends the run; the same command goes on.
    let mut ended = None;
    for _ in 0..20 {
        let mut request = request(bench, places);
        request.page_size = PageSize::new(page_size).unwrap();
        let outcome = bench.engine().run(request, CancellationToken::new()).await.unwrap();
        if outcome.failure.is_none() && outcome.totals().windows_failed == 0 {
            break;
        }
        ended = outcome.failure.map(|failure| failure.to_string());
    }
    let lines = bench.lines().await;
    let open = lines.iter().filter(|line| line.state != WindowState::Completed).count();
    assert_eq!(open, 0, "seed {seed}: windows stay open ({ended:?})");
    let lost = lost(bench).await;
    assert!(lost.is_empty(), "seed {seed} lost {lost:?}: DRIFT_SEED={seed} repeats it");
    let errors = errors(bench).await;
    assert!(errors.is_empty(), "seed {seed} is said to be unsound, {errors:?}: DRIFT_SEED={seed} repeats it");
}

/// What a look over the rows takes for a contradiction: nothing, however the records moved.
async fn errors(bench: &Bench) -> Vec<Finding> {
    let report = Report::build(&*bench.store, &Catalog::bundled(), None).await.unwrap();
    let validated =
        report.validate(&*bench.store, &Thresholds::default(), report.run.started_at).await.unwrap();
    assert!(validated[0].rows > 0);
    let mut findings: Vec<_> = validated.into_iter().flat_map(|one| one.findings).collect();
    findings.retain(|finding| finding.severity == Severity::Error);
    findings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_seeds_lose_nothing() {
    #[expect(clippy::disallowed_methods, reason = "a seed to repeat comes from the environment")]
    let only = std::env::var("DRIFT_SEED");
    if let Ok(seed) = only {
        return survives(seed.parse().unwrap()).await;
    }
    let next = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let next = Arc::clone(&next);
            tokio::spawn(async move {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        return;
                    }
                    survives(seed).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

/// The same with full pages, and an import of five thousand in one second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_in_a_second_are_read_at_full_pages() {
    for seed in 0..8 {
        let bench = company_of(seed, Shape::default().with_counts(7000, 1, 1).with_bulk_import(5000)).await;
        outlasts(&bench, seed, 1000).await;
        assert!(bench.store.rows(&Bench::table("Invoice")).len() >= 5000);
    }
}

#[tokio::test]
async fn reading_by_offset_loses_records_within_fifty_seeds() {
    for seed in 0..50 {
        let bench = world(seed).await;
        bench.read_by_offset();
        bench.run(request(&bench, 1)).await;
        if !lost(&bench).await.is_empty() {
            return;
        }
    }
    panic!("fifty seeds lost nothing by offset: this test proves nothing");
}
