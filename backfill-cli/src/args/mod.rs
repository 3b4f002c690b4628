//! The command line: every command, option and help text. An argument is only parsed here; nothing is computed from it.

pub(crate) mod console;
pub(crate) mod manual;
pub(crate) mod secret_args;
pub(crate) mod words;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use backfill_core::{Axis, ChunkSize};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use qbo_auth::{Environment, RealmId, RedirectUrl, SecretName};
use qbo_client::PageSize;
use raw_store::{RunId, SchemaName, TriggerName, ViewSet, WindowSelection, WindowState};
use serde_json::json;
use time::OffsetDateTime;

use crate::args::words::{
    AXES, CHUNKS, LEVELS, SELECTIONS, STATES, mend_bash, mend_fish, one_of, with_pipelines,
};
use crate::instant;
use crate::output::exit::{DONE, Exit};
use crate::output::print;
use crate::output::print::{out_document, out_json};

/// Seconds to wait for a pipeline that another process holds: longer than the lease of a frozen process lasts.
const WAIT: u64 = 90;

/// Bring a QuickBooks Online company's history into PostgreSQL: complete, as QuickBooks sent it, and proven.
#[derive(Debug, Parser)]
#[command(name = "qbo-backfill", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Try it without any configuration:\n  qbo-backfill demo\n\nYour own company:\n  \
    qbo-backfill secrets init\n  qbo-backfill secrets set QBO_CLIENT_ID\n  qbo-backfill secrets set QBO_CLIENT_SECRET\n  \
    qbo-backfill auth login\n  \
    qbo-backfill run Invoice Customer Item --from 2025-01-01 --to 2026-01-01\n\nTo resume, run the same command again.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Settings file (TOML, without secrets) [default: ./qbo-backfill.toml, then the user's config folder]
    #[arg(long, global = true, value_name = "FILE", env = "QBO_BACKFILL_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Profile of the settings file; each profile is one company [default: the profile `default`]
    #[arg(long, global = true, value_name = "NAME", env = "QBO_BACKFILL_PROFILE", hide_env_values = true)]
    pub(crate) profile: Option<String>,
    /// QuickBooks environment, sandbox or production; decides API and token hosts together [default: sandbox]
    #[arg(long, global = true, value_name = "ENV", env = "QBO_BACKFILL_ENVIRONMENT", hide_env_values = true, value_parser = one_of::<Environment>(Environment::ALL.map(Environment::as_str)), hide_possible_values = true)]
    pub(crate) environment: Option<Environment>,
    /// Company id (realm); must match the vault and the schema
    #[arg(long, global = true, value_name = "ID", env = "QBO_BACKFILL_REALM", hide_env_values = true)]
    pub(crate) realm: Option<RealmId>,
    /// Database, as postgres://user@host:port/db?sslmode=… without a password [default: a private PostgreSQL]
    #[arg(long, global = true, value_name = "URL", env = "QBO_BACKFILL_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Database schema; each schema holds one company [default: raw]
    #[arg(long, global = true, value_name = "NAME", env = "QBO_BACKFILL_SCHEMA", hide_env_values = true)]
    pub(crate) schema: Option<SchemaName>,
    /// Encrypted store of secrets: a file, or `postgres` to share it between hosts through the database
    /// [default: a file in the user's data folder]
    #[arg(
        long,
        global = true,
        value_name = "FILE|postgres",
        env = "QBO_BACKFILL_VAULT",
        hide_env_values = true
    )]
    pub(crate) vault: Option<PathBuf>,
    /// Key file of the vault [default: in the user's data folder]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "QBO_BACKFILL_VAULT_KEY_FILE",
        hide_env_values = true
    )]
    pub(crate) vault_key_file: Option<PathBuf>,
    /// Secrets for this process only: `stdin` (one JSON object on its first line), or a folder with one file per secret
    #[arg(long, global = true, value_name = "stdin|DIR")]
    pub(crate) secrets: Option<PathBuf>,
    /// Stop cleanly, with exit code 130, when stdin ends because the parent process is gone (run, retry, verify,
    /// attachments)
    #[arg(long, global = true, value_enum, value_name = "stdin")]
    pub(crate) lifeline: Option<Lifeline>,
    /// API of an emulator; loopback addresses only
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) api_url: Option<String>,
    /// Token service of an emulator; loopback addresses only
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) oauth_url: Option<String>,
    /// API calls per minute, or `off`; more than 500 only with --api-url [default: 500]
    #[arg(long, global = true, value_name = "N|off")]
    pub(crate) rate: Option<Rate>,
    /// API calls per month (UTC) over all processes of the company, or `off` for no limit [default: 500000, the
    /// allowance of Intuit's Builder tier]
    #[arg(long, global = true, value_name = "N|off")]
    pub(crate) monthly_calls: Option<Allowance>,
    /// Custom fields of the records: all, or some, which are the few that QuickBooks sends unasked [default: all]
    #[arg(long, global = true, value_enum, value_name = "all|some", hide_possible_values = true)]
    pub(crate) custom_fields: Option<CustomFields>,
    /// Format of results; with json, runs write NDJSON events
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Log level: off, error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn", ignore_case = true, value_parser = LEVELS, hide_possible_values = true)]
    pub(crate) log_level: String,
    /// Format of the log on stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Colours; auto uses them on a terminal, unless `NO_COLOR` or TERM=dumb is set
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// Print plain lines instead of a progress bar
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// Do not ask for confirmation; assume yes
    #[arg(long, global = true)]
    pub(crate) yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

