//! A home folder with the emulator's secrets, a database, and the command between them.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fixtures::measure::{children_cpu_seconds, peak_mib};
use fixtures::{LocalServer, ServerOptions};
use tempfile::TempDir;

use crate::emulator::{Access, Emulator};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// How often is looked how much memory a process has taken at most.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) struct Home {
    folder: TempDir,
    pub(crate) emulator: Emulator,
    pub(crate) server: LocalServer,
}

/// What a command has used, from its start to its end.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_mib: f64,
}

impl Home {
    /// An emulator, a durable server, and a vault that knows both.
    pub(crate) async fn new(company: &[(&str, usize)]) -> Outcome<Self> {
        let emulator = Emulator::start(company)?;
        let folder = TempDir::new()?;
        let data = std::env::temp_dir().join(format!("footprint-{}", std::process::id()));
        let options = ServerOptions::new(fixtures::usable_folder(&data)).with_tcp();
        let server = LocalServer::start(&options).await?;
        server.create_database("bench").await?;
        let home = Self { folder, emulator, server };
        home.command(&["secrets", "init"])?.output()?;
        let Access { realm_id, client_id, client_secret, refresh_token, .. } = &home.emulator.access;
        for (name, value) in [
            ("QBO_CLIENT_ID", client_id.as_str()),
            ("QBO_CLIENT_SECRET", client_secret),
            ("QBO_REALM_ID", realm_id),
            ("QBO_REFRESH_TOKEN", refresh_token),
            ("PG_PASSWORD", home.server.password()),
        ] {
            let mut set = home.command(&["secrets", "set", name])?.stdin(Stdio::piped()).spawn()?;
            writeln!(set.stdin.take().ok_or("no stdin")?, "{value}")?;
            set.wait()?;
        }
        Ok(home)
    }

    /// The command that lies beside this program's folder, with nothing of this process's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Outcome<Command> {
        let program = program()?;
        let url = &self.emulator.access.url;
        let database = self.server.url("bench");
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.folder.path()).current_dir(self.folder.path());
        command.args(arguments).args(["--api-url", url, "--oauth-url", url, "--database", &database]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command)
    }

    /// Runs a command to its end. One that fails is an error.
    pub(crate) fn measure(&self, arguments: &[&str]) -> Outcome<Used> {
        measure(self.command(arguments)?)
    }

    pub(crate) async fn close(self) -> Outcome {
        self.emulator.stop()?;
        let used = self.server.folder().to_owned();
        self.server.stop().await?;
        Ok(std::fs::remove_dir_all(used)?)
    }
}

/// The program that is measured.
pub(crate) fn program() -> Outcome<PathBuf> {
    let examples = std::env::current_exe()?;
    let beside = examples.parent().and_then(std::path::Path::parent).ok_or("no folder above examples")?;
    let program = beside.join("qbo-backfill");
    if !program.exists() {
        return Err(format!(
            "{} is missing; build it first (see the head of this program)",
            program.display()
        )
        .into());
    }
    Ok(program)
}

/// Runs a command to its end, from just before its process is made.
pub(crate) fn measure(mut command: Command) -> Outcome<Used> {
    let cpu = children_cpu_seconds()?;
    let began = Instant::now();
    let mut child = command.spawn()?;
    let watch = std::thread::spawn({
        let process = child.id();
        move || watch(process)
    });
    let status = child.wait()?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu_seconds = children_cpu_seconds()? - cpu;
    let peak_mib = watch.join().map_err(|_| "the watch failed")?;
    if !status.success() {
        return Err(format!("the command failed: {status}; {command:?}").into());
    }
    Ok(Used { seconds, cpu_seconds, peak_mib })
}

/// The most memory that a process took, until it is gone: what it took in its last moments may be missing.
fn watch(process: u32) -> f64 {
    let mut peak = 0.0;
    while let Ok(now) = peak_mib(process) {
        peak = now;
        std::thread::sleep(LOOK);
    }
    peak
}
