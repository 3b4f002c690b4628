//! What the pages say while things happen elsewhere: a worker is killed, the database goes away, two people press one switch. Each page
//! is opened once and then only watched.

use std::process::Stdio;
use std::sync::Arc;

use fixtures::{Browser, Shape};
use tokio::runtime::Handle;
use tokio_postgres::{Client, NoTls};

use crate::house::{House, signal};
use crate::running_console::Console;

const NO_WORKER: &str = "No worker runs, so triggers will not fire";

async fn small() -> House {
    House::new(&Shape::default().with_counts(20, 5, 5)).await
}

/// Arms a trigger that fires after so many minutes.
async fn arm(house: &House, name: &str, minutes: u32) {
    let at = format!(
        "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '{minutes} minutes', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
    );
    let at: String = house.query(&at).await[0].get(0);
    let add = ["trigger", "add", "Invoice", "--name", name, "--at", &at];
    house.at(&[&add[..], &["--from", "2024-01-01", "--to", "2025-01-01"]].concat()).await.expect(0);
}

/// A browser that has signed in as somebody; `None` where no browser is installed and none is needed.
async fn somebody(house: &House, console: &Console, name: &str) -> Option<Browser> {
    let made = house.run(&["console", "link", "--as", name]).await.expect(0);
    let link = made.stdout.trim().split_once(":9464").unwrap().1.to_owned();
    let port = console.port;
    let start = move || {
        let mut browser = Browser::start()?;
        browser.prefer("en");
        browser.open(&format!("http://qbo-backfill.localhost:{port}{link}"));
        Some(browser)
    };
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// Does something with browsers on a thread of its own.
async fn watch(watches: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(watches).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_killed_is_told_and_so_is_the_next_one() {
    let house = Arc::new(small().await);
    arm(&house, "soon", 9).await;
    let console = Console::start(&house, &["--no-worker"]);
    let start = |house: &House| {
        let mut command = house.command(&["worker"]);
        command.args(house.addresses()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let Some(mut browser) = somebody(&house, &console, "op1").await else { return };
    let own = Arc::clone(&house);
    watch(move || {
        let mut worker = start(&own);
        browser.wait_until(&format!("!document.body.innerText.includes('{NO_WORKER}')"));
        worker.kill().unwrap();
        worker.wait().unwrap();
        browser.wait_for(NO_WORKER);
        let mut next = start(&own);
        browser.wait_until(&format!("!document.body.innerText.includes('{NO_WORKER}')"));
        signal(&next, "-TERM");
        next.wait().unwrap();
        // One that ends by itself is told at once.
        browser.wait_for(NO_WORKER);
    })
    .await;
    assert_eq!(console.stop().await.code, 143);
}

/// A connection to the server that does not need the database.
async fn server(house: &House) -> Client {
    let mut config = house.database.config();
    let (client, connection) = config.dbname("postgres").connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_is_told_with_the_last_known_state_until_it_is_back() {
    let house = Arc::new(small().await);
    house.backfill(&["Invoice"], &[]).await.expect(0);
    // A page is fetched more often when something is about to happen.
    arm(&house, "soon", 9).await;
    let console = Console::start(&house, &["--no-worker"]);
    let Some(mut browser) = somebody(&house, &console, "op1").await else { return };
    let admin = server(&house).await;
    let name = house.database.name().to_owned();
    watch(move || {
        let run = |sql: &str| Handle::current().block_on(admin.batch_execute(sql)).unwrap();
        browser.wait_for("everything planned is read");
        run(&format!(
            "ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS false; \
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        ));
        browser.wait_for("Last known state");
        browser.wait_for("everything planned is read");
        run(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS true"));
        browser.wait_until("!document.body.innerText.includes('Last known state')");
        browser.wait_for("everything planned is read");
    })
    .await;
    assert_eq!(console.stop().await.code, 143);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_at_one_trigger_the_second_learns_what_the_first_did() {
    let house = Arc::new(small().await);
    arm(&house, "later", 60).await;
    // Each has a console of their own, over one database.
    let (console, other) =
        (Console::start(&house, &["--no-worker"]), Console::start(&house, &["--no-worker"]));
    let Some(mut first) = somebody(&house, &console, "op1").await else { return };
    let Some(mut second) = somebody(&house, &other, "op2").await else { return };
    let pages = [console.port, other.port]
        .map(|port| format!("http://qbo-backfill.localhost:{port}/c/default/triggers"));
    let own = Arc::clone(&house);
    watch(move || {
        first.open(&pages[0]);
        second.open(&pages[1]);
        // The second person's page follows what the first does.
        first.click("button[role=switch][aria-checked=true]");
        second.wait_until(
            "document.querySelector('button[role=switch]')?.getAttribute('aria-checked') === 'false'",
        );
        // Both want it on again, and the second has stopped the updates of the page.
        second.press("p");
        first.click("button[role=switch][aria-checked=false]");
        first.wait_until(
            "document.querySelector('button[role=switch]')?.getAttribute('aria-checked') === 'true'",
        );
        second.click("button[role=switch][aria-checked=false]");
        second.wait_for("op1");
        let number = |sql: &str| Handle::current().block_on(own.number(sql));
        assert_eq!(
            number("SELECT count(*) FROM raw.backfill_trigger WHERE status = 'armed' AND armings = 2"),
            1
        );
    })
    .await;
    for console in [console, other] {
        assert_eq!(console.stop().await.code, 143);
    }
}
