//! What the user typed. Nothing is computed here but values that a single argument holds.

pub(crate) mod secret_args;
pub(crate) mod words;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use backfill_core::{Axis, ChunkSize};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use qbo_auth::{Environment, RealmId, RedirectUrl, SecretName};
use qbo_client::PageSize;
use raw_store::{RunId, SchemaName, TriggerName, WindowState};
use serde_json::json;
use time::OffsetDateTime;

use crate::args::words::{AXES, CHUNKS, LEVELS, STATES, mend_bash, mend_fish, one_of, with_pipelines};
use crate::instant;
use crate::output::exit::{DONE, Exit};
use crate::output::print;
use crate::output::print::{out, out_json};

/// How long a pipeline is waited for that another process has, in seconds: longer than the lease of a process that is
/// frozen lasts.
const WAIT: u64 = 90;

/// Brings a QuickBooks Online company's history into PostgreSQL: complete, as it was sent, and proven.
#[derive(Debug, Parser)]
#[command(name = "qbo-backfill", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Try it without anything configured:\n  qbo-backfill demo\n\nYour own company:\n  \
    qbo-backfill secrets init\n  qbo-backfill secrets set QBO_CLIENT_ID\n  qbo-backfill secrets set QBO_CLIENT_SECRET\n  \
    qbo-backfill auth login\n  \
    qbo-backfill run Invoice Customer Item --from 2025-01-01 --to 2026-01-01\n\nResume is always: run the same command again.")]
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
    /// One company of the settings file
    #[arg(long, global = true, value_name = "NAME", env = "QBO_BACKFILL_PROFILE", hide_env_values = true)]
    pub(crate) profile: Option<String>,
    /// sandbox or production: fixes API and token hosts together [default: sandbox]
    #[arg(long, global = true, value_name = "ENV", env = "QBO_BACKFILL_ENVIRONMENT", hide_env_values = true, value_parser = one_of::<Environment>(Environment::ALL.map(Environment::as_str)), hide_possible_values = true)]
    pub(crate) environment: Option<Environment>,
    /// The company; must agree with the vault and with the schema
    #[arg(long, global = true, value_name = "ID", env = "QBO_BACKFILL_REALM", hide_env_values = true)]
    pub(crate) realm: Option<RealmId>,
    /// postgres://user@host:port/db?sslmode=…, without a password [default: a private PostgreSQL]
    #[arg(long, global = true, value_name = "URL", env = "QBO_BACKFILL_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// One company per schema [default: raw]
    #[arg(long, global = true, value_name = "NAME", env = "QBO_BACKFILL_SCHEMA", hide_env_values = true)]
    pub(crate) schema: Option<SchemaName>,
    /// The encrypted store of secrets, or `postgres`: sealed in the database, for several hosts [default: in the user's data folder]
    #[arg(
        long,
        global = true,
        value_name = "FILE|postgres",
        env = "QBO_BACKFILL_VAULT",
        hide_env_values = true
    )]
    pub(crate) vault: Option<PathBuf>,
    /// The vault's key [default: in the user's data folder]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "QBO_BACKFILL_VAULT_KEY_FILE",
        hide_env_values = true
    )]
    pub(crate) vault_key_file: Option<PathBuf>,
    /// Secrets for this process: `stdin` (one JSON object on its first line) or a folder of files named like the secrets
    #[arg(long, global = true, value_name = "stdin|DIR")]
    pub(crate) secrets: Option<PathBuf>,
    /// Stop cleanly, with exit code 130, when stdin ends: whoever started this process is gone (run, retry, verify)
    #[arg(long, global = true, value_enum, value_name = "stdin")]
    pub(crate) lifeline: Option<Lifeline>,
    /// The emulator's API; loopback addresses only
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) api_url: Option<String>,
    /// The emulator's token service; loopback addresses only
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) oauth_url: Option<String>,
    /// Calls a minute, or `off`; more than 500 only with --api-url [default: 500]
    #[arg(long, global = true, value_name = "N|off")]
    pub(crate) rate: Option<Rate>,
    /// Calls a month (UTC) after which none is made, over all processes of the company, or `off` [default: 500000, what
    /// Intuit's Builder tier has]
    #[arg(long, global = true, value_name = "N|off")]
    pub(crate) monthly_calls: Option<Allowance>,
    /// Results as text or JSON; runs as NDJSON events with json
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// off, error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn", ignore_case = true, value_parser = LEVELS, hide_possible_values = true)]
    pub(crate) log_level: String,
    /// How logs look on stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Colours; auto: where a stream is a terminal, unless `NO_COLOR` or TERM=dumb says no
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// Plain lines instead of a progress display
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// Ask nothing
    #[arg(long, global = true)]
    pub(crate) yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

