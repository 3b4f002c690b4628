//! What a fleet costs on this machine: `cargo bench --bench fleet -- --help`. Prints the figures of docs/scale.md.

#![expect(clippy::print_stdout, reason = "it prints figures")]
#![expect(clippy::unwrap_used, reason = "it stands where it is if a figure cannot be had")]

#[path = "../tests/fleet/house.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod house;

use std::process::Child;
use std::time::Duration;

use clap::Parser;
use deadpool_postgres::{Manager, Pool};
use fixtures::{CallKind, Fault, Rule, Shape};
use graphile_worker::{IntoTaskHandlerResult, JobSpec, TaskHandler, Worker, WorkerContext};
use qbo_auth::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};
use tokio_postgres::NoTls;

use crate::house::{House, LOOK, PIPELINES, signal, wait};

/// How many jobs are worked off that do nothing.
const NOTHINGS: usize = 2000;

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value_t = 50)]
    companies: usize,
    /// Invoices of each; a quarter as many customers, and a tenth as many items.
    #[arg(long, default_value_t = 24)]
    invoices: usize,
    #[arg(long, default_value_t = 3)]
    workers: usize,
    /// Jobs at a time of each worker.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// How long the emulators wait with every answer, in milliseconds.
    #[arg(long, default_value_t = 150)]
    latency: u64,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A job that does nothing: what is left is what the queue costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Nothing {}

impl TaskHandler for Nothing {
    const IDENTIFIER: &'static str = "nothing";

    async fn run(self, _: WorkerContext) -> impl IntoTaskHandlerResult {
        Ok::<(), String>(())
    }
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let Arguments { companies, invoices, workers, jobs, latency, .. } = arguments;
    let house =
        House::new(&Shape::default().with_counts(invoices, invoices / 4, invoices / 10), companies).await;
    for company in &house.companies {
        for kind in [CallKind::Query, CallKind::Count, CallKind::Token] {
            company.faults().push(Rule::on(kind, Fault::Delay(Duration::from_millis(latency))).always());
        }
    }
    println!("{companies} companies of {} records, {} pipelines each", invoices * 135 / 100, PIPELINES.len());
    println!("{workers} workers of {jobs} jobs at a time, {latency} ms for every answer");
    backfill(&house, &arguments, "first").await;
    backfill(&house, &arguments, "again").await;
    for company in &house.companies {
        assert_eq!(company.violations(), 0, "the limits of the API were passed");
    }
    let schema = house::schema(&house.companies[0]);
    let relations = format!("SELECT count(*) FROM pg_class WHERE relnamespace = '{schema}'::regnamespace");
    println!("{} relations in the schema of a company", house.number(&relations).await);
    nothings(&house, jobs).await;
}

/// Works all jobs off, and says what it cost.
async fn backfill(house: &House, arguments: &Arguments, what: &str) {
    let clock = SystemClock::new();
    house.enqueue().await;
    let jobs = arguments.companies * PIPELINES.len();
    println!("{what}: enqueued {jobs} jobs in {:.2} s", clock.elapsed().as_secs_f64());
    let server = postmaster(house).await;
    let (clock, asked, before) = (SystemClock::new(), calls(house), seconds_of_processor(server, true));
    let at_a_time = arguments.jobs.to_string();
    let workers: Vec<_> = (0..arguments.workers).map(|_| house.worker(&["--jobs", &at_a_time])).collect();
    let mut connections = 0;
    while house.number("SELECT count(*) FROM fleet_queue.jobs").await > 0 {
        // All but the one that asks.
        let open = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()";
        connections = connections.max(house.number(open).await);
        clock.sleep(LOOK).await;
    }
    let seconds = clock.elapsed().as_secs_f64();
    let resident: Vec<_> = workers.iter().map(|worker| figure(worker, "status", "VmHWM:") / 1024).collect();
    let processor: f64 = workers.iter().map(|worker| seconds_of_processor(worker.id(), false)).sum();
    for worker in workers {
        signal(&worker, "-TERM");
        wait(worker).await;
    }
    let database = seconds_of_processor(server, true) - before;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (companies, jobs) = (arguments.companies as f64, jobs as f64);
    println!("{what}: {seconds:.1} s, {:.0} companies a minute", companies * 60.0 / seconds);
    println!("{what}: {} calls, {connections} connections at most", calls(house) - asked);
    let each = |seconds: f64| seconds * 1000.0 / jobs;
    println!(
        "{what}: a job takes {:.0} ms of processor in the workers, {:.0} in PostgreSQL",
        each(processor),
        each(database)
    );
    println!("{what}: at most {resident:?} MiB resident in a worker");
}

/// Works off jobs that do nothing, in as many lines as there are companies.
async fn nothings(house: &House, at_a_time: usize) {
    let manager = Manager::new(house.database.config(), NoTls);
    let pool = Pool::builder(manager).max_size(at_a_time).build().unwrap();
    let options = Worker::options().database(pool).schema("fleet_queue").concurrency(at_a_time);
    let worker = options.define_job::<Nothing>().init().await.unwrap();
    let (utils, clock) = (worker.create_utils(), SystemClock::new());
    for number in 0..NOTHINGS {
        let line = format!("line {}", number % house.companies.len());
        let spec =
            JobSpec { queue_name: Some(line), job_key: Some(number.to_string()), ..JobSpec::default() };
        utils.add_job(Nothing {}, spec).await.unwrap();
    }
    let added = clock.elapsed();
    worker.run_once().await.unwrap();
    let worked = clock.elapsed().saturating_sub(added);
    let each = |time: Duration| time.as_secs_f64() * 1000.0 / f64::from(u32::try_from(NOTHINGS).unwrap());
    println!("queue: {:.2} ms to add a job, {:.2} ms to take it and to end it", each(added), each(worked));
}

/// A figure of a process, as Linux tells it in a file of its own.
fn figure(child: &Child, file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    value.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// How long a process has used a processor, in seconds; with the processes that it has seen end, if `children`.
fn seconds_of_processor(process: u32, children: bool) -> f64 {
    // User, system, and the same of children, in hundredths of a second.
    let ticks = fields(process).into_iter().skip(11).take(if children { 4 } else { 2 });
    f64::from(ticks.map(|ticks| ticks.parse::<u32>().unwrap()).sum::<u32>()) / 100.0
}

/// What Linux tells of a process, from its state on.
fn fields(process: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    text.rsplit_once(')').unwrap().1.split_whitespace().map(str::to_owned).collect()
}

/// The parent of the database's processes.
async fn postmaster(house: &House) -> u32 {
    let session = house.number("SELECT pg_backend_pid()::bigint").await;
    fields(u32::try_from(session).unwrap())[1].parse().unwrap()
}

/// How many calls were made to all companies.
fn calls(house: &House) -> usize {
    house.companies.iter().map(|company| company.journal().metered()).sum()
}