/// Which custom fields of the records are requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CustomFields {
    All,
    Some,
}

/// The stream whose end tells that the parent process is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lifeline {
    Stdin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    Off,
    PerMinute(u32),
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) | Err(_) if text != "off" => Err("give calls per minute, at least 1, or off".into()),
            Ok(calls) => Ok(Self::PerMinute(calls)),
            Err(_) => Ok(Self::Off),
        }
    }
}

/// The calls allowed per month; `None` means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance(pub(crate) Option<u64>);

impl std::str::FromStr for Allowance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) | Err(_) if text != "off" => Err("give calls per month, at least 1, or off".into()),
            Ok(calls) => Ok(Self(Some(calls))),
            Err(_) => Ok(Self(None)),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Backfill the windows of a range that are not completed yet
    Run(RunArgs),
    /// Show windows, scans and the estimated API calls, without calling QuickBooks
    Plan(RunArgs),
    /// Show how far each pipeline is
    Status(StatusArgs),
    /// List the runs so far
    Runs(RunsArgs),
    /// Show the final report of a run, rebuilt from the log
    Report(ReportArgs),
    /// Stop a run from another terminal, after its current page
    Cancel {
        /// Run id, its first characters, or `latest`
        run: RunId,
    },
    /// Read windows again: those that failed, or those that contain an instant
    Retry(RetryArgs),
    /// Compare the stored records with QuickBooks, one by one; changes nothing by default
    Verify(VerifyArgs),
    /// Download the files of attachments, whose records `run Attachable` has read
    #[command(subcommand)]
    Attachments(Attachments),
    /// Find out with small questions what QuickBooks accepts for the company, and write it without any data of the company
    Probe(ProbeArgs),
    /// Compare QuickBooks' own reports with what is stored: what is missing, and what no entity returns
    Reconcile(ReconcileArgs),
    /// Manage one-time triggers: runs that a worker starts once, at a stated time
    #[command(subcommand)]
    Trigger(Trigger),
    /// Wait for due triggers, and start each one's run once
    Worker(WorkerArgs),
    /// Open pages in the browser that show what is there, what is missing and what runs, with a worker inside
    Console(console::ConsoleArgs),
    /// Ask a worker on this machine whether it is well; exit code 6 if it is not, or if there is none
    Health(HealthArgs),
    /// Handle records that could not be stored, or that QuickBooks could not deliver
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Create, check and show the schema in the database, or open psql
    #[command(subcommand)]
    Db(Db),
    /// Install, show and drop views of a shape that other programs read, over the raw tables
    #[command(subcommand)]
    Views(Views),
    /// Manage the vault, the encrypted store of secrets
    #[command(subcommand)]
    Secrets(Secrets),
    /// Get, show, refresh and revoke the company's consent
    #[command(subcommand)]
    Auth(Auth),
    /// Check configuration, vault, database, consent and clock; each problem comes with its remedy
    Doctor(DoctorArgs),
    /// List the entities that can be backfilled
    Entities,
    /// Run a whole backfill on an emulated company and a private PostgreSQL
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Print the completion script of a shell
    Completions {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
    /// Write the manual pages of all commands into a folder
    Manual {
        /// Folder for the pages
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
}

#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  qbo-backfill run Invoice Customer Item --from 2025-01-01 --to 2026-01-01\n  \
    qbo-backfill run all --from 2020-01-01 --to 2026-01-01 --chunk month \\\n      --output json\n  \
    qbo-backfill run qb_invoices_backfill --fecha-inicio 2026-01-01T00:00:00Z \\\n      --fecha-fin 2026-02-01T00:00:00Z"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub(crate) struct RunArgs {
    /// Pipelines (`qb_invoices_backfill`), entities (`Invoice`), or all, transactions, lists
    #[arg(required = true, value_name = "PIPELINE", value_delimiter = ',')]
    pub(crate) pipelines: Vec<String>,
    /// Start of the range (inclusive): 2026-01-31 (midnight UTC), or ISO 8601 with Z or an offset
    #[arg(long, aliases = ["fecha-inicio", "fecha_inicio"], value_name = "T", value_parser = instant::parse, allow_hyphen_values = true)]
    pub(crate) from: OffsetDateTime,
    /// End of the range (exclusive), written like --from
    #[arg(long, aliases = ["fecha-fin", "fecha_fin"], value_name = "T", value_parser = instant::parse, allow_hyphen_values = true)]
    pub(crate) to: OffsetDateTime,
    /// Window length: day, week, month, quarter, year or whole
    #[arg(long, default_value_t = ChunkSize::Day, value_parser = one_of::<ChunkSize>(CHUNKS), hide_possible_values = true)]
    pub(crate) chunk: ChunkSize,
    /// Time of a record that decides its window: updated, created or txn-date
    #[arg(long, default_value_t = Axis::Updated, value_parser = one_of::<Axis>(AXES), hide_possible_values = true)]
    pub(crate) by: Axis,
    /// Records per page, 1 to 1000
    #[arg(long, value_name = "N", default_value = "1000", value_parser = page_size)]
    pub(crate) page_size: PageSize,
    /// Concurrent API requests, 1 to 10; a free one takes over the later half of a long read
    #[arg(long, value_name = "N", default_value = "10", value_parser = concurrency)]
    pub(crate) concurrency: NonZeroUsize,
    /// Read completed windows again, too
    #[arg(long)]
    pub(crate) force: bool,
    /// Skip the closing count, except where an empty or short last page needs it; rarely saves a call
    #[arg(long)]
    pub(crate) no_count: bool,
    #[command(flatten)]
    pub(crate) settle: SettleArgs,
    /// Show what the run would read, as `plan` does, and stop there
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show the whole report with its tables at the end, instead of one paragraph
    #[arg(long)]
    pub(crate) details: bool,
    /// Seconds to wait for a pipeline that another process holds; 0 does not wait
    #[arg(long, value_name = "SECONDS", default_value_t = WAIT, value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub(crate) wait: u64,
    /// Seed of all random choices, to repeat a run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 53))]
    pub(crate) seed: Option<u64>,
}

