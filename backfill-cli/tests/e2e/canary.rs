//! A whole life, ending in every way, whose secrets are looked for wherever they could have been left, in whatever
//! spelling.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use fixtures::{CallKind, Fault, Gate, Hostile, Rule, SandboxOptions, Shape};

use crate::house::{House, LOADER_PASSWORD, THREE, YEAR};

/// Looks for secrets in every spelling.
struct Scanner(Vec<(String, String)>);

impl Scanner {
    fn new(secrets: &BTreeSet<String>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets {
            assert!(secret.len() >= 12, "too short to be told from chance");
            let mut add = |how: &str, needle: String| {
                needles.push((format!("{how} of the secret that begins {:?}", &secret[..4]), needle));
            };
            add("the text", secret.clone());
            add("the reverse", secret.chars().rev().collect());
            add("the hexadecimal", hex(secret.as_bytes()));
            add("the upper-case hexadecimal", hex(secret.as_bytes()).to_uppercase());
            add("the JSON", json(secret));
            add("the ASCII JSON", ascii_json(secret));
            add("the URL form", url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
            add("the percent form", percent(secret));
            for (name, engine) in
                [("base64", &BASE64_STANDARD_NO_PAD), ("base64url", &BASE64_URL_SAFE_NO_PAD)]
            {
                for phase in 0..3 {
                    add(name, phased(engine, secret, phase));
                }
            }
        }
        Self(needles)
    }

    /// What is found in some bytes.
    fn find(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(bytes);
        let found = self.0.iter().filter(|(_, needle)| text.contains(needle));
        found.map(|(what, _)| format!("{place}: {what}")).collect()
    }

    /// What is found in the files of a folder and of its folders.
    fn find_below(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                found.extend(self.find_below(&path));
            } else if let Ok(bytes) = std::fs::read(&path) {
                found.extend(self.find(&path.display().to_string(), &bytes));
            }
        }
        found
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn ascii_json(text: &str) -> String {
    json(text).replace('/', "\\/").replace('é', "\\u00e9")
}

fn percent(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The part of an encoding that is the same whatever stands before and behind.
fn phased(engine: &impl base64::Engine, text: &str, phase: usize) -> String {
    let padded = [&vec![0; phase], text.as_bytes()].concat();
    let encoded = engine.encode(&padded);
    let (start, end) = ([0, 2, 3][phase], padded.len() * 8 / 6);
    encoded[start..end].to_owned()
}

/// All that a life leaves behind.
#[derive(Default)]
struct Traces(Vec<(String, Vec<u8>)>);

impl Traces {
    fn keep(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.into(), bytes.into()));
    }

    /// Runs a command, and keeps what it says and what the system shows of it meanwhile. Returns the place of the
    /// latter.
    async fn run(&mut self, mut command: Command, input: &str, code: i32) -> usize {
        let (input, words) =
            (input.to_owned(), format!("{:?}", command.get_args().take(2).collect::<Vec<_>>()));
        let work = move || {
            use std::io::Write as _;
            let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = piped.spawn().unwrap();
            let seen = |what: &str| std::fs::read(format!("/proc/{}/{what}", child.id())).unwrap_or_default();
            let shown = [seen("cmdline"), seen("environ")];
            let _ = writeln!(child.stdin.take().unwrap(), "{input}");
            (shown, child.wait_with_output().unwrap())
        };
        let (shown, output) = tokio::task::spawn_blocking(work).await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        let place = self.0.len();
        let [arguments, environment] = shown;
        self.keep(format!("environment, {words}"), environment);
        self.keep(format!("process list, {words}"), arguments);
        self.keep(format!("stdout, {words}"), output.stdout);
        self.keep(format!("stderr, {words}"), output.stderr);
        place
    }

    /// All tables, payloads included, and what the server says of its sessions.
    async fn dump(&mut self, house: &House) {
        let tables = "SELECT quote_ident(relname) FROM pg_class WHERE relnamespace = 'raw'::regnamespace AND relkind = 'r'";
        let tables: Vec<String> = house.query(tables).await.iter().map(|row| row.get(0)).collect();
        assert!(tables.len() > 12);
        for table in tables.iter().map(|table| format!("raw.{table}")).chain(["pg_stat_activity".into()]) {
            let sql = format!("SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {table} t");
            self.keep(table, house.query(&sql).await[0].get::<_, String>(0));
        }
    }

    fn found(&self, scanner: &Scanner) -> Vec<String> {
        self.0.iter().flat_map(|(place, bytes)| scanner.find(place, bytes)).collect()
    }
}

/// A run that finds its pipelines held.
async fn held(house: &House, traces: &mut Traces, mut run: Command) {
    let holder = house.client().await;
    let take = "UPDATE raw.backfill_lease SET (backend_pid, backend_started_at, holder, lease_until_utc) = \
                (SELECT pid, backend_start, 'another process', NULL::timestamptz FROM pg_stat_activity WHERE pid = pg_backend_pid())";
    assert!(holder.execute(take, &[]).await.unwrap() > 0);
    run.args(["--wait", "0"]);
    traces.run(run, "", 9).await;
}

