//! The questions that people come to the console with, asked in a real browser: each is answered within so many clicks.

use std::sync::Arc;

use fixtures::{Browser, SandboxOptions, Shape};
use tokio::runtime::Handle;

use crate::house::{House, THREE, YEAR, standing_run_of, wait};
use crate::running_console::Console;

/// What the pages say in one language.
struct Words {
    languages: &'static str,
    failed: &'static str,
    confirmed: &'static str,
    why: &'static str,
    read_again: &'static str,
    worker_waits: &'static str,
    new_run: &'static str,
    invoices: &'static str,
    show_price: &'static str,
    left_this_month: &'static str,
    arm: &'static str,
    triggers: &'static str,
    due: &'static str,
    log: &'static str,
    armed: &'static str,
    now: &'static str,
    at_least: &'static str,
    calls: &'static str,
    stop: &'static str,
    stop_now: &'static str,
    asked_to_stop: &'static str,
    report: &'static str,
    connect: &'static str,
    connected: &'static str,
}

const EN: Words = Words {
    languages: "en-US,en",
    failed: "3 days of invoices failed",
    confirmed: "everything planned is read, and counts at QuickBooks confirm it",
    why: "QuickBooks counts another number of records than was read",
    read_again: "Read again · at least",
    worker_waits: "waits for triggers",
    new_run: "New run",
    invoices: "Invoices",
    show_price: "Show what it costs",
    left_this_month: "Left this month",
    arm: "Arm for",
    triggers: "Triggers",
    due: "in 2 d",
    log: "Log",
    armed: "armed",
    now: "Now",
    at_least: "at least",
    calls: "Calls in",
    stop: "Stop…",
    stop_now: "Stop the run",
    asked_to_stop: "asked it to stop",
    report: "Report",
    connect: "Connect to QuickBooks",
    connected: "Connected",
};

const ES: Words = Words {
    languages: "es-EC,es",
    failed: "3 días de facturas fallaron",
    confirmed: "todo lo planificado está leído y los conteos de QuickBooks lo confirman",
    why: "QuickBooks cuenta otro número de registros",
    read_again: "Leer otra vez · al menos",
    worker_waits: "espera disparadores",
    new_run: "Nueva ejecución",
    invoices: "Facturas",
    show_price: "Ver cuánto cuesta",
    left_this_month: "este mes",
    arm: "Armar para",
    triggers: "Disparadores",
    due: "en 2 d",
    log: "Qué pasó",
    armed: "arm",
    now: "Ahora",
    at_least: "al menos",
    calls: "Llamadas de",
    stop: "Detener…",
    stop_now: "Detener la ejecución",
    asked_to_stop: "pidió detenerla",
    report: "Informe",
    connect: "Conectar con QuickBooks",
    connected: "Conectad",
};

/// Days that a count did not agree with, as the engine records them.
const THREE_FAILED: &str = "UPDATE raw.backfill_log SET status = 'failed', counted_at_utc = NULL, \
    error_code = 'count.differs', error_message = 'QuickBooks counts 12 records, 11 were read' \
    WHERE entity_name = 'invoices' AND window_start_utc IN ('2024-03-14Z', '2024-03-15Z', '2024-08-02Z')";

/// A person at the console.
struct Person {
    browser: Browser,
    house: Arc<House>,
    origin: String,
    w: &'static Words,
}

impl Person {
    /// Signs in with a link. `None` where no browser is installed and none is needed.
    fn at(console: &Console, link: &str, house: &Arc<House>, w: &'static Words) -> Option<Self> {
        let mut browser = Browser::start()?;
        browser.resize(1280);
        browser.prefer(w.languages);
        let origin = format!("http://qbo-backfill.localhost:{}", console.port);
        browser.open(&format!("{origin}{link}"));
        Some(Self { browser, house: Arc::clone(house), origin, w })
    }

    /// Goes to the first page, from which clicks are counted.
    fn begin(&mut self) {
        self.browser.open(&format!("{}/", self.origin));
        self.browser.clicks = 0;
    }

