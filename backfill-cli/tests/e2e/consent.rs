//! A consent from the page to the vault, and its end.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Stdio};

use fixtures::{CallKind, Fault, Gate, Rule, SandboxOptions, Shape};
use url::Url;

use crate::house::{Ended, House, with_stdin};

/// A login that waits for its person.
pub(crate) struct Login {
    child: Child,
    stderr: BufReader<ChildStderr>,
    heard: String,
    /// Where the person is sent to.
    pub(crate) page: Url,
}

impl Login {
    /// Starts a login, and reads as far as the address of the page.
    pub(crate) async fn start(house: &House, more: &[&str]) -> Self {
        let mut command = house.command(&["auth", "login", "--no-browser", "--port", "0"]);
        command.args(more).args(house.addresses()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let reading = move || {
            let mut child = command.spawn().unwrap();
            let mut login =
                (BufReader::new(child.stderr.take().unwrap()), String::new(), Option::<Url>::None);
            while !login.1.contains("waiting for the answer") {
                let mut line = String::new();
                assert_ne!(login.0.read_line(&mut line).unwrap(), 0, "ended early: {}", login.1);
                login.2 = line.trim().parse().ok().filter(|url: &Url| url.scheme() == "http").or(login.2);
                login.1 += &line;
            }
            Self { child, stderr: login.0, heard: login.1, page: login.2.unwrap() }
        };
        tokio::task::spawn_blocking(reading).await.unwrap()
    }

    fn parameter(&self, name: &str) -> String {
        self.page.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
    }

    /// The address a person comes back to, with other parameters than Intuit's.
    fn back(&self, query: &str) -> String {
        let query = query.replace("STATE", &self.parameter("state"));
        format!("{}?{query}", self.parameter("redirect_uri"))
    }

    /// Reads on until it says this.
    async fn hear(mut self, word: &'static str) -> Self {
        let reading = move || {
            let mut line = String::new();
            while !line.contains(word) {
                line.clear();
                assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "it never said {word:?}");
                self.heard += &line;
            }
            self
        };
        tokio::task::spawn_blocking(reading).await.unwrap()
    }

    pub(crate) async fn end(mut self) -> Ended {
        let waiting = move || {
            self.stderr.read_to_string(&mut self.heard).unwrap();
            let mut ended = Ended::from(self.child.wait_with_output().unwrap());
            ended.stderr = self.heard;
            ended
        };
        tokio::task::spawn_blocking(waiting).await.unwrap()
    }
}

/// A browser that goes where it is sent.
pub(crate) async fn visit(address: &str) -> reqwest::Response {
    let browser = reqwest::Client::builder().no_proxy().build().unwrap();
    browser.get(address).send().await.unwrap()
}

async fn unconsented() -> House {
    House::without_consent(&Shape::empty(), SandboxOptions::default()).await
}

const MONTH: [&str; 6] = ["run", "Invoice", "--from", "2024-01-01", "--to", "2024-02-01"];

