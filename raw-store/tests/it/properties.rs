//! What holds of any documents in any order, asked of a real database: fidelity, which version wins, which records of a
//! page are put aside, and that the ledger says what became of them.

#![cfg(feature = "pg")]

use std::collections::{BTreeMap, BTreeSet};

use fixtures::TempDatabase;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use raw_store::{
    BackfillLog, LogFilter, MemoryStore, PageCommit, PageOutcome, PageSink, PgStore, RejectedRow, Row,
    WindowCounts,
};
use serde_json::value::RawValue;
use time::Duration;
use tokio::runtime::Runtime;

use crate::support::{NOW, Work, connection, database, row, store, window};

/// Runs one property over one database, a page or a few for each case.
#[expect(clippy::needless_pass_by_value, reason = "callers write closures")]
fn over_one_database<S: Strategy>(
    strategy: S,
    property: impl AsyncFn(&World, u32, S::Value) -> TestCaseResult,
) where
    S::Value: std::fmt::Debug,
{
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let case = std::cell::Cell::new(0);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::default());
    let ended = runner.run(&strategy, |value| {
        case.set(case.get() + 1);
        runtime.block_on(property(&world, case.get(), value))
    });
    ended.unwrap_or_else(|error| panic!("{error}"));
}

struct World {
    database: TempDatabase,
    postgres: PgStore,
    work: Work,
    memory: MemoryStore,
    work_in_memory: Work,
}

impl World {
    async fn new() -> Self {
        let database = database().await;
        let (postgres, memory) = (store(&database).await, MemoryStore::new());
        let (work, work_in_memory) = (Work::begin(&postgres).await, Work::begin(&memory).await);
        Self { database, postgres, work, memory, work_in_memory }
    }

    /// Lands the same rows in both stores.
    async fn land(&self, number: u32, answered_after: i64, rows: &[Row]) -> (PageOutcome, PageOutcome) {
        let page = |work: &Work| PageCommit {
            answered_at: NOW + Duration::seconds(answered_after),
            latest_at: NOW + Duration::seconds(answered_after),
            ..work.page(number, rows.to_vec())
        };
        (
            self.postgres.commit_page(&page(&self.work)).await.unwrap(),
            self.memory.commit_page(&page(&self.work_in_memory)).await.unwrap(),
        )
    }