/// What tells that whoever started this process is still there.
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
            Ok(0) | Err(_) if text != "off" => Err("calls a minute, from 1, or off".into()),
            Ok(calls) => Ok(Self::PerMinute(calls)),
            Err(_) => Ok(Self::Off),
        }
    }
}

/// How many calls a month has; `None` for any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance(pub(crate) Option<u64>);

impl std::str::FromStr for Allowance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) | Err(_) if text != "off" => Err("calls a month, from 1, or off".into()),
            Ok(calls) => Ok(Self(Some(calls))),
            Err(_) => Ok(Self(None)),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Backfill the windows of [from, to) that are not completed
    Run(RunArgs),
    /// Show windows, scans and the estimate of calls, calling nothing
    Plan(RunArgs),
    /// Where every pipeline stands
    Status(StatusArgs),
    /// The runs so far
    Runs(RunsArgs),
    /// The final report of a run, rebuilt from the log
    Report(ReportArgs),
    /// Stop a run from another terminal, after its page in hand
    Cancel {
        /// Its id, as `runs` shows it
        run: RunId,
    },
    /// Read windows again: those that failed, or those that hold an instant
    Retry(RetryArgs),
    /// Compare what is stored with what QuickBooks has, record by record, and change nothing
    Verify(VerifyArgs),
    /// One-time triggers: runs that a worker starts once, at a stated time
    #[command(subcommand)]
    Trigger(Trigger),
    /// Wait for due triggers, and run each once
    Worker(WorkerArgs),
    /// Records that could not be stored, or that QuickBooks could not deliver
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// The schema in the database
    #[command(subcommand)]
    Db(Db),
    /// The encrypted store of secrets
    #[command(subcommand)]
    Secrets(Secrets),
    /// The consent of the company
    #[command(subcommand)]
    Auth(Auth),
    /// Check configuration, vault, database, consent and clock; every line with its remedy
    Doctor(DoctorArgs),
    /// What can be backfilled
    Entities,
    /// The whole main job on an emulated company and a private PostgreSQL
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  qbo-backfill run Invoice Customer Item --from 2025-01-01 --to 2026-01-01\n  \
    qbo-backfill run all --from 2020-01-01 --to 2026-01-01 --chunk month --output json\n  \
    qbo-backfill run qb_invoices_backfill --fecha-inicio 2026-01-01T00:00:00Z --fecha-fin 2026-02-01T00:00:00Z"
)]
pub(crate) struct RunArgs {
    /// Pipelines (`qb_invoices_backfill`), entities (`Invoice`), or all, transactions, lists
    #[arg(required = true, value_name = "PIPELINE", value_delimiter = ',')]
    pub(crate) pipelines: Vec<String>,
    /// First instant: 2026-01-31 (midnight UTC), or ISO 8601 with Z or an offset
    #[arg(long, aliases = ["fecha-inicio", "fecha_inicio"], value_name = "T", value_parser = instant::parse, allow_hyphen_values = true)]
    pub(crate) from: OffsetDateTime,
    /// First instant that is not read any more
    #[arg(long, aliases = ["fecha-fin", "fecha_fin"], value_name = "T", value_parser = instant::parse, allow_hyphen_values = true)]
    pub(crate) to: OffsetDateTime,
    /// Length of a window: day, week, month, quarter, year or whole
    #[arg(long, default_value_t = ChunkSize::Day, value_parser = one_of::<ChunkSize>(CHUNKS), hide_possible_values = true)]
    pub(crate) chunk: ChunkSize,
    /// What windows measure: updated, created or txn-date
    #[arg(long, default_value_t = Axis::Updated, value_parser = one_of::<Axis>(AXES), hide_possible_values = true)]
    pub(crate) by: Axis,
    /// Records a page, 1 to 1000
    #[arg(long, value_name = "N", default_value = "1000", value_parser = page_size)]
    pub(crate) page_size: PageSize,
    /// Questions under way at the same time, 1 to 10: free ones take over the later half of a long read
    #[arg(long, value_name = "N", default_value = "10", value_parser = concurrency)]
    pub(crate) concurrency: NonZeroUsize,
    /// Read completed windows again
    #[arg(long)]
    pub(crate) force: bool,
    /// Count only what empty or short answers leave open, and not what was read; saves a call seldom
    #[arg(long)]
    pub(crate) no_count: bool,
    /// Only show what would be done, as plan does
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How long to wait for a pipeline that another process has; 0 does not wait
    #[arg(long, value_name = "SECONDS", default_value_t = WAIT, value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub(crate) wait: u64,
    /// Seed of every random choice, to repeat a run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 53))]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["failed", "window"])))]
#[command(
    after_help = "Examples:\n  qbo-backfill retry --failed\n  qbo-backfill retry --window 2025-03-14 Invoice"
)]
pub(crate) struct RetryArgs {
    /// Only these pipelines
    #[arg(value_name = "PIPELINE", value_delimiter = ',')]
    pub(crate) pipelines: Vec<String>,
    /// The windows that failed; each goes on where it stood
    #[arg(long)]
    pub(crate) failed: bool,
    /// The windows that hold this instant, from their start, whatever their status
    #[arg(long, value_name = "T", value_parser = instant::parse, allow_hyphen_values = true)]
    pub(crate) window: Option<OffsetDateTime>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  qbo-backfill verify Invoice\n  qbo-backfill verify all --output json\n  \
    qbo-backfill verify Invoice --from 2025-01-01 --to 2026-01-01 --repair"
)]
pub(crate) struct VerifyArgs {
    /// Pipelines (`qb_invoices_backfill`), entities (`Invoice`), or all, transactions, lists
    #[arg(required = true, value_name = "PIPELINE", value_delimiter = ',')]
    pub(crate) pipelines: Vec<String>,
    /// First instant of the last updates to compare [default: what the log says was read]
    #[arg(long, aliases = ["fecha-inicio", "fecha_inicio"], value_name = "T", value_parser = instant::parse, allow_hyphen_values = true, requires = "to")]
    pub(crate) from: Option<OffsetDateTime>,
    /// First instant that is not compared any more
    #[arg(long, aliases = ["fecha-fin", "fecha_fin"], value_name = "T", value_parser = instant::parse, allow_hyphen_values = true, requires = "from")]
    pub(crate) to: Option<OffsetDateTime>,
    /// Read the windows again where something is missing or changed
    #[arg(long)]
    pub(crate) repair: bool,
    /// Records a page, 1 to 1000
    #[arg(long, value_name = "N", default_value = "1000", value_parser = page_size)]
    pub(crate) page_size: PageSize,
    /// Questions under way at the same time, 1 to 10
    #[arg(long, value_name = "N", default_value = "10", value_parser = concurrency)]
    pub(crate) concurrency: NonZeroUsize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Trigger {
    /// Arm a trigger, or a chain of them
    Add(TriggerAddArgs),
    /// All triggers, and how long until each is due
    List,
    /// What happened to one
    History {
        /// Its name
        name: TriggerName,
    },
    /// Take back what has not fired; stop the run of what has, after its page in hand
    Cancel {
        /// Its name
        name: TriggerName,
    },
    /// Arm a trigger again that is spent
    Rearm {
        /// Its name
        name: TriggerName,
        #[command(flatten)]
        when: When,
    },
    /// Arm the triggers of a file as Mage writes them for `@once`; what is there already stays as it is
    Apply {
        /// triggers.yaml
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// Also those that the file has as inactive
        #[arg(long)]
        inactive: bool,
        /// Also those whose time is past: they fire at once
        #[arg(long)]
        now: bool,
    },
}

#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  qbo-backfill trigger add qb_invoices_backfill --now --from 2025-01-01 --to 2026-01-01\n  \
    qbo-backfill trigger add Invoice Customer Item --at 2099-02-02T03:00:00-05:00 --from 2020-01-01 --to 2026-01-01 \\\n      \
    --every year --name history\n\nA trigger fires while a worker runs: qbo-backfill worker"
)]
pub(crate) struct TriggerAddArgs {
    /// Pipelines (`qb_invoices_backfill`), entities (`Invoice`), or all, transactions, lists
    #[arg(required = true, value_name = "PIPELINE", value_delimiter = ',')]
    pub(crate) pipelines: Vec<String>,
    #[command(flatten)]
    pub(crate) when: When,
    /// First instant that its run reads
    #[arg(long, aliases = ["fecha-inicio", "fecha_inicio"], value_name = "T", value_parser = instant::parse, allow_hyphen_values = true)]
    pub(crate) from: OffsetDateTime,
    /// First instant that is not read any more
    #[arg(long, aliases = ["fecha-fin", "fecha_fin"], value_name = "T", value_parser = instant::parse, allow_hyphen_values = true)]
    pub(crate) to: OffsetDateTime,
    /// Its name; letters, digits, dots, dashes, underscores [default: made of pipeline and time]
    #[arg(long)]
    pub(crate) name: Option<TriggerName>,
    /// Cut the range into a chain of triggers, one after another: day, week, month, quarter or year. It stops behind one
    /// that fails
    #[arg(long, value_name = "CHUNK", value_parser = one_of::<ChunkSize>(CHUNKS), hide_possible_values = true)]
    pub(crate) every: Option<ChunkSize>,
    /// What becomes of it if no worker runs at its time: run (late) or skip
    #[arg(long, value_enum, default_value_t = Missed::Run)]
    pub(crate) if_missed: Missed,
    /// Length of a window: day, week, month, quarter, year or whole
    #[arg(long, default_value_t = ChunkSize::Day, value_parser = one_of::<ChunkSize>(CHUNKS), hide_possible_values = true)]
    pub(crate) chunk: ChunkSize,
    /// What windows measure: updated, created or txn-date
    #[arg(long, default_value_t = Axis::Updated, value_parser = one_of::<Axis>(AXES), hide_possible_values = true)]
    pub(crate) by: Axis,
}

