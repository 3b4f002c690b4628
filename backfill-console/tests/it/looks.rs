//! How the pages look in a real browser: to programs that read them aloud, on a phone, with large letters, by keyboard.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use backfill_console::{Problem, sign_in_path};
use fixtures::Browser;
use qbo_auth::{Clock as _, SecretString, SystemClock};
use serde_json::Value;

use crate::hostile_company::hostile;
use crate::invented;
use crate::served::Served;

/// Pages of a company below `/c/acme/`: each page, in each state that changes how it looks.
const PAGES: [&str; 27] = [
    "",
    "pipelines",
    "pipelines/invoices?year=2025",
    "pipelines/invoices?year=2025&day=2025-03-14",
    "pipelines/nothing",
    "windows",
    "windows?entity=invoices&state=failed",
    "windows?entity=invoices&from=2030-01-01",
    "new",
    "new?pipelines=invoices&from=2026-01-01&to=2026-02-01",
    "new?pipelines=invoices&from=yesterday&to=2026-02-01&at=never",
    "new?pipelines=invoices&what=failed",
    "triggers",
    "triggers/febrero_2026",
    "triggers/year.2025-03-01",
    "runs",
    "runs/20261129T050000Z-0a1b2c3d",
    "runs/20261130T140000Z-4e5f6a7b",
    "runs/20261130T140000Z-4e5f6a7b?stop=ask",
    "log",
    "log?at=03:12&level=error",
    "records",
    "records/invoices",
    "records/invoices/1",
    "quarantine",
    "company",
    "company/secrets/QBO_CLIENT_ID",
];

/// Pages that an empty company has as well.
const EMPTY: [&str; 9] =
    ["", "pipelines", "pipelines/invoices", "windows", "new", "triggers", "runs", "log", "records"];

/// What axe-core finds, as lines: the rule, and where.
const FOUND: &str = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.flatMap(
    rule => rule.nodes.map(node => `${rule.id}: ${node.target.join(' ')}: ${node.any.concat(node.all).map(one => one.message)}`)))";

/// What is wider than the page, or than the frame that it is scrolled in where that frame takes no keys.
const OVERFLOW: &str = "(() => {
    const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
    const outside = [...document.querySelectorAll('main *')].filter(one => one.getClientRects().length
        && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1
        && !one.closest('.frame, .scroll, [tabindex=\"0\"]') && !one.closest('svg'));
    return wide ? outside.slice(0, 5).map(one => one.outerHTML.slice(0, 160)).concat(['the page is too wide']) : [];
})()";

/// What is wrong with the element that has the focus, after one that had it before: its place, and whether it is seen.
const FOCUS: &str = "(() => {
    const now = document.activeElement;
    // After the last stop of the page comes its first one, which leads past the bar.
    if (!now || now === document.body || window.before && now.matches('.skip')) return 'end';
    const back = window.before && (window.before.compareDocumentPosition(now) & Node.DOCUMENT_POSITION_PRECEDING);
    window.before = now;
    const style = getComputedStyle(now);
    const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    const box = now.getBoundingClientRect();
    const shown = box.width > 0 && box.height > 0;
    return back ? 'goes back: ' + now.outerHTML.slice(0, 160) : seen && shown ? '' : 'is not seen: ' + now.outerHTML.slice(0, 160);
})()";

/// The most stops of the tab key that are looked at on one page.
const STOPS: u32 = 60;

/// Where pictures stay, to be looked at.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A browser at the console, under its own host name.
struct Visitor {
    /// What the company is called in the names of pictures.
    company: String,
    browser: Browser,
    origin: String,
    wrong: Vec<String>,
}

impl Visitor {
    /// `None` where no browser is installed and none is needed.
    fn new(company: &str, port: u16) -> Option<Self> {
        let origin = format!("http://qbo-backfill.localhost:{port}");
        Some(Self { company: company.to_owned(), browser: Browser::start()?, origin, wrong: Vec::new() })
    }

    fn sign_in(&mut self) {
        let key = SecretString::from(invented::KEY.to_owned());
        let path = sign_in_path(&key, &"op1".parse().unwrap(), SystemClock::new().now_utc()).unwrap();
        self.open(&path);
    }

    fn open(&mut self, path: &str) {
        self.browser.open(&format!("{}{path}", self.origin));
    }

    fn note(&mut self, what: &str, found: &Value) {
        for one in found.as_array().expect("a list of what is wrong") {
            self.wrong.push(format!("{what}: {}", one.as_str().unwrap_or_default()));
        }
    }

