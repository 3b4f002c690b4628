//! A fleet of emulated companies: their vaults, their roster, a database, and the binary between them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fixtures::{Company, OauthOptions, Rotation, Sandbox, SandboxOptions, Shape, TempDatabase, TempPostgres};
use qbo_auth::{SealedVault, SecretName, SecretVault as _, Unlock};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// What is read of every company, and the tables that it goes to.
pub(crate) const PIPELINES: [(&str, &str); 3] =
    [("Invoice", "qb_invoices"), ("Customer", "qb_customers"), ("Item", "qb_items")];

/// How often a test looks.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct House {
    pub(crate) companies: Vec<Sandbox>,
    pub(crate) database: TempDatabase,
    client: Client,
    home: TempDir,
}

/// The schema of a company.
pub(crate) fn schema(company: &Sandbox) -> String {
    format!("qbo_{}", company.realm_id())
}

/// Sends a process a signal, by its name with a dash.
pub(crate) fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Waits until a process has ended, on a thread of its own: the emulators run in this process. It must end well.
pub(crate) async fn wait(child: Child) {
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert!(ended.status.success(), "{}: {}", ended.status, String::from_utf8_lossy(&ended.stderr));
}

impl House {
    /// So many companies of this shape, no two alike.
    pub(crate) async fn new(shape: &Shape, companies: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        let database = TempPostgres::shared().await.database().await;
        let (client, connection) = database.config().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        let mut house = Self { companies: Vec::new(), database, client, home };
        house.vault("fleet", &[(SecretName::PgPassword, house.database.password())]).await;
        for number in 0..companies {
            let options = SandboxOptions {
                realm_id: format!("{}", 9_130_000_000_000_001 + number as u64),
                // A kill between the answer with a new token and the disk ends a consent whose old token is refused: nobody
                // can promise otherwise, and it is not what is looked at here.
                oauth: OauthOptions { rotation: Rotation::Never, ..OauthOptions::default() },
                ..Default::default()
            };
            let company = Company::generate(number as u64, shape);
            house.companies.push(Sandbox::start(company, options).await.unwrap());
        }
        for company in &house.companies {
            let credentials = company.credentials();
            let secrets = [
                (SecretName::QboClientId, credentials.client_id.as_str()),
                (SecretName::QboClientSecret, &credentials.client_secret),
                (SecretName::QboRefreshToken, &credentials.refresh_token),
            ];
            house.vault(&credentials.realm_id, &secrets).await;
        }
        std::fs::write(house.home.path().join("fleet.toml"), house.roster()).unwrap();
        house
    }

    async fn vault(&self, name: &str, secrets: &[(SecretName, &str)]) {
        let (vault, key) =
            (self.home.path().join("vaults").join(name), self.home.path().join("keys").join(name));
        let vault = SealedVault::init(&vault, Unlock::KeyFile(key)).unwrap();
        for (name, value) in secrets {
            vault.set(*name, (*value).into()).await.unwrap();
        }
    }

    fn roster(&self) -> String {
        let head = format!("database = \"{}\"\nvaults = \"vaults\"\nkeys = \"keys\"\n", self.database.url());
        let company = |company: &Sandbox| {
            let (realm, url) = (company.realm_id(), company.url());
            format!("[[company]]\nrealm = \"{realm}\"\nenvironment = \"sandbox\"\nemulator = \"{url}\"\n")
        };
        std::iter::once(head).chain(self.companies.iter().map(company)).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(self.home.path()).args(arguments).stdin(Stdio::null());
        command
    }