/// Whether a run waits for windows that ended too near to now. Without either flag, the profile decides.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct SettleArgs {
    /// Wait until windows too near to now can be completed, however long that takes [default: if it takes ten minutes at most]
    #[arg(long, overrides_with = "no_settle")]
    pub(crate) settle: bool,
    /// Leave windows too near to now provisional, for a later run
    #[arg(long, overrides_with = "settle")]
    pub(crate) no_settle: bool,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["failed", "window"])))]
#[command(
    after_help = "Examples:\n  qbo-backfill retry --failed\n  qbo-backfill retry --window 2025-03-14 Invoice"
)]
pub(crate) struct RetryArgs {
    /// Only these pipelines [default: all]
    #[arg(value_name = "PIPELINE", value_delimiter = ',')]
    pub(crate) pipelines: Vec<String>,
    /// Read the windows that failed; each continues where it stopped
    #[arg(long)]
    pub(crate) failed: bool,
    /// Read the windows that contain this instant from their start, whatever their status
    #[arg(long, value_name = "T", value_parser = instant::parse, allow_hyphen_values = true)]
    pub(crate) window: Option<OffsetDateTime>,
    /// Show the whole report with its tables at the end, instead of one paragraph
    #[arg(long)]
    pub(crate) details: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  qbo-backfill verify Invoice\n  qbo-backfill verify all --output json\n  \
    qbo-backfill verify all --by-count --mark-gone\n  \
    qbo-backfill verify Invoice --from 2025-01-01 --to 2026-01-01 --repair"
)]
pub(crate) struct VerifyArgs {
    /// Pipelines (`qb_invoices_backfill`), entities (`Invoice`), or all, transactions, lists
    #[arg(required = true, value_name = "PIPELINE", value_delimiter = ',')]
    pub(crate) pipelines: Vec<String>,
    /// Start of the range of last updates to compare (inclusive) [default: all that the log says was read]
    #[arg(long, aliases = ["fecha-inicio", "fecha_inicio"], value_name = "T", value_parser = instant::parse, allow_hyphen_values = true, requires = "to")]
    pub(crate) from: Option<OffsetDateTime>,
    /// End of the range of last updates to compare (exclusive)
    #[arg(long, aliases = ["fecha-fin", "fecha_fin"], value_name = "T", value_parser = instant::parse, allow_hyphen_values = true, requires = "from")]
    pub(crate) to: Option<OffsetDateTime>,
    /// Read the windows again in which a record is missing or changed, and mark as --mark-gone does
    #[arg(long)]
    pub(crate) repair: bool,
    /// Count records in QuickBooks and rows, and read only the windows whose numbers differ: proves that no record left the
    /// completed windows, and says nothing of content that changed without a new time
    #[arg(long)]
    pub(crate) by_count: bool,
    /// Mark the rows whose records QuickBooks no longer has; the rows stay, and the mark goes when the record comes back
    #[arg(long)]
    pub(crate) mark_gone: bool,
    /// Records per page, 1 to 1000
    #[arg(long, value_name = "N", default_value = "1000", value_parser = page_size)]
    pub(crate) page_size: PageSize,
    /// Concurrent API requests, 1 to 10
    #[arg(long, value_name = "N", default_value = "10", value_parser = concurrency)]
    pub(crate) concurrency: NonZeroUsize,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  qbo-backfill reconcile --from 2025-01-01 --to 2026-01-01\n  \
    qbo-backfill reconcile --from 2025-01-01 --to 2026-01-01 --plan\n  \
    qbo-backfill reconcile --from 2025-01-01 --to 2026-01-01 --output json\n\nExit code 0 means that everything ties out, 3 \
    that something is missing or not explained.")]
pub(crate) struct ReconcileArgs {
    /// First day of the transactions to compare, such as 2025-01-01
    #[arg(long, aliases = ["fecha-inicio", "fecha_inicio"], value_name = "DATE", value_parser = instant::parse, allow_hyphen_values = true)]
    pub(crate) from: OffsetDateTime,
    /// Day after the last one (exclusive)
    #[arg(long, aliases = ["fecha-fin", "fecha_fin"], value_name = "DATE", value_parser = instant::parse, allow_hyphen_values = true)]
    pub(crate) to: OffsetDateTime,
    /// When the amounts of the trial balance count; with cash they are kept, and not compared, because the journal has no cash
    /// basis
    #[arg(long, value_enum, value_name = "accrual|cash", default_value_t = Basis::Accrual, hide_possible_values = true)]
    pub(crate) basis: Basis,
    /// Show the estimated API calls, and stop there
    #[arg(long)]
    pub(crate) plan: bool,
}

/// When amounts count: when they are owed, or when they are paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Basis {
    Accrual,
    Cash,
}

