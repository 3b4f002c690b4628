//! A home folder of its own, an emulated company, a database, and the binary between them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use fixtures::{
    CallKind, Company, Fault, Gate, Rule, Sandbox, SandboxOptions, Shape, TempDatabase, TempPostgres,
};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, Row};

/// The loader's password. Roles belong to the whole server, which tests share, so it is one for all; its characters are
/// changed by every way of escaping.
pub(crate) const LOADER_PASSWORD: &str = "false p\"ss/w+rd%\\é&=1";

/// Roles are made by one test at a time: the server does not let two change one of them at once.
static ROLES: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What the emulated companies have, unless a test gives them more.
pub(crate) const THREE: [&str; 3] = ["Invoice", "Customer", "Item"];

/// The year that the emulated companies live in.
pub(crate) const YEAR: [&str; 4] = ["--from", "2024-01-01", "--to", "2025-01-01"];

pub(crate) struct House {
    pub(crate) sandbox: Sandbox,
    pub(crate) database: TempDatabase,
    home: TempDir,
}

/// Whatever a test does, QuickBooks' limits are kept.
impl Drop for House {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.sandbox.violations(), 0, "the limits of the API were passed");
        }
    }
}

/// How a command ended, and what it said.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The one line of an error.
    pub(crate) fn error(&self) -> &str {
        let lines: Vec<_> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(lines.len(), 1, "not one line of error:\n{}", self.stderr);
        lines[0]
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A run that stands in its invoices, with their pipeline in hand, until the gate is opened.
pub(crate) async fn standing_run(house: &House) -> (Child, Gate) {
    standing_run_of(house, &[]).await
}

/// The same of a run with more arguments.
pub(crate) async fn standing_run_of(house: &House, more: &[&str]) -> (Child, Gate) {
    let gate = Gate::new();
    let held = Rule::on(CallKind::Query, Fault::Held(gate.clone())).containing("FROM Invoice");
    house.sandbox.faults().push(held);
    let run = house.start(more);
    gate.arrived().await;
    (run, gate)
}

/// Sends a process a signal, by its name with a dash.
pub(crate) fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Waits until a process has ended.
pub(crate) async fn wait(child: Child) -> Ended {
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap().into()
}

impl House {
    pub(crate) async fn new(shape: &Shape) -> Self {
        Self::with(shape, SandboxOptions::default()).await
    }

    pub(crate) async fn with(shape: &Shape, options: SandboxOptions) -> Self {
        Self::on(TempPostgres::shared().await.database().await, shape, options).await
    }

    /// With an empty database of a certain server.
    pub(crate) async fn on(database: TempDatabase, shape: &Shape, options: SandboxOptions) -> Self {
        let house = Self::with_keys(database, shape, options).await;
        let credentials = house.sandbox.credentials();
        for (name, value) in
            [("QBO_REALM_ID", &credentials.realm_id), ("QBO_REFRESH_TOKEN", &credentials.refresh_token)]
        {
            house.set_secret(name, value).await.expect(0);
        }
        house
    }

    /// As somebody has it who has the app's keys and nothing else.
    pub(crate) async fn without_consent(shape: &Shape, options: SandboxOptions) -> Self {
        Self::with_keys(TempPostgres::shared().await.database().await, shape, options).await
    }

    async fn with_keys(database: TempDatabase, shape: &Shape, options: SandboxOptions) -> Self {
        let sandbox = Sandbox::start(Company::generate(11, shape), options).await.unwrap();
        let house = Self { sandbox, database, home: tempfile::tempdir().unwrap() };
        house.run(&["secrets", "init"]).await.expect(0);
        let credentials = house.sandbox.credentials();
        for (name, value) in [
            ("QBO_CLIENT_ID", credentials.client_id.as_str()),
            ("QBO_CLIENT_SECRET", &credentials.client_secret),
            ("PG_PASSWORD", house.database.password()),
        ] {
            house.set_secret(name, value).await.expect(0);
        }
        house
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home().join(".local/share/qbo-backfill")
    }

    /// The binary, with nothing of this process's environment but what it cannot do without.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qbo-backfill"));
        command.env_clear().env("HOME", self.home()).current_dir(self.home());
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// The addresses of the emulator and of the database.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let url = self.sandbox.url();
        ["--api-url", &url, "--oauth-url", &url, "--database", &self.database.url()]
            .map(str::to_owned)
            .to_vec()
    }

    /// Makes the roles. Returns the address of the database for a loader, whose password is [`LOADER_PASSWORD`].
    pub(crate) async fn make_roles(&self) -> String {
        let _one_at_a_time = ROLES.lock().await;
        self.at(&["db", "init", "--roles"]).await.expect(0);
        let set = format!("ALTER ROLE qbo_loader PASSWORD '{LOADER_PASSWORD}'");
        self.client().await.batch_execute(&set).await.unwrap();
        let (port, name) = (self.database.port(), self.database.name());
        format!("postgres://qbo_loader@127.0.0.1:{port}/{name}")
    }

    /// Runs a command that needs no addresses.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments)).await
    }

    /// Runs a command with the emulator's addresses and the database.
    pub(crate) async fn at(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.args(self.addresses());
        ended(command).await
    }

    /// A backfill of these pipelines over the year.
    pub(crate) async fn backfill(&self, pipelines: &[&str], more: &[&str]) -> Ended {
        self.at(&[&["run"], pipelines, &YEAR, more].concat()).await
    }

    /// Records for everything in quarantine that it may stay there.
    pub(crate) async fn accept_what_is_open(&self) {
        let listed = self.at(&["quarantine", "list", "--output", "json"]).await.expect(0);
        let listed: Vec<serde_json::Value> = serde_json::from_str(&listed.stdout).unwrap();
        for one in listed.iter().filter(|one| one["status"] == "open") {
            let digest = one["digest"].as_str().unwrap();
            self.at(&["quarantine", "accept", digest, "--reason", "a test record"]).await.expect(0);
        }
    }

    /// Starts a backfill without waiting for it.
    pub(crate) fn start(&self, more: &[&str]) -> Child {
        let mut command = self.command(&["run"]);
        command.args(THREE).args(YEAR).args(more).args(self.addresses());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) async fn set_secret(&self, name: &str, value: &str) -> Ended {
        with_stdin(self.command(&["secrets", "set", name]), value).await
    }

    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = self.database.config().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(crate) async fn query(&self, sql: &str) -> Vec<Row> {
        self.client().await.query(sql, &[]).await.unwrap()
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.query(sql).await[0].get(0)
    }

    /// The tables' content, whatever run and page brought it.
    pub(crate) async fn fingerprint(&self) -> Vec<String> {
        let mut all = Vec::new();
        for table in ["qb_invoices", "qb_customers", "qb_items"] {
            let sql = format!(
                "SELECT md5(coalesce(string_agg(id || payload::text || extract_window_start_utc || \
                 extract_window_end_utc, '|' ORDER BY id), '')) FROM raw.{table}"
            );
            all.push(self.query(&sql).await[0].get(0));
        }
        all
    }
}

/// Waits for a command on a thread of its own: the emulator runs in this process.
pub(crate) async fn ended(mut command: Command) -> Ended {
    let waiting = tokio::task::spawn_blocking(move || command.output().unwrap());
    waiting.await.unwrap().into()
}

pub(crate) async fn with_stdin(mut command: Command, input: &str) -> Ended {
    let input = input.to_owned();
    let work = move || {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that refuses before it reads closes its end.
        let _ = writeln!(child.stdin.take().unwrap(), "{input}");
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(work).await.unwrap().into()
}
