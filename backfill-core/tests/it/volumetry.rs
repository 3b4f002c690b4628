//! Gaps and outliers of emulated companies: what was planted is found, and where nothing was planted nothing is.

use std::collections::{BTreeMap, BTreeSet};

use backfill_core::Thresholds;
use backfill_core::validate::volume::{DayVolume, Sight, empty_stretches, outliers};
use fixtures::{Company, Record, Shape};
use time::macros::datetime;
use time::{Date, OffsetDateTime, UtcOffset};

type Time = fn(&Record) -> OffsetDateTime;

const MADE: Time = |record| record.create_time;
const CHANGED: Time = |record| record.last_updated;

/// The days of a company's history, with the records of an entity.
fn days(company: &Company, entity: &str, shape: &Shape, time: Time) -> Vec<DayVolume> {
    let mut records: BTreeMap<Date, u64> = BTreeMap::new();
    for record in company.records(entity) {
        *records.entry(time(record).to_offset(UtcOffset::UTC).date()).or_default() += 1;
    }
    let history = std::iter::successors(Some(shape.from.date()), |day| day.next_day());
    history
        .take_while(|day| *day < shape.to.date())
        .map(|day| DayVolume { day, records: records.get(&day).copied().unwrap_or(0) })
        .collect()
}

#[test]
fn the_planted_gaps_and_outlier_of_the_demos_company_are_found() {
    let shape = Shape::default()
        .with_counts(5000, 416, 125)
        .with_history(datetime!(2025-01-01 0:00 UTC)..datetime!(2026-01-01 0:00 UTC))
        .with_bulk_import(60);
    let company = Company::generate(2025, &shape);
    let made = days(&company, "Invoice", &shape, MADE);
    let gaps = empty_stretches(&made, &Sight::default(), &Thresholds::default());
    // Whatever has no invoice at all is planted, unless it is a Sunday: these have one or two.
    let planted: BTreeSet<Date> = made
        .iter()
        .filter(|day| day.records == 0 && day.day.weekday() != time::Weekday::Sunday)
        .map(|day| day.day)
        .collect();
    assert!(planted.len() > 5, "{planted:?}");
    let is_found = |day: &Date| gaps.iter().any(|gap| gap.first <= *day && *day <= gap.last);
    let missed: Vec<_> =
        planted.iter().filter(|day| !is_found(day) && day.weekday() != time::Weekday::Saturday).collect();
    assert_eq!(missed, Vec::<&Date>::new(), "{gaps:?}");
    let highest = made.iter().max_by_key(|day| day.records).unwrap();
    let found = outliers(&made, &Thresholds::default());
    assert!(found.iter().any(|outlier| outlier.day == highest.day), "{found:?}");
    // The planted day and the bulk import, and nothing else.
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.iter().all(|outlier| f64::from(u32::try_from(outlier.records).unwrap()) > 3.0 * outlier.usual)
    );
}

#[test]
fn fifty_quiet_companies_have_no_finding() {
    let thresholds = Thresholds::default();
    for seed in 0..50 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let counts = [0, 3, 20, 60, 150, 400, 1200, 4000];
        let mut pick = || counts[rng.usize(..counts.len())];
        let shape = Shape { empty_days_permille: 0, outlier: 1, ..Shape::default() }.with_counts(
            pick(),
            pick(),
            pick(),
        );
        let company = Company::generate(seed, &shape);
        for entity in ["Invoice", "Customer", "Item"] {
            for time in [MADE, CHANGED] {
                let days = days(&company, entity, &shape, time);
                assert_eq!(
                    empty_stretches(&days, &Sight::default(), &thresholds),
                    [],
                    "seed {seed}, {entity}"
                );
                assert_eq!(outliers(&days, &thresholds), [], "seed {seed}, {entity}");
            }
        }
    }
}