/// When a trigger fires.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct When {
    /// When it fires: 2026-01-31 (midnight UTC), or ISO 8601 with Z or an offset
    #[arg(long, value_name = "T", value_parser = instant::parse, allow_hyphen_values = true, required_unless_present = "now")]
    pub(crate) at: Option<OffsetDateTime>,
    /// Fire at once; also a time that is past is accepted then
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
    /// Run what is due now, then end
    #[arg(long)]
    pub(crate) once: bool,
    /// Answer /healthz and /metrics here; an address of this machine alone
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    pub(crate) listen: Option<SocketAddr>,
    /// The companies to work for, by their profiles in the settings file, or `all` [default: the one chosen by --profile]
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "profile")]
    pub(crate) profiles: Vec<String>,
}

/// Why a record may stay in quarantine: a line of text.
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
            return Err(format!("a reason is one line of 1 to {LONGEST} characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// What is there, and why; never what is in it
    List {
        /// Only these pipelines
        #[arg(value_name = "PIPELINE", value_delimiter = ',')]
        pipelines: Vec<String>,
        /// Also what has been resolved since
        #[arg(long)]
        all: bool,
    },
    /// The bytes of one record, as received, on stdout
    Show {
        /// The pipeline
        pipeline: String,
        /// Its digest, as `list` shows it, or the beginning of it
        digest: String,
    },
    /// Record that a record may stay here: then it no longer makes runs end with 3. It is open again if it comes back with
    /// other content
    #[command(
        after_help = "Examples:\n  qbo-backfill quarantine accept 3f9a1c0b72de --reason 'deleted in QuickBooks, not needed'"
    )]
    Accept {
        /// Its digest, as `list` shows it, or the beginning of it
        id: String,
        /// Why it may stay; kept with your name and the time
        #[arg(long, value_name = "TEXT")]
        reason: AcceptanceReason,
        /// The pipeline, where two of them hold the same bytes
        #[arg(long)]
        pipeline: Option<String>,
    },
    /// Read the windows again that have something here; what has become sound meanwhile is resolved
    Retry {
        /// Only these pipelines
        #[arg(value_name = "PIPELINE", value_delimiter = ',')]
        pipelines: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only these pipelines
    #[arg(value_name = "PIPELINE", value_delimiter = ',')]
    pub(crate) pipelines: Vec<String>,
    /// Every window, not only their numbers
    #[arg(long)]
    pub(crate) windows: bool,
    /// Only windows of this status: pending, running, completed, provisional, failed or unavailable
    #[arg(long, requires = "windows", value_parser = one_of::<WindowState>(STATES), hide_possible_values = true)]
    pub(crate) status: Option<WindowState>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RunsArgs {
    /// How many, newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: u32,
    #[command(subcommand)]
    pub(crate) command: Option<RunsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// One run
    Show {
        /// Its id
        run: RunId,
        /// Also the windows that it touched last
        #[arg(long)]
        windows: bool,
        /// Only windows of this status: pending, running, completed, provisional, failed or unavailable
        #[arg(long, requires = "windows", value_parser = one_of::<WindowState>(STATES), hide_possible_values = true)]
        status: Option<WindowState>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The run [default: the newest]
    pub(crate) run: Option<RunId>,
    /// How it looks [default: json with --output json, otherwise text]
    #[arg(long, value_enum)]
    pub(crate) format: Option<ReportFormat>,
    /// Where to write it [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Text,
    Md,
    Json,
    /// One page that needs nothing else, for a browser or a printer
    Html,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Create the schema, or bring it up to date
    Init {
        /// As an administrator: also create the roles `qbo_owner`, `qbo_loader` and `qbo_reader`, each with what it needs
        #[arg(long)]
        roles: bool,
    },
    /// Compare the schema with what is expected
    Check,
    /// Version, company and tables
    Status,
    /// Look at the data: psql on the configured database
    Psql {
        /// Open the private PostgreSQL of this folder, whatever the settings say
        #[cfg(feature = "embedded")]
        #[arg(long, value_name = "DIR")]
        private: Option<PathBuf>,
        /// Arguments for psql
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Create the vault and its key
    Init {
        /// Open it by a passphrase instead of a key file
        #[arg(long)]
        passphrase: bool,
        /// Keep its key in the keyring of the operating system instead of a file
        #[arg(long, conflicts_with = "passphrase")]
        keyring: bool,
    },
    /// Store a secret: from a prompt without echo, or from stdin
    Set {
        /// Its name, such as `QBO_CLIENT_ID`
        #[arg(value_parser = one_of::<SecretName>(SecretName::ALL.map(SecretName::as_str)), hide_possible_values = true)]
        name: SecretName,
    },
    /// Names, ages and fingerprints; never values
    List,
    /// Forget a secret
    Rm {
        /// Its name
        #[arg(value_parser = one_of::<SecretName>(SecretName::ALL.map(SecretName::as_str)), hide_possible_values = true)]
        name: SecretName,
    },
    /// Seal the vault anew, with a new key or passphrase; the old one opens nothing afterwards
    Rekey {
        /// Open it by a passphrase from now on
        #[arg(long, conflicts_with_all = ["new_key_file", "keyring"])]
        passphrase: bool,
        /// Keep the new key in the keyring of the operating system
        #[arg(long, conflicts_with = "new_key_file")]
        keyring: bool,
        /// Write the new key here [default: in place of the old key file]
        #[arg(long, value_name = "FILE")]
        new_key_file: Option<PathBuf>,
    },
    /// What others may know of the vault, as JSON: company, ages, expiries and fingerprints; no secret
    ExportPublicInfo,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Ask a person for consent on Intuit's page, and keep what it brings
    Login(LoginArgs),
    /// Which company, and how long the consent lasts
    Status,
    /// Refresh the access token now
    Refresh,
    /// End the consent at Intuit, then forget it
    Revoke,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  qbo-backfill auth login\n  qbo-backfill auth login --no-browser --port 0\n  \
    qbo-backfill auth login --environment production --redirect-url https://books.example/callback\n\n\
    The redirect address has to be registered with the app at developer.intuit.com. Intuit takes http://localhost\n\
    for development keys; production keys need an https address, whose page may say anything or nothing: copy its\n\
    address out of the browser and paste it here."
)]
pub(crate) struct LoginArgs {
    /// Where to listen on this machine for the answer: http://localhost:PORT/callback; 0 is a random port
    #[arg(long, value_name = "PORT", default_value_t = 8484)]
    pub(crate) port: u16,
    /// Listen nowhere: Intuit sends the person to this address, which is then pasted here
    #[arg(long, value_name = "URL", conflicts_with = "port")]
    pub(crate) redirect_url: Option<RedirectUrl>,
    /// Only print the page's address
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// How long to wait for the person, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Call nobody: leave out the one call that proves the consent
    #[arg(long)]
    pub(crate) offline: bool,
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep the database in the user's data folder
    #[arg(long)]
    pub(crate) keep: bool,
    /// Invoices of the emulated company
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub(crate) invoices: usize,
}

impl RunArgs {
    /// All windows of a span by day, as somebody would type it.
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
            dry_run: false,
            seed: None,
            wait: WAIT,
        }
    }
}

