//! Real processes that refresh against one vault file, killed anywhere: the vault is always whole, and a token is
//! lost only where nobody could have kept it.
//!
//! The children are this test program, started again for the ignored test `child`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "children are told by their environment what to do")]

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fixtures::{Company, OauthOptions, Sandbox, SandboxOptions, Shape};
use qbo_auth::{
    ClientId, ClientSecret, Clock, Endpoints, Environment, ExposeSecret, OauthEndpoint, RefreshToken,
    RefreshingProvider, SealedVault, SecretName, SecretVault, SystemClock, TokenProvider, TokenSet,
    TokenVault,
};
use tempfile::TempDir;

/// Every named point of the refresh, in the order in which they are passed.
const POINTS: [&str; 12] = [
    "refresh.lock",
    "refresh.locked",
    "vault.write",
    "vault.written",
    "vault.rename",
    "vault.renamed",
    "vault.durable",
    "refresh.intended",
    "refresh.call",
    "refresh.sent",
    "refresh.answered",
    "refresh.stored",
];

/// One vault, one emulated company, and the processes between them.
struct Scene {
    sandbox: Sandbox,
    folder: TempDir,
}

impl Scene {
    async fn new(grace: bool) -> Self {
        let oauth = OauthOptions { previous_stays_valid: grace, ..OauthOptions::default() };
        let options = SandboxOptions { oauth, ..SandboxOptions::default() };
        let sandbox = Sandbox::start(Company::generate(1, &Shape::empty()), options).await.unwrap();
        let scene = Self { sandbox, folder: tempfile::tempdir().unwrap() };
        SealedVault::init(&scene.path("vault"), &scene.path("key")).unwrap();
        scene.consent().await;
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn vault(&self) -> SealedVault {
        SealedVault::open(&self.path("vault"), &self.path("key")).unwrap()
    }

    /// What the vault holds. It can always be read.
    async fn stored(&self) -> TokenSet {
        self.vault().load().await.unwrap().unwrap()
    }

    async fn consent(&self) {
        let token = self.sandbox.current_refresh_token();
        self.vault().set(SecretName::QboRefreshToken, token.into()).await.unwrap();
    }

    /// Waits until whatever a killed process had sent has had its effect: connections are taken in the order in which
    /// they were made, so those of the dead are known once one of our own is answered.
    async fn settle(&self) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut own = tokio::net::TcpStream::connect(("127.0.0.1", self.sandbox.port())).await.unwrap();
        own.write_all(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.unwrap();
        own.read_to_end(&mut Vec::new()).await.unwrap();
        drop(own);
        let quiet = async {
            while self.sandbox.open_connections() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), quiet).await.unwrap();
    }

    /// Whether the vault holds the token that Intuit would accept without any grace.
    async fn holds_the_newest(&self) -> bool {
        self.stored().await.refresh == RefreshToken::new(self.sandbox.current_refresh_token())
    }

    fn child(&self, role: &str) -> Process {
        let credentials = self.sandbox.credentials();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
            .env("REFRESH_ROLE", role)
            .env("REFRESH_FOLDER", self.folder.path())
            .env("REFRESH_URL", self.sandbox.url())
            // The emulator's, and false: this is no way to give a real program its keys.
            .env("REFRESH_CLIENT", format!("{} {}", credentials.client_id, credentials.client_secret))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Process { child, lines }
    }
}

struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Process {
    /// Reads on until a line that begins with `word`; what follows it, or `None` at the end of the output.
    fn wait_for(&mut self, word: &str) -> Option<String> {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            // The test harness prints the test's name before the first line.
            if let Some((_, rest)) = line.split_once(word) {
                return Some(rest.trim().to_owned());
            }
            line.clear();
        }
        None
    }

    fn go(&mut self) {
        writeln!(self.child.stdin.as_ref().unwrap(), "go").unwrap();
    }

    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.lines().map_while(Result::ok).collect()
    }
}