#[tokio::test(flavor = "multi_thread")]
async fn a_person_consents_and_everything_is_there_for_a_run() {
    let house = unconsented().await;
    let early = house.at(&MONTH).await.expect(2);
    assert!(early.error().contains("auth login"), "{}", early.error());
    house.run(&["auth", "status"]).await.expect(4);

    let login = Login::start(&house, &[]).await;
    assert_eq!(login.page.path(), "/connect/oauth2");
    assert_eq!(login.parameter("scope"), "com.intuit.quickbooks.accounting");
    let elsewhere = visit(&login.back("").replace("callback", "favicon.ico")).await;
    assert_eq!(elsewhere.status(), 404);
    let page = visit(login.page.as_str()).await;
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["cache-control"], "no-store");
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");
    assert!(page.text().await.unwrap().contains("QuickBooks is connected"));
    let ended = login.end().await.expect(0);
    let company = house.sandbox.realm_id();
    assert!(ended.stdout.contains(company), "{}", ended.stdout);
    for secret in [house.sandbox.current_refresh_token(), house.sandbox.credentials().client_secret] {
        assert!(!ended.stdout.contains(&secret) && !ended.stderr.contains(&secret));
    }

    // The exchange brought a token; no refresh is needed.
    house.at(&MONTH).await.expect(0);
    assert_eq!(house.sandbox.token_calls(), 1);
    let status = house.run(&["auth", "status", "--output", "json"]).await.expect(0);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!((status["realm"].as_str(), status["environment"].as_str()), (Some(company), Some("sandbox")));
    assert_eq!(
        (&status["refresh_token_days_left"], &status["consent_days_left"]),
        (&100.into(), &1824.into())
    );

    let refreshed = house.at(&["auth", "refresh", "--output", "json"]).await.expect(0);
    let refreshed: serde_json::Value = serde_json::from_str(&refreshed.stdout).unwrap();
    assert_eq!(house.sandbox.token_calls(), 2);
    assert_eq!(refreshed["generation"].as_u64(), status["generation"].as_u64().map(|number| number + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callback_listens_on_this_machine_alone_and_takes_one_answer() {
    let house = unconsented().await;
    let gate = Gate::new();
    house.sandbox.faults().push(Rule::on(CallKind::Token, Fault::Held(gate.clone())));
    let login = Login::start(&house, &[]).await;
    let port = login.parameter("redirect_uri").parse::<Url>().unwrap().port().unwrap();
    // Also an address of this machine, and not the one: whoever listens on all of them would answer.
    let elsewhere = tokio::net::TcpStream::connect(("127.0.0.2", port)).await;
    assert_eq!(elsewhere.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);

    let page = login.page.to_string();
    let first = tokio::spawn(async move { visit(&page).await.status() });
    gate.arrived().await;
    let again = visit(&login.back("code=another&state=STATE&realmId=1")).await;
    assert_eq!(again.status(), 410);
    gate.open();
    assert_eq!(first.await.unwrap(), 200);
    login.end().await.expect(0);
    assert_eq!(house.sandbox.token_calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_is_being_exchanged_outlives_every_signal() {
    let house = unconsented().await;
    let gate = Gate::new();
    house.sandbox.faults().push(Rule::on(CallKind::Token, Fault::Held(gate.clone())));
    let mut login = Login::start(&house, &[]).await;
    let page = login.page.to_string();
    let visitor = tokio::spawn(async move {
        let browser = reqwest::Client::builder().no_proxy().build().unwrap();
        // The process may be gone before its last page is fetched.
        drop(browser.get(page).send().await);
    });
    gate.arrived().await;
    for (name, word) in [("-TERM", "stopping"), ("-TERM", "at once")] {
        let kill = std::process::Command::new("kill").args([name, &login.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        login = login.hear(word).await;
    }
    gate.open();
    let ended = login.end().await;
    assert!([0, 143].contains(&ended.code), "{}", ended.stderr);
    visitor.await.unwrap();
    let newest = qbo_auth::RefreshToken::new(house.sandbox.current_refresh_token()).fingerprint();
    assert!(house.run(&["auth", "status"]).await.expect(0).stdout.contains(&newest));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_brings_no_consent_ends_the_login_and_nothing_is_stored() {
    let house = unconsented().await;
    let before = house.run(&["secrets", "list", "--output", "json"]).await.expect(0).stdout;
    let realm = house.sandbox.realm_id().to_owned();
    for (query, word) in [
        ("error=access_denied&state=STATE".to_owned(), "not given"),
        ("code=false&state=STATE".to_owned(), "incomplete"),
        // A code that Intuit does not know, or that has been used.
        (format!("code=false-code&state=STATE&realmId={realm}"), "no longer valid"),
    ] {
        let login = Login::start(&house, &[]).await;
        let page = visit(&login.back(&query)).await;
        assert_eq!(page.status(), 400, "{query}");
        let ended = login.end().await.expect(4);
        let error = ended.error();
        assert!(error.contains("nothing was stored"), "{error}");
        assert!(error.contains(word), "{error}");
        assert!(!error.contains("false-code"), "{error}");
    }
    let late = Login::start(&house, &["--timeout", "1"]).await.end().await.expect(4);
    assert!(late.error().contains("no consent came within 1 s"), "{}", late.error());
    assert_eq!(house.run(&["secrets", "list", "--output", "json"]).await.stdout, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_know_the_state_is_answered_and_changes_nothing() {
    let house = unconsented().await;
    let realm = house.sandbox.realm_id().to_owned();
    let login = Login::start(&house, &[]).await;
    for query in [
        String::new(),
        "error=access_denied".to_owned(),
        "error=access_denied&state=other".to_owned(),
        format!("code=false&state=other&realmId={realm}"),
        format!("code=false&realmId={realm}"),
        format!("code=false&state=&realmId={realm}"),
        "state=other&state=STATE".to_owned(),
    ] {
        let page = visit(&login.back(&query)).await;
        assert_eq!(page.status(), 400, "{query}");
        assert!(page.text().await.unwrap().contains("does not belong to the login"), "{query}");
    }
    assert_eq!(visit(&login.back("").replace("callback", "robots.txt")).await.status(), 404);
    let port = login.parameter("redirect_uri").parse::<Url>().unwrap().port().unwrap();
    // More of them than are let in at once, who say nothing, or never come to an end.
    let mut strangers = Vec::new();
    for number in 0..100 {
        let mut stranger = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let said: &[u8] = if number % 2 == 0 { b"" } else { b"GET /callback?state=" };
        tokio::io::AsyncWriteExt::write_all(&mut stranger, said).await.unwrap();
        strangers.push(stranger);
    }
    let mut endless = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let _ = tokio::io::AsyncWriteExt::write_all(&mut endless, &vec![b'x'; 1 << 20]).await;

    assert_eq!(visit(login.page.as_str()).await.status(), 200);
    login.end().await.expect(0);
    house.at(&MONTH).await.expect(0);
    assert_eq!(house.sandbox.token_calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_loopback_addresses_are_the_logins_or_it_does_not_begin() {
    let Ok(squatter) = std::net::TcpListener::bind("[::1]:0") else {
        println!("skipped: this machine has no IPv6 loopback");
        return;
    };
    let house = unconsented().await;
    let taken = squatter.local_addr().unwrap().port();
    let refused = house.at(&["auth", "login", "--no-browser", "--port", &taken.to_string()]).await.expect(2);
    assert!(refused.error().contains("[::1]") && refused.error().contains("--port"), "{}", refused.error());

    let login = Login::start(&house, &[]).await;
    let port = login.parameter("redirect_uri").parse::<Url>().unwrap().port().unwrap();
    let code = house.sandbox.authorization_code();
    let query = format!("code={code}&state=STATE&realmId={}", house.sandbox.realm_id());
    let back = login.back(&query).replace("localhost", "[::1]");
    assert!(back.contains(&format!("[::1]:{port}")));
    assert_eq!(visit(&back).await.status(), 200);
    login.end().await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_keeps_to_its_company_and_a_consent_that_a_company_refuses_is_kept() {
    let house = unconsented().await;
    house.set_secret("QBO_REALM_ID", "424242").await.expect(0);
    let login = Login::start(&house, &[]).await;
    visit(login.page.as_str()).await;
    let other = login.end().await.expect(5);
    assert!(other.error().contains("this vault is for company 424242"), "{}", other.error());
    house.run(&["secrets", "rm", "QBO_REALM_ID"]).await.expect(0);

    // A company whose subscription has ended today: the code works once, and what it brought is kept.
    let ended = Fault::Json {
        status: 403,
        fault_type: "AuthorizationFault".into(),
        code: "6190".into(),
        message: "Subscription period has ended".into(),
    };
    house.sandbox.faults().push(Rule::on(CallKind::Query, ended));
    let login = Login::start(&house, &[]).await;
    visit(login.page.as_str()).await;
    let refused = login.end().await.expect(5);
    assert!(refused.error().contains("is stored, but"), "{}", refused.error());
    assert!(refused.error().contains("subscription"), "{}", refused.error());
    assert!(!refused.error().contains("nothing was stored"), "{}", refused.error());
    house.run(&["auth", "status"]).await.expect(0);
    // It has been renewed.
    house.at(&MONTH).await.expect(0);
    assert_eq!(house.sandbox.token_calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_can_be_pasted_where_only_https_is_taken() {
    let house = unconsented().await;
    let insecure = house.at(&["auth", "login", "--redirect-url", "http://books.example/x"]).await.expect(2);
    assert!(insecure.error().contains("https"), "{}", insecure.error());
    let paste = |answer: &'static str| {
        let words = ["auth", "login", "--no-browser", "--redirect-url", "https://books.example/callback"];
        let mut command = house.command(&words);
        command.args(house.addresses());
        with_stdin(command, answer)
    };
    paste("").await.expect(4);
    paste("not an address").await.expect(4);
    let foreign = paste("https://books.example/callback?code=c&state=s&realmId=1").await.expect(4);
    assert!(foreign.error().contains("wrong state"), "{}", foreign.error());
    assert!(foreign.stderr.contains("redirect_uri=https%3A%2F%2Fbooks.example%2Fcallback"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_is_ended_at_intuit_before_it_is_forgotten() {
    let house = House::new(&Shape::empty()).await;
    let unasked = house.at(&["auth", "revoke"]).await.expect(2);
    assert!(unasked.error().contains("--yes"), "{}", unasked.error());
    house.sandbox.faults().push(Rule::on(CallKind::Revoke, Fault::Html { status: 503 }));
    let unreachable = house.at(&["auth", "revoke", "--yes"]).await.expect(6);
    assert!(unreachable.error().contains("the vault is unchanged"), "{}", unreachable.error());
    house.run(&["auth", "status"]).await.expect(0);
    // A refusal that says nothing of the token has ended nothing.
    let other = Fault::Oauth { status: 400, error: "unauthorized_client".into() };
    house.sandbox.faults().push(Rule::on(CallKind::Revoke, other));
    let refused = house.at(&["auth", "revoke", "--yes"]).await;
    assert!(refused.error().contains("the consent was not ended"), "{}", refused.error());
    house.run(&["auth", "status"]).await.expect(0);
    house.at(&["auth", "revoke", "--yes"]).await.expect(0);
    house.run(&["auth", "status"]).await.expect(4);
    assert_eq!(house.sandbox.journal().count(CallKind::Revoke), 3);
    let without = house.at(&["auth", "refresh"]).await;
    assert!(without.error().contains("auth login"), "{}", without.error());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_ends_within_a_month_is_announced_by_run_and_report() {
    for (days, announced) in [(29, true), (31, false)] {
        let mut options = SandboxOptions::default();
        options.oauth.refresh_expires_in = days * 86_400;
        let house = House::with(&Shape::empty(), options).await;
        for words in [&MONTH[..], &["report"], &["auth", "status"]] {
            let said = house.at(words).await.expect(0).stderr;
            assert_eq!(said.contains("the consent ends"), announced, "{days} {words:?}: {said}");
        }
    }
}