    #[track_caller]
    fn clicked(&self, times: u32) {
        assert_eq!(self.browser.clicks, times, "clicks");
    }

    fn number(&self, sql: &str) -> i64 {
        Handle::current().block_on(self.house.number(sql))
    }

    fn text_of(&mut self, sql: &str) -> String {
        Handle::current().block_on(self.house.query(sql))[0].get(0)
    }

    fn is_it_all_there(&mut self) {
        self.begin();
        self.browser.wait_for(self.w.failed);
        let place = self.browser.evaluate("document.querySelector('h1').getBoundingClientRect().bottom");
        assert!(place.as_f64() < Some(600.0), "the answer stands at {place}");
        let language = self.browser.evaluate("document.documentElement.lang");
        assert_eq!(language, self.w.languages[..2], "the language of its reader");
        self.clicked(0);
        // A worker runs, and the consent ends in a hundred days, so neither is told here.
        let page = self.browser.text();
        assert!(!page.contains("worker"), "{page}");
        self.browser.click(".where a");
        self.browser.wait_for(self.w.worker_waits);
        self.clicked(1);
    }

    fn which_days_are_missing(&mut self) {
        self.begin();
        self.browser.click("#pipelines a[href*='pipelines/invoices']");
        self.browser.click(".month a.failed");
        self.browser.wait_for(self.w.why);
        self.clicked(2);
    }

    fn retry(&mut self) {
        self.begin();
        self.browser.click_on(self.w.read_again);
        self.browser.wait_until("location.pathname.includes('/triggers/')");
        self.clicked(1);
        while self.number("SELECT count(*) FROM raw.backfill_log WHERE status <> 'completed'") > 0 {}
        // Pressed once more from a page that is still open elsewhere, nothing is read twice.
        assert_eq!(self.number("SELECT count(*) FROM raw.backfill_trigger"), 1);
        self.begin();
        self.browser.wait_for(self.w.confirmed);
    }

    fn arm(&mut self) {
        self.begin();
        self.browser.click_on(self.w.new_run);
        self.browser.wait_until("location.pathname.endsWith('/new')");
        self.clicked(1);
        self.browser.click_on(self.w.invoices);
        let day = self.text_of(
            "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '2 days 3 hours', 'YYYY-MM-DD\"T\"HH24:MI')",
        );
        for (field, value) in [("from", "2024-01-01"), ("to", "2024-02-01"), ("at", &day)] {
            // A field for dates takes keys in the order of its reader's country.
            self.browser.evaluate(&format!("document.getElementById('{field}').value = '{value}'"));
        }
        self.browser.click("input[name=when][value=at]");
        self.browser.click_on(self.w.show_price);
        self.browser.wait_for(self.w.left_this_month);
        self.browser.click_on(self.w.arm);
        self.browser.wait_until("location.pathname.includes('/triggers/')");
        assert_eq!(self.number("SELECT count(*) FROM raw.backfill_trigger WHERE status = 'armed'"), 1);
    }

    fn why_does_it_not_fire(&mut self) {
        self.begin();
        self.browser.click_on(self.w.triggers);
        self.browser.wait_until("document.querySelector('#triggers') !== null");
        self.browser.wait_for(self.w.due);
        self.clicked(1);
    }

    fn what_happened_at(&mut self) {
        let time = self.text_of("SELECT to_char(now() AT TIME ZONE 'UTC', 'HH24:MI')");
        self.begin();
        self.browser.click_on(self.w.log);
        self.browser.wait_until("document.querySelector('input[name=at]') !== null");
        self.browser.evaluate("document.querySelector('input[name=at]').focus()");
        self.browser.write(&time);
        self.browser.press("Enter");
        self.browser.wait_until("location.search.includes('at=')");
        self.browser.wait_for(self.w.armed);
        self.clicked(1);
    }

