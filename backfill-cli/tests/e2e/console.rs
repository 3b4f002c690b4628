//! The console of the real binary, over a real database and an emulated company.

use fixtures::{SandboxOptions, Shape};
use reqwest::Method;
use reqwest::header::{COOKIE, HOST, LOCATION, ORIGIN};

use crate::consent::visit;
use crate::house::House;
use crate::running_console::Console;

#[tokio::test(flavor = "multi_thread")]
async fn a_link_signs_in_once_and_the_pages_say_what_the_database_holds() {
    let house = House::new(&Shape::default().with_counts(60, 20, 10)).await;
    house.backfill(&["Invoice", "Customer"], &[]).await.expect(0);
    let console = Console::start(&house, &[]);
    assert!(console.host.starts_with("qbo-backfill.localhost:"), "{}", console.host);
    // Health is for programs, pages are for people who signed in.
    while console.get("/healthz", "").await != (200, "default: ok\n".into()) {}
    let unknown = console.ask(Method::GET, "/c/default/", &[]).await;
    assert_eq!(unknown.status(), 303);
    assert!(unknown.headers()[LOCATION].to_str().unwrap().starts_with("/enter"));

    let cookie = console.sign_in(&console.link).await.unwrap();
    assert_eq!(console.sign_in(&console.link).await, None, "a link works once");
    let (status, today) = console.get("/c/default/", &cookie).await;
    assert_eq!(status, 200, "{today}");
    for expected in ["qb_invoices_backfill", "qb_customers_backfill", ">60<", ">20<"] {
        assert!(today.contains(expected), "{expected}: {today}");
    }
    let (status, coverage) = console.get("/c/default/pipelines/invoices?year=2024", &cookie).await;
    assert!(status == 200 && coverage.contains("366"), "{coverage}");

    // The host name is checked on every route, and a form has to come from the console's own page.
    let foreign = [(HOST.as_str(), "evil.example"), (COOKIE.as_str(), cookie.as_str())];
    assert_eq!(console.ask(Method::GET, "/c/default/", &foreign[..1]).await.status(), 421);
    let elsewhere = [(ORIGIN.as_str(), "http://127.0.0.1:6789"), (COOKIE.as_str(), cookie.as_str())];
    assert_eq!(console.ask(Method::POST, "/leave", &elsewhere).await.status(), 403);

    // Another process with the same files makes a link for another person.
    let made = house.run(&["console", "link", "--as", "op2"]).await.expect(0);
    let link = made.stdout.trim().split_once("9464").unwrap().1.to_owned();
    let second = console.sign_in(&link).await.unwrap();
    assert!(console.get("/c/default/company", &second).await.1.contains("op2"));
    let ended = console.stop().await;
    assert_eq!(ended.code, 143, "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_works_for_its_triggers_unless_it_only_looks() {
    let house = House::new(&Shape::default().with_counts(40, 5, 5)).await;
    let add = ["trigger", "add", "Invoice", "--name", "night", "--at", "2026-02-02", "--now"];
    house.at(&[&add[..], &["--from", "2024-01-01", "--to", "2025-01-01"]].concat()).await.expect(0);
    let looking = Console::start(&house, &["--look-only"]);
    let cookie = looking.sign_in(&looking.link).await.unwrap();
    let (status, page) = looking.get("/c/default/", &cookie).await;
    assert_eq!(status, 200, "{page}");
    assert!(!page.contains("method=\"post\" action=\"/c/"), "a page that only looks offers an act: {page}");
    assert_eq!(looking.stop().await.code, 143);
    assert_eq!(house.number("SELECT count(*) FROM raw.backfill_run").await, 0);

    let working = Console::start(&house, &[]);
    let done = "SELECT count(*) FROM raw.backfill_trigger WHERE status = 'done'";
    while house.number(done).await == 0 {}
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 40);
    assert_eq!(house.number("SELECT count(*) FROM raw.backfill_worker").await, 1);
    assert_eq!(working.stop().await.code, 143);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_before_there_is_anything_says_what_to_do() {
    let house =
        House::without_consent(&Shape::default().with_counts(5, 5, 5), SandboxOptions::default()).await;
    let console = Console::start(&house, &[]);
    let cookie = console.sign_in(&console.link).await.unwrap();
    let (status, page) = console.get("/c/default/", &cookie).await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("/c/default/company"), "{page}");
    let (_, company) = console.get("/c/default/company", &cookie).await;
    assert!(company.contains("QBO_CLIENT_ID"), "{company}");
    let credentials = house.sandbox.credentials();
    for secret in [&credentials.client_secret, &house.database.password().to_owned()] {
        assert!(!company.contains(secret.as_str()), "a secret is on the page");
    }
    assert_eq!(console.stop().await.code, 143);
    let open = house.run(&["console", "--listen", "0.0.0.0:0"]).await.expect(2);
    assert!(open.error().contains("--public-url"), "{}", open.error());
}

/// What a container does that publishes a console at a port of this machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_published_console_receives_the_consent_at_its_own_port() {
    let house = House::without_consent(&Shape::empty(), SandboxOptions::default()).await;
    // What is refused leaves no key behind.
    house.run(&["console", "--listen", "0.0.0.0:0"]).await.expect(2);
    let none = house.run(&["console", "link"]).await.expect(2);
    assert!(none.error().contains("there is no console key"), "{}", none.error());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let public_url = format!("http://127.0.0.1:{port}");
    let console = Console::listen(&house, port, &["--public-url", &public_url]);
    // Others may read its log, which therefore holds no link.
    assert_eq!((&*console.host, &*console.link), (&*format!("127.0.0.1:{port}"), "/"));
    let made = house.run(&["console", "link", "--at", &public_url]).await.expect(0);
    let cookie = console.sign_in(made.stdout.trim().strip_prefix(&public_url).unwrap()).await.unwrap();
    let headers = [(ORIGIN.as_str(), public_url.as_str()), (COOKIE.as_str(), cookie.as_str())];
    let started = console.ask(Method::POST, "/c/default/company/connect", &headers).await;
    assert_eq!(started.status(), 200);

    let leaving = started.text().await.unwrap();
    let links = leaving.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let page =
        links.into_iter().find(|link| link.contains("/connect/oauth2?")).unwrap().replace("&#38;", "&");
    let answered = visit(&page).await;
    assert_eq!(answered.url().host_str(), Some("localhost"), "Intuit accepts no other name of this machine");
    assert_eq!((answered.url().port(), answered.status().as_u16()), (Some(port), 200));
    let (_, company) = console.get("/c/default/company", &cookie).await;
    assert!(company.contains("Connected "), "{company}");
    assert_eq!(console.stop().await.code, 143);
    house.run(&["auth", "status"]).await.expect(0);
}