    /// Which payload is stored under each id that begins so.
    async fn payloads(&self, prefix: &str) -> BTreeMap<String, String> {
        let stored = "SELECT id, payload::text FROM raw.qb_invoices WHERE starts_with(id, $1)";
        let rows = connection(&self.database).await.query(stored, &[&prefix]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

/// A version: when it was changed, how often, and when it was sent.
type Version = (Option<i64>, Option<i64>, i64);

fn version() -> impl Strategy<Value = Version> {
    (prop::option::of(0_i64..3), prop::option::of(-1_i64..12), 0_i64..3)
}

fn versioned(id: &str, (updated, token, answered): Version) -> Row {
    Row {
        updated_at: updated.map(|hours| window().start() + Duration::hours(hours)),
        updated_on: None,
        sync_token: token,
        ..row(
            id,
            &format!("[{updated:?}, {token:?}, {answered}]")
                .replace("None", "null")
                .replace("Some(", "[")
                .replace(')', "]"),
        )
    }
}

/// What the guard compares.
fn order((updated, token, answered): Version) -> (Option<i64>, i64, i64) {
    (updated, token.unwrap_or(-1), answered)
}

#[test]
fn the_guard_in_sql_and_the_guard_in_rust_choose_the_same_version() {
    // Forty pairs a case: ten thousand with the usual number of cases.
    let pairs = prop::collection::vec((version(), version()), 40);
    over_one_database((pairs, 0_i64..3, 0_i64..3), async |world, case, (pairs, first_sent, then_sent)| {
        let rows = |sent: i64, pick: fn(&(Version, Version)) -> Version| -> Vec<Row> {
            let row = |(place, pair)| {
                let (updated, token, _) = pick(pair);
                versioned(&format!("{case}-{place:02}"), (updated, token, sent))
            };
            pairs.iter().enumerate().map(row).collect()
        };
        let (first, then) = (rows(first_sent, |pair| pair.0), rows(then_sent, |pair| pair.1));
        let (in_sql, in_rust) = world.land(2 * case, first_sent, &first).await;
        prop_assert_eq!(in_sql, in_rust);
        let (in_sql, in_rust) = world.land(2 * case + 1, then_sent, &then).await;
        prop_assert_eq!(in_sql, in_rust);
        let stored = world.payloads(&format!("{case}-")).await;
        let in_memory = world.memory.rows(&world.work_in_memory.pipeline.table);
        for (place, (before, after)) in pairs.iter().enumerate() {
            let id = format!("{case}-{place:02}");
            let expected = if order((before.0, before.1, first_sent)) <= order((after.0, after.1, then_sent))
            {
                &then[place]
            } else {
                &first[place]
            };
            prop_assert_eq!(stored[&id].as_bytes(), &*expected.payload);
            prop_assert_eq!(&in_memory[&id].payload, &expected.payload);
        }
        Ok(())
    });
}

#[test]
fn versions_come_to_the_same_in_every_order_and_as_often_as_they_like() {
    // A version is one payload: QuickBooks answers from one state at a time.
    let order_of_arrival = Just(vec![0_usize, 1, 2, 0, 1, 2]).prop_shuffle();
    let cases = (prop::collection::vec((version(), version(), version()), 8), order_of_arrival);
    over_one_database(cases, async |world, case, (records, arrivals)| {
        let id = |place: usize| format!("{case}-{place}");
        for (step, which) in arrivals.iter().enumerate() {
            for sent in 0..3 {
                let arriving =
                    records.iter().enumerate().map(|(place, (a, b, c))| (place, [*a, *b, *c][*which]));
                let arriving = arriving.filter(|(_, version)| version.2 == sent);
                let rows: Vec<_> = arriving.map(|(place, version)| versioned(&id(place), version)).collect();
                let number = case * 100 + u32::try_from(step).unwrap() * 3 + u32::try_from(sent).unwrap();
                world.land(number, sent, &rows).await;
            }
        }
        let stored = world.payloads(&format!("{case}-")).await;
        for (place, (a, b, c)) in records.into_iter().enumerate() {
            let newest = [a, b, c].into_iter().max_by_key(|version| order(*version)).unwrap();
            // No sync token is the same as the lowest one: then either may be there.
            let equal = [a, b, c].into_iter().filter(|version| order(*version) == order(newest));
            let payloads: Vec<_> = equal.map(|version| versioned("", version).payload).collect();
            prop_assert!(payloads.iter().any(|payload| *payload == stored[&id(place)].as_bytes()));
        }
        Ok(())
    });
}

/// JSON as a source may write it: numbers of any length, every escape, spaces anywhere.
fn json() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?";
    let text = prop_oneof![
        "[^\"\\\\\u{0}-\u{1f}]{0,12}",
        "(\\\\[\"\\\\/bfnrt]|\\\\u00[1-7][0-9a-fA-F]|\\\\ud83d\\\\ude00|[a-zé😀]){0,8}",
    ];
    let text = text.prop_map(|inner| format!("\"{inner}\"")).boxed();
    let leaf = prop_oneof![number, text.clone(), Just("null".to_owned()), Just("true".to_owned())];
    leaf.prop_recursive(12, 60, 6, move |inner| {
        let space = "[ \n\t]{0,2}";
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..6), space)
                .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(&format!("{space},")))),
            (prop::collection::vec((text.clone(), inner), 0..6), space).prop_map(|(members, space)| {
                let members: Vec<_> =
                    members.iter().map(|(name, value)| format!("{name}{space}:{value}")).collect();
                format!("{{{space}{}{space}}}", members.join(","))
            }),
        ]
    })
}

/// A JSON text in one spelling, with exact numbers: written for this test, and for nothing else.
fn canonical(text: &str) -> String {
    let inner = |raw: &RawValue| canonical(raw.get());
    match text.as_bytes()[0] {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap();
            let members = members.into_iter().map(|(name, value)| format!("{name:?}:{}", inner(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).unwrap();
            format!("[{}]", items.into_iter().map(inner).collect::<Vec<_>>().join(","))
        }
        b'"' => format!("{:?}", serde_json::from_str::<String>(text).unwrap()),
        b't' | b'f' | b'n' => text.to_owned(),
        _ => decimal(text),
    }
}

/// Sign, digits without zeros at either end, and the power of ten of the last one.
fn decimal(number: &str) -> String {
    let (sign, rest) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (digits, power) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let power = power.parse::<i64>().unwrap() - i64::try_from(fraction.len()).unwrap();
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let short = digits.trim_end_matches('0');
    if short.is_empty() {
        return "0".into();
    }
    format!("{sign}{short}e{}", power + i64::try_from(digits.len() - short.len()).unwrap())
}

#[test]
fn a_document_is_read_back_as_it_was_sent() {
    let documents = prop::collection::vec(json(), 1..12);
    over_one_database(documents, async |world, case, documents| {
        let id = |place: usize| format!("{case}-{place:02}");
        let rows = documents.iter().enumerate().map(|(place, text)| row(&id(place), text));
        let rows: Vec<_> = rows.collect();
        let page = world.work.page(case, rows);
        let outcome = world.postgres.commit_page(&page).await.unwrap();
        prop_assert_eq!(outcome.total.inserted, documents.len() as u64);
        let stored = world.payloads(&format!("{case}-")).await;
        for (place, text) in documents.iter().enumerate() {
            prop_assert_eq!(canonical(text), canonical(&stored[&id(place)]), "{}", text);
        }
        Ok(())
    });
}

/// An id that only an index refuses: too long for an entry, and of a kind that does not compress.
fn refused_id(seed: usize) -> String {
    let mut state = u32::try_from(seed).unwrap() + 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_string()
    };
    (0..1000).map(|_| next()).collect()
}