/// What a child does, by `REFRESH_ROLE`: `loop` refreshes without end, `once` refreshes once, a `point`, with the
/// number of the time at which it stays there for ever.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the body of the processes that the other tests start"]
async fn child() {
    let variable = |name| env::var(name).unwrap();
    let role = variable("REFRESH_ROLE");
    let folder = PathBuf::from(variable("REFRESH_FOLDER"));
    let url = variable("REFRESH_URL");
    let client = variable("REFRESH_CLIENT");
    let (id, secret) = client.split_once(' ').unwrap();

    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let endpoints = Endpoints::of(Environment::Sandbox).with_oauth(&url).unwrap();
    let endpoint = OauthEndpoint::new(endpoints, ClientId::new(id), ClientSecret::new(secret)).unwrap();
    let vault = Arc::new(SealedVault::open(&folder.join("vault"), &folder.join("key")).unwrap());
    let provider = Arc::new(RefreshingProvider::new(vault.clone(), Arc::new(endpoint), clock));
    say("ready");
    // Started together, held back until all are there.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    match role.as_str() {
        "loop" => loop {
            let token = provider.access_token().await.unwrap();
            say(&format!("stored {}", vault.load().await.unwrap().unwrap().generation));
            provider.invalidate(&token).await;
        },
        "storm" => {
            let tasks: Vec<_> = (0..50)
                .map(|_| {
                    let provider = provider.clone();
                    tokio::spawn(async move { provider.access_token().await.unwrap() })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            say("weathered");
        }
        _ => {
            failpoint::at_every_point(stay_at_the_point);
            provider.access_token().await.unwrap();
            say("missed");
        }
    }
}

/// Stops for ever at the point of `REFRESH_ROLE`, at its second time if the name ends in `*`.
fn stay_at_the_point(reached: &str) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static TIMES: AtomicU32 = AtomicU32::new(0);
    let role = env::var("REFRESH_ROLE").unwrap();
    let wanted = role.trim_end_matches('*');
    let skipped = u32::try_from(role.len() - wanted.len()).unwrap();
    if reached == wanted && TIMES.fetch_add(1, Ordering::SeqCst) == skipped {
        say("there");
        loop {
            std::thread::park();
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Kills a refreshing process again and again; returns how often the newest token was lost.
async fn killed_at_random(scene: &Scene, kills: u32) -> u32 {
    let mut lost = 0;
    for kill in 0..kills {
        let mut process = scene.child("loop");
        process.wait_for("ready").unwrap();
        let calls_before = scene.sandbox.token_calls();
        process.go();
        // Spread over the first refreshes by a fixed sequence, so that every run tries the same moments.
        tokio::time::sleep(Duration::from_micros(u64::from(kill.wrapping_mul(2_654_435_761) % 25_000))).await;
        let said = process.kill();
        scene.settle().await;

        let stored = scene.stored().await;
        let durable = said.iter().filter_map(|line| line.split_once("stored ")?.1.parse::<u64>().ok()).max();
        assert!(durable.is_none_or(|durable| durable <= stored.generation), "a stored set went back");
        if !scene.holds_the_newest().await {
            lost += 1;
            assert!(scene.sandbox.token_calls() > calls_before, "nothing was issued, and the newest is lost");
            assert!(stored.intent.is_some(), "a token is lost outside a refresh");
        }
        recover(scene).await;
    }
    lost
}

/// The next start after a kill: with grace it works; without, it works or says that a consent is needed.
async fn recover(scene: &Scene) {
    let had_the_newest = scene.holds_the_newest().await;
    let credentials = scene.sandbox.credentials();
    let endpoints = Endpoints::of(Environment::Sandbox).with_oauth(&scene.sandbox.url()).unwrap();
    let (id, secret) = (ClientId::new(credentials.client_id), ClientSecret::new(credentials.client_secret));
    let endpoint = Arc::new(OauthEndpoint::new(endpoints, id, secret).unwrap());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let calls_before = scene.sandbox.token_calls();
    let outcome = RefreshingProvider::new(Arc::new(scene.vault()), endpoint, clock).access_token().await;
    assert!(scene.sandbox.token_calls() - calls_before <= 2, "at most two answered calls");
    if let Err(error) = outcome {
        assert!(!had_the_newest, "the newest token was there and the start failed");
        assert_eq!(error.advice(), qbo_auth::Advice::Reauthorise);
        scene.consent().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_grace_for_the_previous_token_no_kill_costs_the_consent() {
    let scene = Scene::new(true).await;
    let consents = scene.stored().await.bootstrap;
    let lost = killed_at_random(&scene, 250).await;
    assert_eq!(
        scene.stored().await.bootstrap,
        consents,
        "no new consent was needed, although {lost} answers were lost"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_grace_a_kill_costs_the_consent_only_between_issue_and_rename() {
    let scene = Scene::new(false).await;
    let lost = killed_at_random(&scene, 250).await;
    assert!(lost > 0, "no kill fell between issue and rename: this test proves nothing on this machine");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_named_point_the_vault_is_whole_and_nothing_is_lost_but_an_answer_in_hand() {
    for grace in [true, false] {
        let scene = Scene::new(grace).await;
        // The vault is written twice: the note, then the token. Stars choose the second time.
        let second_times =
            POINTS.iter().filter(|point| point.starts_with("vault.")).map(|point| format!("{point}*"));
        for role in POINTS.iter().map(|point| (*point).to_owned()).chain(second_times) {
            // The access token of the set is refused, so that a refresh is needed.
            let fresh = scene.stored().await;
            scene.vault().store(&TokenSet { access: None, ..fresh }).await.unwrap();
            let mut process = scene.child(&role);
            process.wait_for("ready").unwrap();
            process.go();
            assert!(process.wait_for("there").is_some(), "{role} was not reached");
            process.kill();
            scene.settle().await;
            let in_hand =
                ["refresh.sent", "refresh.answered", "vault.write*", "vault.written*", "vault.rename*"];
            assert_eq!(scene.holds_the_newest().await, !in_hand.contains(&role.as_str()), "{role}");
            recover(&scene).await;
            let leftovers: Vec<_> = std::fs::read_dir(scene.folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.starts_with('.'))
                .collect();
            assert!(leftovers.is_empty(), "{role} left {leftovers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tasks_in_twenty_processes_that_meet_an_expired_token_make_one_call() {
    let scene = Scene::new(false).await;
    let mut processes: Vec<_> = (0..20).map(|_| scene.child("storm")).collect();
    for process in &mut processes {
        process.wait_for("ready").unwrap();
    }
    for process in &mut processes {
        process.go();
    }
    for process in &mut processes {
        process.wait_for("weathered").unwrap();
    }
    for process in processes {
        process.kill();
    }
    assert_eq!(scene.sandbox.token_calls(), 1);
    assert!(scene.holds_the_newest().await);
    let kept = scene.vault().get(SecretName::QboRefreshToken).await.unwrap().unwrap();
    assert_eq!(kept.expose_secret(), scene.sandbox.current_refresh_token());
}