    fn which_row_is_it(&mut self) {
        let number = self.text_of("SELECT payload ->> 'DocNumber' FROM raw.qb_invoices ORDER BY id LIMIT 1");
        self.begin();
        self.browser.press("/");
        self.browser.wait_until("document.activeElement.name === 'number'");
        self.browser.write(&number);
        self.browser.press("Enter");
        self.browser.wait_until("location.pathname.includes('/records/invoices/')");
        self.browser.wait_for(&number);
        self.clicked(0);
    }

    fn what_is_it_doing(&mut self) {
        self.begin();
        for words in [self.w.now, self.w.at_least, self.w.calls] {
            self.browser.wait_for(words);
        }
        self.clicked(0);
        self.browser.click_on(self.w.stop);
        self.browser.click_on(self.w.stop_now);
        self.browser.wait_for(self.w.asked_to_stop);
        self.clicked(2);
    }

    fn print_it(&mut self) {
        self.begin();
        self.browser.click("#verdict a[href*='/runs/']");
        self.browser.wait_until("location.pathname.includes('/runs/')");
        self.browser.click_on(self.w.report);
        self.browser.wait_until("location.pathname.endsWith('/report')");
        self.clicked(2);
        assert!(self.browser.print().starts_with(b"%PDF"));
    }

    fn connect(&mut self) {
        self.begin();
        self.browser.click(".where a");
        self.browser.click_on(self.w.connect);
        self.clicked(2);
        // Intuit's page, which the emulator answers at once, leads back to this machine.
        let own = self.browser.leave_for_new_tab();
        self.browser.wait_until("location.hostname === 'localhost' && location.pathname === '/callback'");
        self.browser.return_to(own);
        self.browser.wait_for(self.w.connected);
    }
}

/// Has a person ask, on a thread of its own: the emulator runs in this process.
async fn ask(
    house: &Arc<House>,
    console: &Console,
    w: &'static Words,
    asks: impl FnOnce(&mut Person) + Send + 'static,
) {
    let made = house.run(&["console", "link", "--as", "op1"]).await.expect(0);
    let link = made.stdout.trim().split_once(":9464").unwrap().1;
    let Some(mut person) = Person::at(console, link, house, w) else { return };
    tokio::task::spawn_blocking(move || asks(&mut person)).await.unwrap();
}

async fn twelve_questions(w: &'static Words) {
    let house = Arc::new(House::new(&Shape::default().with_counts(60, 20, 10)).await);
    house.backfill(&THREE, &[]).await.expect(0);
    house.client().await.batch_execute(THREE_FAILED).await.unwrap();
    let console = Console::start(&house, &[]);
    ask(&house, &console, w, |person| {
        person.is_it_all_there();
        person.which_days_are_missing();
        person.retry();
        person.arm();
        person.why_does_it_not_fire();
        person.what_happened_at();
        person.which_row_is_it();
        person.print_it();
    })
    .await;
    let (run, gate) = standing_run_of(&house, &["--force", "--page-size", "10"]).await;
    ask(&house, &console, w, Person::what_is_it_doing).await;
    gate.open();
    // It stops, unless it has read the rest before it looks for requests.
    let code = wait(run).await.code;
    assert!([0, 130].contains(&code), "{code}");
    assert_eq!(console.stop().await.code, 143);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_question_is_answered_within_its_clicks_in_english() {
    twelve_questions(&EN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_question_is_answered_within_its_clicks_in_spanish() {
    twelve_questions(&ES).await;
}

/// In both languages one after the other: Intuit's answer comes to a fixed port of this machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_company_is_connected_in_two_clicks() {
    for w in [&EN, &ES] {
        let house =
            House::without_consent(&Shape::default().with_counts(5, 5, 5), SandboxOptions::default()).await;
        let house = Arc::new(house);
        let console = Console::start(&house, &[]);
        ask(&house, &console, w, Person::connect).await;
        house.at(&[&["run", "Invoice"], &YEAR[..]].concat()).await.expect(0);
        assert_eq!(console.stop().await.code, 143);
    }
}