impl From<Basis> for qbo_client::Basis {
    fn from(basis: Basis) -> Self {
        match basis {
            Basis::Accrual => Self::Accrual,
            Basis::Cash => Self::Cash,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Attachments {
    /// Download every file that is missing from a folder. Files that are there with their recorded content are not fetched
    /// again
    Download(DownloadArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  qbo-backfill run Attachable --from 2015-01-01 --to 2026-01-01 --chunk year\n  \
    qbo-backfill attachments download receipts\n  \
    qbo-backfill attachments download /srv/books/files --output json"
)]
pub(crate) struct DownloadArgs {
    /// Folder for the files; created if it is missing
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Concurrent transfers, 1 to 10
    #[arg(long, value_name = "N", default_value = "4", value_parser = concurrency)]
    pub(crate) concurrency: NonZeroUsize,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  qbo-backfill probe\n  qbo-backfill probe --out answers.json --max-calls 60\n  \
    qbo-backfill probe --apply\n\nThe file has shapes, codes, counts and the keys of Intuit's documentation. Read it before you share it."
)]
pub(crate) struct ProbeArgs {
    /// File for the answers
    #[arg(long, value_name = "FILE", default_value = "qbo-probe.json")]
    pub(crate) out: PathBuf,
    /// The most API calls to make; questions beyond them are not asked
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) max_calls: u64,
    /// Add entries to the catalogue file of the profile, so that runs leave out what QuickBooks refuses
    #[arg(long)]
    pub(crate) apply: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Trigger {
    /// Arm a trigger, or a chain of them
    Add(TriggerAddArgs),
    /// List all triggers, and the time until each is due
    List,
    /// Show what happened to a trigger
    History {
        /// Name of the trigger
        name: TriggerName,
    },
    /// Cancel a trigger that has not fired, or stop its run after the current page
    Cancel {
        /// Name of the trigger, or of a chain
        name: TriggerName,
    },
    /// Arm a trigger again that has fired, expired or been cancelled
    Rearm {
        /// Name of the trigger
        name: TriggerName,
        #[command(flatten)]
        when: When,
    },
    /// Arm the `@once` triggers of a file that Mage has written; triggers that exist already stay as they are
    Apply {
        /// File of triggers, usually triggers.yaml
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// Also arm triggers that the file marks as inactive
        #[arg(long)]
        inactive: bool,
        /// Also arm triggers whose time has passed; they fire at once
        #[arg(long)]
        now: bool,
    },
}

#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  qbo-backfill trigger add qb_invoices_backfill --now \\\n      --from 2025-01-01 --to 2026-01-01\n  \
    qbo-backfill trigger add Invoice Customer Item --at 2099-02-02T03:00:00-05:00 \\\n      \
    --from 2020-01-01 --to 2026-01-01 --every year --name history\n\n\
    A trigger fires only while a worker runs: qbo-backfill worker"
)]
pub(crate) struct TriggerAddArgs {
    /// Pipelines (`qb_invoices_backfill`), entities (`Invoice`), or all, transactions, lists
    #[arg(required = true, value_name = "PIPELINE", value_delimiter = ',')]
    pub(crate) pipelines: Vec<String>,
    #[command(flatten)]
    pub(crate) when: When,
    /// Start of the range to read (inclusive): 2026-01-31 (midnight UTC), or ISO 8601 with Z or an offset
    #[arg(long, aliases = ["fecha-inicio", "fecha_inicio"], value_name = "T", value_parser = instant::parse, allow_hyphen_values = true)]
    pub(crate) from: OffsetDateTime,
    /// End of the range (exclusive), written like --from
    #[arg(long, aliases = ["fecha-fin", "fecha_fin"], value_name = "T", value_parser = instant::parse, allow_hyphen_values = true)]
    pub(crate) to: OffsetDateTime,
    /// Name of the trigger: letters, digits, dots, dashes and underscores [default: made from pipeline and time]
    #[arg(long)]
    pub(crate) name: Option<TriggerName>,
    /// Split the range into a chain of triggers: day, week, month, quarter or year. They run one after another, and
    /// a failure stops the chain
    #[arg(long, value_name = "CHUNK", value_parser = one_of::<ChunkSize>(CHUNKS), hide_possible_values = true)]
    pub(crate) every: Option<ChunkSize>,
    /// What happens if no worker runs at the trigger's time: run it late, or skip it
    #[arg(long, value_enum, default_value_t = Missed::Run)]
    pub(crate) if_missed: Missed,
    /// Window length: day, week, month, quarter, year or whole
    #[arg(long, default_value_t = ChunkSize::Day, value_parser = one_of::<ChunkSize>(CHUNKS), hide_possible_values = true)]
    pub(crate) chunk: ChunkSize,
    /// Time of a record that decides its window: updated, created or txn-date
    #[arg(long, default_value_t = Axis::Updated, value_parser = one_of::<Axis>(AXES), hide_possible_values = true)]
    pub(crate) by: Axis,
    /// Windows of the range to read: open (all that are not completed), failed (those that failed, and no others) or
    /// again (all of them, also completed ones). They are looked up when the trigger fires
    #[arg(long, value_name = "WHICH", default_value = "open", value_parser = one_of::<WindowSelection>(SELECTIONS), hide_possible_values = true)]
    pub(crate) windows: WindowSelection,
}

