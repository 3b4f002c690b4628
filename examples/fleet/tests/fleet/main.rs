//! The fleet as its users run it: the real binary, several of it, killed at random.

#![expect(clippy::unwrap_used, reason = "a test ends where a step of it does not succeed")]

mod house;

use std::time::Duration;

use fixtures::{CallKind, Fault, Gate, Rule, Shape};
use qbo_auth::{Clock as _, SystemClock};

use crate::house::{House, LOOK, PIPELINES, signal, wait};

/// The companies, the workers, and how often one of these dies.
const COMPANIES: usize = 50;
const WORKERS: usize = 3;
const KILLS: usize = 12;

/// How long the emulators wait with every answer.
const FAR: Duration = Duration::from_millis(100);

fn shape() -> Shape {
    Shape::default().with_counts(24, 8, 4).with_bulk_import(3)
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_companies_are_read_once_by_three_workers_that_are_killed_over_and_over() {
    let house = House::new(&shape(), COMPANIES).await;
    // Far away, as QuickBooks is: most workers die while they wait for an answer.
    for company in &house.companies {
        for kind in [CallKind::Query, CallKind::Count, CallKind::Token] {
            company.faults().push(Rule::on(kind, Fault::Delay(FAR)).always());
        }
    }
    let jobs = COMPANIES * PIPELINES.len();
    assert_eq!(house.enqueue().await, format!("{jobs} jobs added, 0 were there, 0 tried again\n"));
    assert_eq!(house.enqueue().await, format!("0 jobs added, {jobs} were there, 0 tried again\n"));
    house.keep_books().await;

    let mut workers: Vec<_> = (0..WORKERS).map(|_| house.worker(&["--dead-after", "3"])).collect();
    let (clock, mut random) = (SystemClock::new(), fastrand::Rng::with_seed(7));
    let (mut killed, mut next) = (0, 4);
    loop {
        let left = house.number("SELECT count(*) FROM fleet_queue.jobs").await;
        if left == 0 {
            break;
        }
        // After some jobs more, not after some time: the machine may be slow.
        if killed < KILLS && jobs - left >= next {
            next += random.usize(2..=16);
            let victim = &mut workers[random.usize(..WORKERS)];
            victim.kill().unwrap();
            victim.wait().unwrap();
            *victim = house.worker(&["--dead-after", "3"]);
            killed += 1;
        }
        clock.sleep(LOOK).await;
    }
    assert_eq!(killed, KILLS);
    for worker in workers {
        signal(&worker, "-TERM");
        wait(worker).await;
    }

    let done = "SELECT count(*) FROM books.done";
    let keys = "SELECT count(DISTINCT key) FROM books.done";
    assert_eq!((house.number(done).await, house.number(keys).await), (jobs, jobs));
    let taken_over = "SELECT count(*) FROM books.done WHERE last_error LIKE 'Job recovered%'";
    assert!(house.number(taken_over).await > 0, "no worker died over a job");
    assert_eq!(house.number("SELECT count(*) FROM books.together").await, 0, "two jobs of one company");
    for company in &house.companies {
        house.expect_whole(company).await;
    }
    house.expect_no_secrets().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_commits_its_page_and_the_next_one_goes_on() {
    let house = House::new(&Shape::default().with_counts(3000, 4, 4), 1).await;
    let company = &house.companies[0];
    // The third page is held; by then the first is committed.
    let gate = Gate::new();
    let held = Rule::on(CallKind::Query, Fault::Held(gate.clone())).containing("FROM Invoice").after(2);
    company.faults().push(held);
    house.enqueue().await;
    let worker = house.worker(&[]);
    gate.arrived().await;
    let three = PIPELINES.len();
    assert_eq!(house.enqueue().await, format!("0 jobs added, {three} were there, 0 tried again\n"));
    signal(&worker, "-TERM");
    wait(worker).await;
    gate.open();

    let waiting = "SELECT count(*) FROM fleet_queue.jobs WHERE key LIKE '%/qb_invoices_backfill/%' \
                   AND attempts = 0 AND locked_at IS NULL AND run_at <= now()";
    assert_eq!(house.number(waiting).await, 1, "it is there for the next one at once");
    let schema = house::schema(company);
    let landed = house.number(&format!("SELECT count(*) FROM {schema}.qb_invoices")).await;
    assert!((999..3000).contains(&landed), "{landed} rows landed");

    wait(house.worker(&["--until-empty"])).await;
    house.expect_whole(company).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_that_cannot_be_read_keeps_no_other_waiting_and_enqueueing_it_again_tries_again() {
    let house = House::new(&shape(), 2).await;
    let [ill, well] = &house.companies[..] else { unreachable!() };
    ill.revoke_grant();
    house.enqueue().await;
    let worker = house.worker(&[]);
    let (clock, three) = (SystemClock::new(), PIPELINES.len());
    let left = "SELECT count(*) FROM fleet_queue.jobs WHERE last_error IS NULL OR queue_name LIKE '%2'";
    while house.number(left).await > 0 {
        clock.sleep(LOOK).await;
    }
    house.expect_whole(well).await;
    signal(&worker, "-TERM");
    wait(worker).await;
    let waits =
        "SELECT count(*) FROM fleet_queue.jobs WHERE attempts > 0 AND last_error LIKE '%invalid_grant%'";
    assert_eq!(house.number(waits).await, three, "{:?}", house.errors().await);

    house.give_up().await;
    let again = format!("{three} jobs added, 0 were there, {three} tried again\n");
    assert_eq!(house.enqueue().await, again);
    let waits = "SELECT count(*) FROM fleet_queue.jobs WHERE attempts = 0 AND run_at <= now()";
    assert_eq!(house.number(waits).await, 2 * three);
}
