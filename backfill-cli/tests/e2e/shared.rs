//! A vault in the database, whose hosts come at once, die, and lose their connections.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use fixtures::{CallKind, Fault, Gate, Rule, SandboxOptions, Shape};
use tempfile::TempDir;

use crate::house::{Ended, House, ended, wait, with_stdin};

/// Hosts that share a vault: each has a copy of its key.
struct Hosts {
    house: House,
    home: TempDir,
}

impl Hosts {
    async fn new() -> Self {
        Self::with(SandboxOptions::default()).await
    }

    async fn with(options: SandboxOptions) -> Self {
        let hosts =
            Self { house: House::with(&Shape::empty(), options).await, home: tempfile::tempdir().unwrap() };
        fs::write(hosts.passfile(), format!("*:*:*:*:{}", hosts.house.database.password())).unwrap();
        fs::set_permissions(hosts.passfile(), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        hosts.run(&["db", "init"]).await.expect(0);
        hosts.run(&["secrets", "init"]).await.expect(0);
        let credentials = hosts.house.sandbox.credentials();
        for (name, value) in [
            ("QBO_CLIENT_ID", &credentials.client_id),
            ("QBO_CLIENT_SECRET", &credentials.client_secret),
            ("QBO_REALM_ID", &credentials.realm_id),
            ("QBO_REFRESH_TOKEN", &credentials.refresh_token),
        ] {
            with_stdin(hosts.command(&["secrets", "set", name]), value).await.expect(0);
        }
        hosts
    }

    fn passfile(&self) -> PathBuf {
        self.home.path().join("pgpass")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.house.command(words);
        command.env("HOME", self.home.path()).env("PGPASSFILE", self.passfile());
        command.args(["--vault", "postgres"]).args(self.house.addresses());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn run(&self, words: &[&str]) -> Ended {
        ended(self.command(words)).await
    }

    /// A refresh that stands at the gate, after it has taken the lock.
    async fn refreshing(&self) -> (Child, Gate) {
        let gate = Gate::new();
        self.house.sandbox.faults().push(Rule::on(CallKind::Token, Fault::Held(gate.clone())));
        let child = self.command(&["auth", "refresh"]).spawn().unwrap();
        gate.arrived().await;
        (child, gate)
    }

    /// The newest token is in the vault, and works.
    async fn assert_sound(&self) {
        let newest = qbo_auth::RefreshToken::new(self.house.sandbox.current_refresh_token()).fingerprint();
        let status = self.run(&["auth", "status", "--output", "json"]).await.expect(0);
        assert!(status.stdout.contains(&newest), "{}", status.stdout);
        self.run(&["auth", "refresh"]).await.expect(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_processes_without_a_token_makes_one_call() {
    let hosts = Hosts::new().await;
    for _ in 0..2 {
        let consent = hosts.house.sandbox.current_refresh_token();
        with_stdin(hosts.command(&["secrets", "set", "QBO_REFRESH_TOKEN"]), &consent).await.expect(0);
        let calls = hosts.house.sandbox.token_calls();
        // Each makes a call of its own then: as many as QuickBooks takes in a second, in both rounds together.
        let storm: Vec<_> = (0..5).map(|_| tokio::spawn(ended(hosts.command(&["doctor"])))).collect();
        for one in storm {
            one.await.unwrap().expect(0);
        }
        assert_eq!(hosts.house.sandbox.token_calls(), calls + 1);
    }
    hosts.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_in_its_refresh_leaves_the_lock_to_the_next() {
    let hosts = Hosts::new().await;
    let (mut child, gate) = hosts.refreshing().await;
    child.kill().unwrap();
    wait(child).await;
    let status = hosts.run(&["auth", "status"]).await.expect(0);
    assert!(status.stdout.contains("open refresh"), "{}", status.stdout);
    hosts.run(&["auth", "refresh"]).await.expect(0);
    hosts.assert_sound().await;
    gate.open();
}

/// Wherever it dies, the next one goes on, if only Intuit still takes the token before.
#[cfg(feature = "points")]
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_at_any_step_of_its_refresh_leaves_a_vault_that_works() {
    let mut options = SandboxOptions::default();
    options.oauth.previous_stays_valid = true;
    let hosts = Hosts::with(options).await;
    hosts.run(&["auth", "refresh"]).await.expect(0);
    for step in ["lock", "locked", "intended", "call", "sent", "answered", "stored"] {
        let mut dying = hosts.command(&["auth", "refresh"]);
        dying.env("QBO_BACKFILL_POINT", format!("refresh.{step}=abort"));
        assert_eq!(ended(dying).await.code, -1, "{step}");
        hosts.run(&["auth", "refresh"]).await.expect(0);
        hosts.assert_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_lost_its_lock_overwrites_nothing_that_came_after() {
    let hosts = Hosts::new().await;
    let (child, gate) = hosts.refreshing().await;
    let cut = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND granted \
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(hosts.house.client().await.execute(cut, &[]).await.unwrap(), 1);
    // Another host takes over, and is through before the first one's call is answered.
    hosts.run(&["auth", "refresh"]).await.expect(0);
    gate.open();
    wait(child).await.expect(0);
    hosts.assert_sound().await;
}
