//! The console without what most people have: without script, and without a mouse.

use std::sync::Arc;

use fixtures::{Browser, Shape};
use tokio::runtime::Handle;

use crate::house::{House, THREE};
use crate::running_console::Console;

/// A person who reads English, from the first page on.
struct Person {
    browser: Browser,
    house: Arc<House>,
    origin: String,
}

impl Person {
    /// `None` where no browser is installed and none is needed.
    fn new(console: &Console, house: &Arc<House>) -> Option<Self> {
        let mut browser = Browser::start()?;
        browser.resize(1280);
        browser.prefer("en-US,en");
        let origin = format!("http://qbo-backfill.localhost:{}", console.port);
        Some(Self { browser, house: Arc::clone(house), origin })
    }

    fn number(&self, sql: &str) -> i64 {
        Handle::current().block_on(self.house.number(sql))
    }

    /// Waits until the store says so: a worker does what was asked for.
    fn until(&self, sql: &str) {
        for _ in 0..600 {
            if self.number(sql) > 0 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        panic!("this did not become true: {sql}");
    }

    fn first_page(&mut self) {
        self.browser.open(&format!("{}/", self.origin));
    }

    /// Fills the fields of the form as a browser does that restores them.
    fn fill(&mut self, fields: &[(&str, &str)]) {
        for (field, value) in fields {
            self.browser.evaluate(&format!("document.getElementById('{field}').value = '{value}'"));
        }
    }

    /// Presses a key that the page's script listens for, once it does.
    fn shortcut(&mut self, key: &str) {
        self.browser.wait_until("document.getElementById('keys')?.hidden === false");
        self.browser.press(key);
    }

    /// Presses the tab key until what has the focus is what a selector or the words of it say.
    fn tab_to(&mut self, selector: &str, words: &str) {
        for _ in 0..120 {
            self.browser.press("Tab");
            let is_there = format!(
                "(() => {{ const it = document.activeElement; return it.matches({selector:?}) && \
                 (it.textContent.trim() || it.labels?.[0]?.textContent.trim() || '').startsWith({words:?}); }})()"
            );
            if self.browser.evaluate(&is_there) == true {
                return;
            }
        }
        panic!("the tab key reaches no {selector} with {words:?}: {}", self.browser.text());
    }
}

/// Has a person work, on a thread of its own: the emulator runs in this process.
async fn work(house: &Arc<House>, works: impl FnOnce(&mut Person, &str) + Send + 'static) {
    let console = Console::start(house, &[]);
    let Some(mut person) = Person::new(&console, house) else { return };
    let link = format!("{}{}", person.origin, console.link);
    tokio::task::spawn_blocking(move || works(&mut person, &link)).await.unwrap();
    assert_eq!(console.stop().await.code, 143);
}

const ALL_DONE: &str = "SELECT count(*) FROM raw.backfill_trigger WHERE status = 'done'";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_priced_armed_watched_and_switched_off_without_script() {
    let house = Arc::new(House::new(&Shape::default().with_counts(60, 20, 10)).await);
    house.backfill(&THREE, &[]).await.expect(0);
    work(&house, |person, link| {
        person.browser.allow_scripts(false);
        person.browser.open(link);
        person.browser.wait_for("counts at QuickBooks confirm it");
        // What a script would do, the browser does.
        assert_eq!(person.browser.evaluate("document.querySelectorAll('noscript').length > 0"), true);
        person.browser.click_on("New run");
        person.browser.wait_for("Show what it costs");
        person.browser.click_on("Invoices");
        person.browser.click("input[name=what][value=again]");
        person.fill(&[("from", "2024-03-01"), ("to", "2024-04-01")]);
        person.browser.click_on("Show what it costs");
        person.browser.wait_for("Left this month");
        person.browser.click("#preview button.go");
        person.browser.wait_until("location.pathname.includes('/triggers/')");
        person.until(ALL_DONE);
        person.first_page();
        person.browser.wait_for("counts at QuickBooks confirm it");
        // A trigger for later, off and on again, by buttons that are forms.
        person.browser.click_on("New run");
        person.browser.wait_for("Show what it costs");
        person.browser.click_on("Invoices");
        person.browser.click("input[name=when][value=at]");
        person.fill(&[("from", "2024-03-01"), ("to", "2024-04-01"), ("at", "2099-03-01T10:00")]);
        person.browser.click_on("Show what it costs");
        person.browser.wait_for("Arm for");
        person.browser.click_on("Arm for");
        person.browser.wait_until("location.pathname.includes('/triggers/')");
        person.browser.click("[role=switch]");
        person.until("SELECT count(*) FROM raw.backfill_trigger WHERE status = 'cancelled'");
        person
            .browser
            .wait_until("document.querySelector('[role=switch]').getAttribute('aria-checked') === 'false'");
        person.browser.click("[role=switch]");
        person.until("SELECT count(*) FROM raw.backfill_trigger WHERE status = 'armed'");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_found_read_again_and_triggers_switched_with_keys_alone() {
    let house = Arc::new(House::new(&Shape::default().with_counts(60, 20, 10)).await);
    house.backfill(&THREE, &[]).await.expect(0);
    let failed = "UPDATE raw.backfill_log SET status = 'failed', counted_at_utc = NULL, error_code = 'count.differs', \
        error_message = 'QuickBooks counts 12 records, 11 were read' \
        WHERE entity_name = 'invoices' AND window_start_utc = '2024-03-14Z'";
    house.client().await.batch_execute(failed).await.unwrap();
    work(&house, |person, link| {
        person.browser.open(link);
        person.browser.wait_for("1 day of invoices failed");
        person.tab_to("#pipelines a", "Invoices");
        person.browser.press("Enter");
        person.browser.wait_until("document.querySelector('.month a.failed') !== null");
        // The calendar is one stop of the tab key; arrows walk its days.
        person.tab_to(".month a", "1");
        for _ in 0..400 {
            if person.browser.evaluate("document.activeElement.matches('.failed')") == true {
                break;
            }
            person.browser.press("ArrowRight");
        }
        person.browser.press("Enter");
        person.browser.wait_for("QuickBooks counts another number of records than was read");
        person.tab_to("button", "Read this day again");
        person.browser.press("Enter");
        person.browser.wait_until("location.pathname.includes('/triggers/')");
        person.until(ALL_DONE);
        // A run for later, with keys and the form.
        person.shortcut("n");
        person.browser.wait_for("Show what it costs");
        person.tab_to("input[name=pipelines]", "Invoices");
        person.browser.press(" ");
        person.tab_to("#from", "");
        person.fill(&[("from", "2024-03-01"), ("to", "2024-04-01"), ("at", "2099-03-01T10:00")]);
        person.tab_to("input[name=when]", "");
        person.browser.press("ArrowRight");
        person.tab_to("button", "Show what it costs");
        person.browser.press("Enter");
        person.browser.wait_for("Arm for");
        person.tab_to("#preview button", "Arm for");
        person.browser.press("Enter");
        person.browser.wait_until("location.pathname.includes('/triggers/')");
        person.shortcut("t");
        person.browser.wait_until("document.querySelector('#triggers [aria-checked=true]') !== null");
        person.tab_to("[role=switch][aria-checked=true]", "");
        person.browser.press("Enter");
        person.until("SELECT count(*) FROM raw.backfill_trigger WHERE status = 'cancelled'");
        assert_eq!(person.browser.clicks, 0);
    })
    .await;
}