/// A login that succeeds: the address that a browser would show is pasted.
async fn logged_in(house: &House, traces: &mut Traces, mut login: Command) {
    let (code, realm) = (house.sandbox.authorization_code(), house.sandbox.realm_id().to_owned());
    let work = move || {
        use std::io::{BufRead as _, Read as _, Write as _};
        let piped = login.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let (mut said, mut heard) = (std::io::BufReader::new(child.stderr.take().unwrap()), String::new());
        let state = loop {
            let mut line = String::new();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "ended early: {heard}");
            heard += &line;
            let page = line.trim().parse::<url::Url>().ok();
            let state = page.and_then(|page| {
                page.query_pairs().find(|(name, _)| name == "state").map(|p| p.1.into_owned())
            });
            if let Some(state) = state {
                break state;
            }
        };
        let back = format!("https://books.example/callback?code={code}&state={state}&realmId={realm}");
        writeln!(child.stdin.take().unwrap(), "{back}").unwrap();
        said.read_to_string(&mut heard).unwrap();
        (heard, child.wait_with_output().unwrap())
    };
    let (heard, output) = tokio::task::spawn_blocking(work).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{heard}");
    traces.keep("stdout of a login", output.stdout);
    traces.keep("stderr of a login", heard);
}

/// A run that is told to stop while it waits for an answer.
async fn stopped(house: &House, traces: &mut Traces, mut run: Command, signal: &str, code: i32) {
    let gate = Gate::new();
    house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())));
    let child = run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    gate.arrived().await;
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    gate.open();
    assert_eq!(ended.status.code(), Some(code), "{}", String::from_utf8_lossy(&ended.stderr));
    traces.keep("stdout of a stopped run", ended.stdout);
    traces.keep("stderr of a stopped run", ended.stderr);
}