/// Parses the command line. Help and version end here.
pub(crate) fn parse() -> Result<Cli, Exit> {
    let words = || std::env::args_os().skip(1);
    // Before anything can be wrong: whoever reads the error reads it in that form.
    if given(words(), "--output").as_deref() == Some("json") {
        print::speak_to_programs();
    }
    match given(words(), "--color").as_deref() {
        Some("always") => anstream::ColorChoice::Always.write_global(),
        Some("never") => anstream::ColorChoice::Never.write_global(),
        _ => {}
    }
    secret_args::flags(words())?;
    Cli::try_parse().map_err(|error| {
        if !error.use_stderr() {
            print::help(&error.render());
            return Exit::new(DONE, "", "");
        }
        secret_args::unquoted(words(), &error).unwrap_or_else(|| one_line(&error))
    })
}

/// The value of an option among words that may be wrong otherwise.
fn given(words: impl Iterator<Item = std::ffi::OsString>, option: &str) -> Option<String> {
    let words = words.map(|word| word.to_string_lossy().into_owned());
    // What follows is somebody else's.
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
    let mut command = with_pipelines(Cli::command());
    clap_complete::generate(shell, &mut command, BINARY, &mut text);
    let text = String::from_utf8_lossy(&text);
    let script = match shell {
        clap_complete::Shell::Bash => mend_bash(&text, BINARY),
        clap_complete::Shell::Fish => mend_fish(&text, &command),
        _ => text.into_owned(),
    };
    match form {
        Output::Text => out(&script),
        Output::Json => out_json(&json!({"shell": shell.to_string(), "script": script})),
    }
}

/// clap explains over several lines; the contract is one.
fn one_line(error: &clap::Error) -> Exit {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        if print::is_for_programs() {
            return Exit::usage("no command was given", "qbo-backfill --help shows what is possible");
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
        // What follows a colon at the end of a line is a list.
        in_list |= line.ends_with(':');
        what.push_str(line);
    }
    Exit::usage(what, "qbo-backfill --help shows what is possible")
}

fn page_size(text: &str) -> Result<PageSize, String> {
    let records = text.parse::<u16>().ok().and_then(|records| PageSize::new(records).ok());
    records.ok_or_else(|| "a page holds 1 to 1000 records".into())
}

fn concurrency(text: &str) -> Result<NonZeroUsize, String> {
    let pipelines = text.parse::<NonZeroUsize>().ok().filter(|pipelines| pipelines.get() <= 10);
    pipelines.ok_or_else(|| "QuickBooks allows 1 to 10 requests at a time".into())
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<SocketAddr>().map_err(|_| "an address and a port, such as 127.0.0.1:9464")?;
    // What is told there is nobody else's business, and nobody is asked who they are.
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("only addresses of this machine, 127.0.0.1 or [::1]".into())
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