    /// Looks at the page in each width and colour, and in Spanish, whose words are longer.
    fn look(&mut self, path: &str) {
        let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(axe).unwrap();
        for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")] {
            self.browser.resize(width);
            self.browser.show_as("screen", scheme);
            self.open(path);
            self.browser.evaluate(&format!("{axe};0"));
            let (found, overflow) = (self.browser.evaluate(FOUND), self.browser.evaluate(OVERFLOW));
            self.note(&format!("{path} at {width}, {scheme}"), &found);
            self.note(&format!("{path} at {width}, {scheme}"), &overflow);
            let name: String =
                path.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect();
            std::fs::write(
                kept(&format!("console-{}{name}-{width}-{scheme}.png", self.company)),
                self.browser.picture(),
            )
            .unwrap();
        }
        self.say_nothing(path);
        self.browser.show_as("screen", "light");
        self.reflow(path);
        self.walk(path);
    }

    /// A page of the console says nothing to the browser's log but that it is one with an error's status.
    fn say_nothing(&mut self, path: &str) {
        let said = std::mem::take(&mut self.browser.events);
        for event in said {
            let method = event["method"].as_str().unwrap_or_default();
            let is_word =
                ["Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"].contains(&method);
            let entry = &event["params"]["entry"];
            let text = entry["text"].as_str().unwrap_or_default();
            // It recommends a name beside every password; a secret has none.
            let is_advice = entry["source"] == "recommendation";
            if is_word
                && !is_advice
                && !text.starts_with("Failed to load resource: the server responded with a status of")
            {
                self.wrong.push(format!("{path} says {event}"));
            }
        }
    }

    /// A window of 320 pixels, and letters of double size.
    fn reflow(&mut self, path: &str) {
        self.browser.resize(320);
        self.open(path);
        let found = self.browser.evaluate(OVERFLOW);
        self.note(&format!("{path} at 320"), &found);
        self.browser.resize(1280);
        self.browser.set_letters(32);
        self.open(path);
        let size = self.browser.evaluate("parseFloat(getComputedStyle(document.body).fontSize)");
        if size.as_f64() < Some(26.0) {
            self.wrong.push(format!("{path}: letters do not grow with their reader's: {size}"));
        }
        let found = self.browser.evaluate(OVERFLOW);
        self.note(&format!("{path} with large letters"), &found);
        self.browser.set_letters(16);
    }

    /// Goes through the page by the tab key.
    fn walk(&mut self, path: &str) {
        self.open(path);
        let mut stops = 0;
        while stops < STOPS {
            self.browser.press("Tab");
            match self.browser.evaluate(FOCUS).as_str() {
                Some("") => stops += 1,
                Some("end") => break,
                said => {
                    self.wrong.push(format!("{path}: the focus {}", said.unwrap_or("cannot be asked for")));
                    break;
                }
            }
        }
        if stops == 0 {
            self.wrong.push(format!("{path}: the tab key goes nowhere"));
        }
    }
}

/// Looks at these paths of a console, and fails with all that is wrong.
async fn look(company: &str, served: Served, paths: Vec<String>) {
    let (port, company) = (served.port, company.to_owned());
    let looked = tokio::task::spawn_blocking(move || {
        let mut visitor = Visitor::new(&company, port)?;
        // The door is what is seen before.
        visitor.look("/enter");
        visitor.sign_in();
        for path in &paths {
            visitor.look(path);
        }
        Some(visitor.wrong)
    });
    let wrong = looked.await.unwrap().unwrap_or_default();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    drop(served);
}

fn of_company(pages: &[&str]) -> Vec<String> {
    pages.iter().map(|page| format!("/c/acme/{page}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_read_by_everybody() {
    let mut paths = of_company(&PAGES);
    paths.push("/callback?state=unknown".into());
    look("full", Served::full().await, paths).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_company_can_be_read_by_everybody() {
    let (console, invented) = invented::empty(Arc::new(SystemClock::new())).await;
    look("empty", Served::new(console, invented).await, of_company(&EMPTY)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_and_hostile_words_can_be_read_by_everybody() {
    let (mut console, invented) = hostile(Arc::new(SystemClock::new())).await;
    console.documents = true;
    let pages =
        ["", "pipelines/invoices", "windows", "triggers", "runs", "log", "records/invoices", "quarantine"];
    look("hostile", Served::new(console, invented).await, of_company(&pages)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_whose_database_is_away_can_be_read_by_everybody() {
    let served = Served::full().await;
    *served.invented.door.away.lock().unwrap() =
        Some(Problem::new("The database is away.", "Start the database."));
    look("away", served, of_company(&["", "runs", "company", "new"])).await;
}