/// The time at which a trigger fires.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct When {
    /// Time to fire at: 2026-01-31 (midnight UTC), or ISO 8601 with Z or an offset
    #[arg(long, value_name = "T", value_parser = instant::parse, allow_hyphen_values = true, required_unless_present = "now")]
    pub(crate) at: Option<OffsetDateTime>,
    /// Fire at once; with --at, accept a time that has passed
    #[arg(long)]
    pub(crate) now: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Missed {
    Run,
    Skip,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  qbo-backfill worker\n  qbo-backfill worker --once\n  \
    qbo-backfill worker --profiles north,south --listen 127.0.0.1:9464")]
pub(crate) struct WorkerArgs {
    /// Start the triggers that are due now, then exit when their runs end
    #[arg(long)]
    pub(crate) once: bool,
    /// Serve /healthz and /metrics at this loopback address
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    pub(crate) listen: Option<SocketAddr>,
    /// Profiles to work for, or `all` [default: the profile of --profile]
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "profile")]
    pub(crate) profiles: Vec<String>,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  qbo-backfill health\n  qbo-backfill health --metrics")]
pub(crate) struct HealthArgs {
    /// Loopback address that the worker listens at
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464", value_parser = loopback)]
    pub(crate) address: SocketAddr,
    /// Print the worker's metrics for Prometheus instead
    #[arg(long)]
    pub(crate) metrics: bool,
}

/// The reason why a record may stay in quarantine: one line of text.
#[derive(Clone, Debug)]
pub(crate) struct AcceptanceReason(String);