#[expect(clippy::too_many_lines, reason = "one life, told from its beginning to its end")]
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_ever_seen_whatever_happens() {
    let shape = Shape::default().with_counts(40, 10, 5).with_hostile("Invoice", Hostile::NulEscape);
    let house = House::without_consent(&shape, SandboxOptions::default()).await;
    let database = house.make_roles().await;
    let temporary = house.home().join("tmp");
    std::fs::create_dir(&temporary).unwrap();

    let url = house.sandbox.url();
    let at = |words: &[&str]| {
        let mut command = house.command(words);
        command.env("TMPDIR", &temporary).env("RUST_BACKTRACE", "full").env("RUST_LOG", "trace");
        command.args(["--api-url", &url, "--oauth-url", &url, "--database", &database]);
        command.args(["--log-level", "trace"]);
        command
    };
    let run = |more: &[&str]| at(&[&["run", "--force"], &THREE[..], &YEAR[..], more].concat());
    let mut traces = Traces::default();

    traces.run(at(&["secrets", "set", "PG_PASSWORD"]), LOADER_PASSWORD, 0).await;
    traces.run(at(&["run", "Item", "--from", "2024-01-01", "--to", "2024-02-01"]), "", 2).await;
    let login = ["auth", "login", "--no-browser", "--redirect-url", "https://books.example/callback"];
    let code = house.sandbox.authorization_code();
    let pasted = format!("https://books.example/callback?code={code}&state=false&realmId=1");
    traces.run(at(&login), &pasted, 4).await;
    logged_in(&house, &mut traces, at(&login)).await;
    traces.run(at(&["secrets", "rm", "QBO_REALM_ID"]), "", 0).await;
    let first = house.sandbox.current_refresh_token();
    traces.run(at(&["secrets", "set", "QBO_REFRESH_TOKEN"]), &first, 0).await;
    traces.run(at(&["secrets", "set", "QBO_REALM_ID"]), house.sandbox.realm_id(), 0).await;
    // A refresh with rotation, and records that cannot be rows.
    traces.run(run(&[]), "", 3).await;
    house.sandbox.expire_access_tokens();
    traces.run(run(&["--output", "json", "--log-format", "json"]), "", 3).await;
    for words in
        [&["report"][..], &["report", "--format", "json"], &["status"], &["runs"], &["auth", "status"]]
    {
        traces.run(at(words), "", 0).await;
    }
    for words in
        [&["secrets", "list"][..], &["secrets", "export-public-info"], &["doctor"], &["auth", "refresh"]]
    {
        traces.run(at(words), "", 0).await;
    }
    traces.run(at(&["secrets", "set", "PG_PASSWORD"]), "another false password", 0).await;
    traces.run(run(&[]), "", 7).await;
    traces.run(at(&["secrets", "set", "PG_PASSWORD"]), LOADER_PASSWORD, 0).await;
    house
        .sandbox
        .faults()
        .push(Rule::on(CallKind::Query, Fault::Gateway { status: 403, code: "3100".into() }));
    traces.run(run(&[]), "", 5).await;
    let foreign = house.home().join("foreign.key");
    std::fs::copy(house.data().join("vault.key"), &foreign).unwrap();
    traces.run(at(&["secrets", "rekey"]), "", 0).await;
    traces.run(run(&["--vault-key-file", foreign.to_str().unwrap()]), "", 8).await;
    held(&house, &mut traces, run(&[])).await;
    stopped(&house, &mut traces, run(&[]), "-TERM", 143).await;
    stopped(&house, &mut traces, run(&[]), "-INT", 130).await;
    house.sandbox.expire_access_tokens();
    house.sandbox.faults().push(Rule::on(CallKind::Token, Fault::Html { status: 503 }).always());
    traces.run(run(&[]), "", 6).await;
    house.sandbox.faults().clear();
    if cfg!(feature = "points") {
        // In a task, and on a thread for files.
        for point in ["refresh.stored", "vault.write"] {
            house.sandbox.expire_access_tokens();
            let mut broken = run(&[]);
            // The message quotes what a careless one could.
            let quoted = format!("{} {LOADER_PASSWORD}", house.sandbox.current_refresh_token());
            broken.env("QBO_BACKFILL_POINT", format!("{point}=panic:{quoted}"));
            let shown = traces.run(broken, "", 70).await;
            // The variable is the test's own doing.
            traces.0.remove(shown);
        }
        house.sandbox.expire_access_tokens();
        let mut leaky = run(&[]);
        leaky.env("QBO_BACKFILL_POINT", format!("refresh.stored=print:{LOADER_PASSWORD}"));
        let mut leak = Traces::default();
        let shown = leak.run(leaky, "", 3).await;
        leak.0.remove(shown);
        let found = leak.found(&Scanner::new(&BTreeSet::from([LOADER_PASSWORD.to_owned()])));
        assert_eq!(found.len(), 1, "a leak of the program itself was not found: {found:?}");
    }
    house.sandbox.faults().push(Rule::on(CallKind::Revoke, Fault::Html { status: 503 }));
    traces.run(at(&["auth", "revoke", "--yes"]), "", 6).await;
    house.sandbox.revoke_grant();
    traces.run(run(&[]), "", 4).await;
    // The same in a vault that lies in the database.
    let (shared_key, passfile) = (house.home().join("shared.key"), house.home().join("pgpass"));
    std::fs::write(&passfile, format!("*:*:*:*:{}", LOADER_PASSWORD.replace('\\', "\\\\"))).unwrap();
    std::fs::set_permissions(&passfile, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let shared = |words: &[&str]| {
        let mut command = at(words);
        command.env("PGPASSFILE", &passfile);
        command.args(["--vault", "postgres", "--vault-key-file", shared_key.to_str().unwrap()]);
        command
    };
    traces.run(shared(&["secrets", "init"]), "", 0).await;
    for (name, value) in [
        ("QBO_CLIENT_SECRET", house.sandbox.credentials().client_secret),
        ("QBO_REFRESH_TOKEN", house.sandbox.current_refresh_token()),
    ] {
        traces.run(shared(&["secrets", "set", name]), &value, 0).await;
    }
    traces.dump(&house).await;
    let environments = traces.0.iter().filter(|(place, _)| place.starts_with("environment"));
    assert!(environments.into_iter().any(|(_, seen)| !seen.is_empty()), "no environment was ever read");

    let mut secrets: BTreeSet<String> = house.sandbox.issued().into_iter().collect();
    assert!(secrets.len() > 6, "tokens were issued and rotated");
    std::fs::remove_file(passfile).unwrap();
    let keys = [foreign, house.data().join("vault.key"), shared_key];
    secrets.extend(
        keys.iter().map(|key| std::fs::read_to_string(key).unwrap().lines().last().unwrap().to_owned()),
    );
    secrets.extend([
        house.sandbox.credentials().client_secret,
        LOADER_PASSWORD.into(),
        "another false password".into(),
    ]);
    for key in keys {
        std::fs::remove_file(key).unwrap();
    }
    let scanner = Scanner::new(&secrets);
    let found = [traces.found(&scanner), scanner.find_below(house.home())].concat();
    assert!(found.is_empty(), "{found:#?}");

    // The same look finds each secret where one is planted, in each spelling.
    for secret in &secrets {
        let basic = BASE64_STANDARD_NO_PAD.encode(format!("some-id:{secret}"));
        for planted in [secret.clone(), json(secret), percent(secret), hex(secret.as_bytes()), basic] {
            let mut leak = Traces::default();
            leak.keep("planted", format!("… {planted} …"));
            assert!(!leak.found(&scanner).is_empty(), "a planted leak was not found");
        }
    }
}