    /// Puts all jobs into the queue, and returns what it said.
    pub(crate) async fn enqueue(&self) -> String {
        let mut arguments = vec!["enqueue", "--from", "2024-01-01", "--to", "2025-01-01", "--chunk", "month"];
        arguments.extend(PIPELINES.map(|(pipeline, _)| pipeline));
        let mut command = self.command(&arguments);
        let ended = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).unwrap()
    }

    pub(crate) fn worker(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(&["--log-level", "error", "worker"]);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The queue forgets what is done. From here on it is written down, in the transaction that ends a job; and so is a job
    /// that is taken while another one of its company is worked on.
    pub(crate) async fn keep_books(&self) {
        let books = "
            CREATE SCHEMA books;
            CREATE TABLE books.done AS SELECT id, key, payload::text, last_error FROM fleet_queue._private_jobs WITH NO DATA;
            CREATE TABLE books.together (id bigint);
            CREATE FUNCTION books.done() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO books.done VALUES (old.id, old.key, old.payload::text, old.last_error);
                RETURN NULL;
            END $$;
            CREATE FUNCTION books.together() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO books.together SELECT id FROM fleet_queue._private_jobs
                    WHERE payload->>'company' = new.payload->>'company' AND id <> new.id AND locked_by IS NOT NULL;
                RETURN NULL;
            END $$;
            CREATE TRIGGER done AFTER DELETE ON fleet_queue._private_jobs FOR EACH ROW EXECUTE FUNCTION books.done();
            CREATE TRIGGER together AFTER UPDATE ON fleet_queue._private_jobs FOR EACH ROW
                WHEN (old.locked_by IS NULL AND new.locked_by IS NOT NULL) EXECUTE FUNCTION books.together();";
        self.client.batch_execute(books).await.unwrap();
    }

    /// Why jobs did not end.
    pub(crate) async fn errors(&self) -> Vec<Option<String>> {
        let rows =
            self.client.query("SELECT last_error FROM fleet_queue.jobs ORDER BY id", &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Uses up the attempts of all jobs.
    pub(crate) async fn give_up(&self) {
        let all = "UPDATE fleet_queue._private_jobs SET attempts = max_attempts, run_at = now() + interval '6 hours'";
        self.client.batch_execute(all).await.unwrap();
    }

    pub(crate) async fn number(&self, sql: &str) -> usize {
        let number: i64 = self.client.query_one(sql, &[]).await.unwrap().get(0);
        usize::try_from(number).unwrap()
    }

    /// Every record of the company is in its tables, as it is and once, and nothing else is; each pipeline was one run; and no
    /// limit was passed.
    pub(crate) async fn expect_whole(&self, company: &Sandbox) {
        let schema = schema(company);
        for (entity, table) in PIPELINES {
            let (ids, payloads): (Vec<_>, Vec<_>) = company.with_company(|company| {
                let text = |record: &fixtures::Record| {
                    String::from_utf8(record.payload_with_sku().to_vec()).unwrap()
                };
                company.records(entity).map(|record| (record.id.clone(), text(record))).unzip()
            });
            let same = format!(
                "SELECT count(*) FROM unnest($1::text[], $2::text[]) AS record (id, payload)
                 JOIN {schema}.{table} AS stored ON stored.id = record.id AND stored.payload = record.payload::jsonb"
            );
            let same: i64 = self.client.query_one(&same, &[&ids, &payloads]).await.unwrap().get(0);
            let same = usize::try_from(same).unwrap();
            let rows = self.number(&format!("SELECT count(*) FROM {schema}.{table}")).await;
            assert_eq!((same, rows), (ids.len(), ids.len()), "{schema}.{table}");
        }
        let open = format!("SELECT count(*) FROM {schema}.backfill_log WHERE status <> 'completed'");
        assert_eq!(self.number(&open).await, 0, "{schema}");
        let runs = format!("SELECT count(*) FROM {schema}.backfill_run");
        assert_eq!(self.number(&runs).await, PIPELINES.len(), "{schema}");
        let read = format!("SELECT sum(records_read)::bigint FROM {schema}.backfill_log");
        let there = company
            .with_company(|company| PIPELINES.map(|(entity, _)| company.count(entity)).iter().sum::<usize>());
        assert_eq!(self.number(&read).await, there, "{schema}: an overlap was counted twice");
        assert_eq!(company.violations(), 0, "{schema}: the limits of the API were passed");
    }

    /// Nothing that opens a company was ever in the queue.
    pub(crate) async fn expect_no_secrets(&self) {
        let rows =
            self.client.query("SELECT key || payload || coalesce(last_error, '') FROM books.done", &[]).await;
        let text: String = rows.unwrap().iter().map(|row| row.get::<_, String>(0)).collect();
        for company in &self.companies {
            assert!(text.contains(company.realm_id()));
            for secret in company.issued().iter().chain([&company.credentials().client_secret]) {
                assert!(!text.contains(secret.as_str()));
            }
        }
    }
}

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_fleet"))
}