impl AcceptanceReason {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for AcceptanceReason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const LONGEST: usize = 500;
        let text = text.trim();
        let is_plain = !text.chars().any(char::is_control);
        if text.is_empty() || text.chars().count() > LONGEST || !is_plain {
            return Err(format!("give a reason as one line of 1 to {LONGEST} characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// List records in quarantine with their reasons, never their content
    List {
        /// Only these pipelines [default: all]
        #[arg(value_name = "PIPELINE", value_delimiter = ',')]
        pipelines: Vec<String>,
        /// Also list records that have been resolved since
        #[arg(long)]
        all: bool,
    },
    /// Write the bytes of one record to stdout, as received
    Show {
        /// Pipeline of the record
        pipeline: String,
        /// Digest of the record, as `list` shows it, or its first characters
        digest: String,
    },
    /// Accept that a record stays in quarantine, so that runs no longer end with exit code 3 because of it. A record that
    /// comes back with other content is open again
    #[command(
        after_help = "Examples:\n  qbo-backfill quarantine accept 3f9a1c0b72de \\\n      --reason 'deleted in QuickBooks, not needed'"
    )]
    Accept {
        /// Digest of the record, as `list` shows it, or its first characters
        id: String,
        /// Why the record may stay; stored with your user name and the time
        #[arg(long, value_name = "TEXT")]
        reason: AcceptanceReason,
        /// Pipeline of the record, if two pipelines hold the same bytes
        #[arg(long)]
        pipeline: Option<String>,
    },
    /// Read the windows with records in quarantine again, and resolve the records that can be stored now
    Retry {
        /// Only these pipelines [default: all]
        #[arg(value_name = "PIPELINE", value_delimiter = ',')]
        pipelines: Vec<String>,
        /// Show the whole report with its tables at the end, instead of one paragraph
        #[arg(long)]
        details: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only these pipelines [default: all]
    #[arg(value_name = "PIPELINE", value_delimiter = ',')]
    pub(crate) pipelines: Vec<String>,
    /// List every window, not only totals
    #[arg(long)]
    pub(crate) windows: bool,
    /// Only windows with this status: pending, running, completed, provisional, failed or unavailable
    #[arg(long, requires = "windows", value_parser = one_of::<WindowState>(STATES), hide_possible_values = true)]
    pub(crate) status: Option<WindowState>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RunsArgs {
    /// Number of runs to list, newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: u32,
    #[command(subcommand)]
    pub(crate) command: Option<RunsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Show one run
    Show {
        /// Run id, its first characters, or `latest`
        run: RunId,
        /// Also list the windows that no later run has read
        #[arg(long)]
        windows: bool,
        /// Only windows with this status: pending, running, completed, provisional, failed or unavailable
        #[arg(long, requires = "windows", value_parser = one_of::<WindowState>(STATES), hide_possible_values = true)]
        status: Option<WindowState>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Run id, its first characters, or `latest` [default: latest]
    pub(crate) run: Option<RunId>,
    /// Format of the report [default: what the name of --out ends in; json with --output json, otherwise text]
    #[arg(long, value_enum)]
    pub(crate) format: Option<ReportFormat>,
    /// File to write the report to; its name may end in .md, .json, .html or .txt [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write a certificate of all tables instead: rows, digests, and what verifications have shown, as html or json
    #[arg(long, conflicts_with = "run")]
    pub(crate) certificate: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Text,
    Md,
    Json,
    /// One self-contained page for a browser or a printer
    Html,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Create the schema, or migrate it to this version
    Init {
        /// Also create the roles `qbo_owner`, `qbo_loader` and `qbo_reader`; needs an administrator of the server
        #[arg(long)]
        roles: bool,
    },
    /// Compare the schema with the one this version expects
    Check,
    /// Show the schema's version, company and tables
    Status,
    /// Open psql on the configured database
    Psql {
        /// Open the private PostgreSQL in this folder, whatever the settings say
        #[cfg(feature = "embedded")]
        #[arg(long, value_name = "DIR")]
        private: Option<PathBuf>,
        /// Arguments for psql
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Views {
    /// Install the views in a schema of their own, or upgrade them there; rows are not changed
    #[command(after_help = "Example:\n  qbo-backfill views install dbt-quickbooks --grant-to analyst")]
    Install {
        #[command(flatten)]
        views: ViewsArgs,
        /// Let this role of the server read the views, and so the records; it must exist
        #[arg(long, value_name = "ROLE")]
        grant_to: Option<String>,
    },
    /// Show whether the views are installed, and which of their columns are null in every row and why
    Status(ViewsArgs),
    /// Drop the views; raw tables stay, and the schema, if something else is in it
    Drop(ViewsArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ViewsArgs {
    /// Set of views: `dbt-quickbooks`, the tables that the dbt package `fivetran/dbt_quickbooks` reads
    #[arg(value_name = "SET", value_parser = one_of::<ViewSet>([ViewSet::DbtQuickbooks.as_str()]), hide_possible_values = true)]
    pub(crate) set: ViewSet,
    /// Schema of the views; each company needs its own
    #[arg(long, value_name = "NAME", default_value = "quickbooks")]
    pub(crate) target_schema: SchemaName,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Create the vault and its key
    Init {
        /// Protect the vault with a passphrase instead of a key file
        #[arg(long)]
        passphrase: bool,
        /// Keep the key in the keyring of the operating system instead of a file
        #[arg(long, conflicts_with = "passphrase")]
        keyring: bool,
    },
    /// Store a secret, read from a prompt without echo or from stdin
    Set {
        /// Name of the secret, such as `QBO_CLIENT_ID`
        #[arg(value_parser = one_of::<SecretName>(SecretName::ALL.map(SecretName::as_str)), hide_possible_values = true)]
        name: SecretName,
    },
    /// List names, ages and fingerprints, never values
    List,
    /// Remove a secret from the vault
    Rm {
        /// Name of the secret
        #[arg(value_parser = one_of::<SecretName>(SecretName::ALL.map(SecretName::as_str)), hide_possible_values = true)]
        name: SecretName,
    },
    /// Encrypt the vault with a new key or passphrase; the old one no longer opens it
    Rekey {
        /// Protect the vault with a passphrase from now on
        #[arg(long, conflicts_with_all = ["new_key_file", "keyring"])]
        passphrase: bool,
        /// Keep the new key in the keyring of the operating system
        #[arg(long, conflicts_with = "new_key_file")]
        keyring: bool,
        /// File for the new key [default: replace the old key file]
        #[arg(long, value_name = "FILE")]
        new_key_file: Option<PathBuf>,
    },
    /// Print what others may know of the vault, as JSON: company, ages, expiries and fingerprints, no secret
    ExportPublicInfo,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Ask for consent on Intuit's page, and store its tokens in the vault
    Login(LoginArgs),
    /// Show the company, and how long the consent lasts
    Status,
    /// Refresh the access token now
    Refresh,
    /// End the consent at Intuit, then remove it from the vault
    Revoke,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  qbo-backfill auth login\n  qbo-backfill auth login --no-browser --port 0\n  \
    qbo-backfill auth login --environment production \\\n      --redirect-url https://books.example/callback\n\n\
    The redirect address has to be registered with the app at developer.intuit.com. Intuit accepts http://localhost \
    for development keys; production keys need an https address. The page there may be empty or missing: copy its \
    address from the browser and paste it into the prompt."
)]
pub(crate) struct LoginArgs {
    /// Port on this machine for Intuit's answer, at http://localhost:PORT/callback; 0 picks a random port
    #[arg(long, value_name = "PORT", default_value_t = 8484)]
    pub(crate) port: u16,
    /// Do not listen: Intuit redirects the browser to this address, which you then paste into the prompt
    #[arg(long, value_name = "URL", conflicts_with = "port")]
    pub(crate) redirect_url: Option<RedirectUrl>,
    /// Print the address of Intuit's page instead of opening a browser
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Seconds to wait for the consent
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Skip the one API call, which proves the consent
    #[arg(long)]
    pub(crate) offline: bool,
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep the database, in the user's data folder, instead of deleting it at the end
    #[arg(long)]
    pub(crate) keep: bool,
    /// Serve the console with the demo's company afterwards, until Ctrl-C
    #[arg(long)]
    pub(crate) console: bool,
    /// Show the whole report with its tables, instead of one paragraph
    #[arg(long)]
    pub(crate) details: bool,
    /// Number of invoices in the emulated company
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub(crate) invoices: usize,
    /// File to write the report to, for a browser; `-` writes it to stdout, and all else to stderr [default: a new temporary file]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The image that the demo runs in, whose files end with it; the image of the demo says so itself
    #[arg(long, hide = true, value_name = "NAME", env = "QBO_BACKFILL_DEMO_IMAGE", hide_env = true)]
    pub(crate) image: Option<String>,
}

impl RunArgs {
    /// A run over all daily windows of a span, with the defaults of the command line.
    pub(crate) fn by_day(pipelines: Vec<String>, span: raw_store::Window) -> Self {
        Self {
            pipelines,
            from: span.start(),
            to: span.end(),
            chunk: ChunkSize::Day,
            by: Axis::Updated,
            page_size: PageSize::MAX,
            concurrency: NonZeroUsize::new(10).unwrap_or(NonZeroUsize::MIN),
            force: false,
            no_count: false,
            settle: SettleArgs::default(),
            dry_run: false,
            details: false,
            seed: None,
            wait: WAIT,
        }
    }
}

/// The command line. The short help (`-h`) shows a command's own options and the most used global ones; `--help` shows all.
fn command() -> clap::Command {
    const MOST_USED: [&str; 4] = ["profile", "environment", "database", "output"];
    Cli::command().mut_args(|arg| {
        let is_rare = arg.is_global_set() && !MOST_USED.contains(&arg.get_id().as_str());
        arg.hide_short_help(is_rare)
    })
}

/// Parses the command line. `--help` and `--version` print their text and end with [`DONE`].
pub(crate) fn parse() -> Result<Cli, Exit> {
    let words = || std::env::args_os().skip(1);
    // Decided before anything can fail, so that an error has the requested form, too.
    if given(words(), "--output").as_deref() == Some("json") {
        print::speak_to_programs();
    }
    match given(words(), "--color").as_deref() {
        Some("always") => anstream::ColorChoice::Always.write_global(),
        Some("never") => anstream::ColorChoice::Never.write_global(),
        _ => {}
    }
    secret_args::flags(words())?;
    let mut command = command();
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    parsed.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| {
        if !error.use_stderr() {
            print::help(&error.render());
            return Exit::new(DONE, "", "");
        }
        secret_args::unquoted(words(), &error).unwrap_or_else(|| one_line(&error))
    })
}

/// The value of an option, read from arguments that may be wrong otherwise.
fn given(words: impl Iterator<Item = std::ffi::OsString>, option: &str) -> Option<String> {
    let words = words.map(|word| word.to_string_lossy().into_owned());
    // The words that follow are not ours.
    let mut own = words.take_while(|word| !["--", "psql"].contains(&word.as_str()));
    while let Some(word) = own.next() {
        match word.strip_prefix(option) {
            Some("") => return own.next(),
            Some(value) if value.starts_with('=') => return Some(value[1..].to_owned()),
            _ => {}
        }
    }
    None
}

/// Prints the completions of a shell.
pub(crate) fn completions(shell: clap_complete::Shell, form: Output) {
    const BINARY: &str = "qbo-backfill";
    let mut text = Vec::new();
    let mut command = with_pipelines(command());
    clap_complete::generate(shell, &mut command, BINARY, &mut text);
    let text = String::from_utf8_lossy(&text);
    let script = match shell {
        clap_complete::Shell::Bash => mend_bash(&text, BINARY),
        clap_complete::Shell::Fish => mend_fish(&text, &command),
        _ => text.into_owned(),
    };
    match form {
        Output::Text => out_document(&script),
        Output::Json => out_json(&json!({"shell": shell.to_string(), "script": script})),
    }
}

/// Joins clap's explanation, which has several lines, into the one line that every error has.
fn one_line(error: &clap::Error) -> Exit {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        if print::is_for_programs() {
            return Exit::usage("no command was given", "see: qbo-backfill --help");
        }
        print::usage(&error.render());
        return Exit::usage("", "");
    }
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim);
    let useful = lines
        .filter(|line| !line.is_empty() && !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(|line| line.trim_start_matches("error: ").trim_start_matches("tip: "));
    let (mut what, mut in_list) = (String::new(), false);
    for line in useful {
        what.push_str(match (what.is_empty(), what.ends_with(':'), in_list) {
            (true, ..) => "",
            (_, true, _) => " ",
            (_, _, true) => ", ",
            _ => "; ",
        });
        // A colon at the end of a line begins a list.
        in_list |= line.ends_with(':');
        what.push_str(line);
    }
    Exit::usage(what, "see: qbo-backfill --help")
}

fn page_size(text: &str) -> Result<PageSize, String> {
    let records = text.parse::<u16>().ok().and_then(|records| PageSize::new(records).ok());
    records.ok_or_else(|| "a page holds 1 to 1000 records".into())
}

fn concurrency(text: &str) -> Result<NonZeroUsize, String> {
    let pipelines = text.parse::<NonZeroUsize>().ok().filter(|pipelines| pipelines.get() <= 10);
    pipelines.ok_or_else(|| "QuickBooks allows 1 to 10 concurrent requests".into())
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address =
        text.parse::<SocketAddr>().map_err(|_| "give an address and a port, such as 127.0.0.1:9464")?;
    // The listener does not authenticate its clients, so that only this machine may reach it.
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("give a loopback address, 127.0.0.1 or [::1]".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    /// The examples of a command's help and of those below it, as words.
    fn examples(command: &clap::Command, found: &mut Vec<Vec<String>>) {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default().replace("\\\n", " ");
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("qbo-backfill ")) {
            let mut words = vec![String::new()];
            let mut quoted = false;
            for c in line.chars() {
                match c {
                    '\'' => quoted = !quoted,
                    ' ' if !quoted => words.push(String::new()),
                    c => words.last_mut().unwrap().push(c),
                }
            }
            words.retain(|word| !word.is_empty());
            found.push(words);
        }
        command.get_subcommands().for_each(|command| examples(command, found));
    }

    #[test]
    fn every_example_of_the_help_can_be_pasted_and_does_not_expire() {
        let mut found = Vec::new();
        examples(&Cli::command(), &mut found);
        assert!(found.len() >= 15, "{found:?}");
        let in_some_years = time::macros::datetime!(2040-01-01 0:00 UTC);
        for words in found {
            let cli = Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
            if let Command::Trigger(Trigger::Add(trigger)) = cli.command {
                assert!(
                    trigger.when.now || trigger.when.at.is_some_and(|at| at > in_some_years),
                    "{words:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_missing_is_named_in_one_line_that_reads_right() {
        let error = Cli::try_parse_from(["qbo-backfill", "run", "Invoice"]).unwrap_err();
        let exit = one_line(&error);
        assert_eq!(exit.what, "the following required arguments were not provided: --from <T>, --to <T>");
    }

    #[test]
    fn pipelines_may_have_commas_between_them_and_a_slip_is_told_the_nearest_word() {
        let words = [
            "qbo-backfill",
            "plan",
            "Invoice,Customer",
            "Item",
            "--from",
            "2026-01-01",
            "--to",
            "2026-02-01",
        ];
        let Command::Plan(plan) = Cli::try_parse_from(words).unwrap().command else { panic!("a plan") };
        assert_eq!(plan.pipelines, ["Invoice", "Customer", "Item"]);
        for (words, nearest) in [
            (&["qbo-backfill", "verfy"][..], "verify"),
            (&["qbo-backfill", "status", "--windws"], "--windows"),
            (&["qbo-backfill", "plan", "Invoice", "--chunk", "mont"], "month"),
            (&["qbo-backfill", "status", "--log-level", "wran"], "warn"),
        ] {
            let exit = one_line(&Cli::try_parse_from(words).unwrap_err());
            assert!(exit.what.contains(nearest) && !exit.what.contains(":;"), "{}", exit.what);
        }
    }

    #[test]
    fn json_is_asked_for_among_any_words_but_those_of_psql() {
        let wants =
            |words: &str| given(words.split(' ').map(Into::into), "--output").as_deref() == Some("json");
        for words in
            ["--output json", "runn --output=json", "run --output json --to", "db --output json psql"]
        {
            assert!(wants(words), "{words}");
        }
        for words in [
            "",
            "--output text json",
            "json",
            "run --output",
            "db psql --output json",
            "run -- --output json",
        ] {
            assert!(!wants(words), "{words}");
        }
    }

    #[test]
    fn a_usage_error_is_one_line() {
        let error =
            Cli::try_parse_from(["qbo-backfill", "run", "Invoice", "--from", "2026-02-30", "--to", "x"]);
        let exit = one_line(&error.unwrap_err());
        assert!(!exit.what.contains('\n') && exit.what.contains("2026-02-30"), "{}", exit.what);
    }

    #[test]
    fn the_spanish_names_of_the_range_are_accepted() {
        let words =
            ["qbo-backfill", "plan", "Invoice", "--fecha-inicio", "2026-01-01", "--fecha-fin", "2026-02-01"];
        assert!(Cli::try_parse_from(words).is_ok());
    }
}
