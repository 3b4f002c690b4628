//! Many companies: a job per company and pipeline in a queue in PostgreSQL, and as many workers as there are.

mod backfill;
mod company;
mod queue;
mod roster;
mod vaults;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use backfill_core::{CancellationToken, Catalog, ChunkSize};
use clap::{Parser, Subcommand};
use raw_store::{OffsetDateTime, Window};
use time::Date;
use time::format_description::well_known::{Iso8601, Rfc3339};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::backfill::Backfill;
use crate::queue::{Queue, WorkerSettings};
use crate::roster::Roster;

#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// The file that says which companies there are, and where everything is.
    #[arg(long, global = true, default_value = "fleet.toml")]
    roster: PathBuf,
    /// What is logged on stderr: a word such as `info`, or directives such as `warn,fleet=debug`.
    #[arg(long, global = true, default_value = "warn,fleet=info")]
    log_level: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Puts a job per company and pipeline into the queue. One that is there already stays as it is; one that was given up
    /// gets its attempts back.
    Enqueue {
        /// Pipelines by any name of theirs, or `all`, `transactions`, `lists`.
        #[arg(required = true)]
        pipelines: Vec<String>,
        /// From when on, such as 2024-01-01 or 2024-01-01T05:00:00Z.
        #[arg(long, value_parser = instant)]
        from: OffsetDateTime,
        /// Until when, exclusive.
        #[arg(long, value_parser = instant)]
        to: OffsetDateTime,
        /// How long a window is: day, week, month, quarter, year, whole.
        #[arg(long, default_value = "day")]
        chunk: ChunkSize,
    },
    /// Works jobs off until it is told to stop (SIGTERM, SIGINT): the page in hand of each is committed, and they go back
    /// into the queue. Start as many as there are processors, on as many hosts as there are.
    Worker {
        /// How many jobs at a time.
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
        jobs: u16,
        /// After how many seconds without a heartbeat the jobs of a worker are another's.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
        dead_after: u64,
        /// Ends when no job is left that would still be tried.
        #[arg(long)]
        until_empty: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::new(&arguments.log_level);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let roster = Roster::read(&arguments.roster)?;
    match arguments.command {
        Command::Enqueue { pipelines, from, to, chunk } => {
            let span = Window::new(from, to).context("--from is not before --to")?;
            let pipelines = Catalog::bundled().select(pipelines.iter().map(String::as_str))?;
            let queue = Queue::open(&roster).await?;
            let jobs = roster.companies.keys().flat_map(|realm| {
                pipelines.iter().map(|spec| Backfill::new(realm.as_str(), spec.pipeline_name(), span, chunk))
            });
            let added = queue.add(jobs).await?;
            say(&format!(
                "{} jobs added, {} were there, {} tried again",
                added.new, added.there, added.revived
            ));
        }
        Command::Worker { jobs, dead_after, until_empty } => {
            let stop = CancellationToken::new();
            listen(&stop)?;
            let settings = WorkerSettings { jobs, dead_after: Duration::from_secs(dead_after), until_empty };
            Queue::open(&roster).await?.work(roster, settings, stop).await?;
        }
    }
    Ok(())
}

/// A signal ends cleanly, and soon. Another one changes nothing: a refresh may be under way, and its token is to be kept.
fn listen(stop: &CancellationToken) -> anyhow::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut arrivals = signal(kind).context("this process cannot listen for signals")?;
        let stop = stop.clone();
        tokio::spawn(async move {
            arrivals.recv().await;
            tracing::info!("stopping: the pages in hand are committed first");
            stop.cancel();
        });
    }
    Ok(())
}

fn instant(text: &str) -> Result<OffsetDateTime, String> {
    let whole_day = Date::parse(text, &Iso8601::DATE).map(|date| date.midnight().assume_utc());
    whole_day
        .or_else(|_| OffsetDateTime::parse(text, &Rfc3339))
        .map_err(|_| "use 2026-01-31 or 2026-01-31T00:00:00Z".to_owned())
}

/// What was asked for, on stdout.
#[expect(clippy::print_stdout, reason = "it is a command")]
fn say(line: &str) {
    println!("{line}");
}