#[test]
fn exactly_the_records_that_the_server_refuses_are_put_aside() {
    let page = prop::collection::vec(prop::bool::weighted(0.1), 1..80);
    over_one_database(page, async |world, case, refused| {
        let id = |place: usize| {
            if refused[place] { refused_id(place) } else { format!("{case}-{place:02}") }
        };
        // Different bytes each time: what is known in quarantine is kept once.
        let rows = (0..refused.len()).map(|place| row(&id(place), &format!("[{case}, {place}]")));
        let outcome = world.postgres.commit_page(&world.work.page(case, rows.collect())).await.unwrap();
        let bad = refused.iter().filter(|refused| **refused).count() as u64;
        let counts = WindowCounts {
            inserted: refused.len() as u64 - bad,
            quarantined: bad,
            ..WindowCounts::default()
        };
        prop_assert_eq!(outcome.total, counts);
        let stored: BTreeSet<_> = world.payloads(&format!("{case}-")).await.into_keys().collect();
        let expected = (0..refused.len()).filter(|place| !refused[*place]).map(id).collect();
        prop_assert_eq!(stored, expected);
        Ok(())
    });
}

#[test]
fn the_ledger_says_what_a_recount_says() {
    let record = (0_u32..30, 0_u32..3, prop::bool::weighted(0.2));
    let page = prop::collection::vec(record, 0..20);
    over_one_database(page, async |world, case, records| {
        let mut page = world.work.page(case, Vec::new());
        let distinct: BTreeMap<_, _> =
            records.into_iter().map(|(id, value, bad)| (id, (value, bad))).collect();
        for (id, (value, bad)) in distinct {
            let id = id.to_string();
            if bad {
                let raw = format!("{{{case}-{id}").into_bytes().into();
                page.rejected.push(RejectedRow {
                    id: Some(id.into()),
                    raw,
                    reason: "false".into(),
                    window: 0,
                });
            } else {
                page.rows.push(row(&id, &format!("{{\"value\":{value}}}")));
            }
        }
        world.postgres.commit_page(&page).await.unwrap();

        let line = world.postgres.lines(&LogFilter::default()).await.unwrap().remove(0).metrics;
        let run = world.postgres.run(&world.work.run).await.unwrap().unwrap();
        let totals = run.pipelines[0].counts;
        let recount = "SELECT sum(records_inserted)::bigint, sum(records_updated)::bigint, sum(records_unchanged)::bigint,
                sum(records_quarantined)::bigint, count(*), (SELECT count(*) FROM raw.qb_invoices),
                (SELECT count(*) FROM raw.quarantine)
             FROM raw.backfill_page";
        let counted = connection(&world.database).await.query_one(recount, &[]).await.unwrap();
        let counted: Vec<u64> = (0..7).map(|column| counted.get::<_, i64>(column).unsigned_abs()).collect();
        let of_line =
            [line.records_inserted, line.records_updated, line.records_unchanged, line.records_quarantined];
        prop_assert_eq!(&of_line, &counted[..4]);
        prop_assert_eq!([totals.inserted, totals.updated, totals.unchanged, totals.quarantined], of_line);
        prop_assert_eq!(line.records_read, counted[..4].iter().sum::<u64>());
        prop_assert_eq!(run.pipelines[0].pages, counted[4]);
        prop_assert_eq!((line.records_inserted, line.records_quarantined), (counted[5], counted[6]));
        Ok(())
    });
}
