//! Foreign text stays text, and no page but the document shows a document, over every route of the console.

use std::sync::Arc;

use backfill_console::{Console, Problem};
use backfill_report::untrusted::is_obeyed;
use qbo_auth::SystemClock;
use url::form_urlencoded::byte_serialize;

use crate::browser::Answer;
use crate::hostile_company::{RUN, TEXT, hostile};
use crate::invented::{KEY, PAYLOAD_MARK, SECRET_MARK};
use crate::served::Served;

/// The only route whose answer may hold a document.
const DOCUMENT: &str = "/c/{profile}/records/{entity}/{id}/document";

async fn served() -> Served {
    let (console, invented) = hostile(Arc::new(SystemClock::new())).await;
    Served::new(console, invented).await
}

/// Every field that a page reads from its address.
const FIELDS: [&str; 26] = [
    "at",
    "level",
    "phase",
    "entity",
    "run",
    "who",
    "q",
    "before",
    "after",
    "number",
    "day",
    "year",
    "by",
    "status",
    "state",
    "proof",
    "from",
    "to",
    "pipelines",
    "what",
    "every",
    "chunk",
    "next",
    "link",
    "name",
    "stop",
];

/// Addresses of a route: with known names, with hostile ones, and with hostile values in every field that a page reads.
fn addresses(path: &str) -> Vec<String> {
    let known = path
        .replace("{profile}", "acme")
        .replace("{entity}", "invoices")
        .replace("runs/{id}", &format!("runs/{RUN}"))
        .replace("triggers/{name}", "triggers/night")
        .replace("secrets/{name}", "secrets/QBO_CLIENT_SECRET")
        .replace("{id}", "1")
        .replace("{name}", "x");
    let escaped = TEXT.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let foreign = path
        .replace("{profile}", "acme")
        .replace("{entity}", "invoices")
        .replace("{id}", &escaped)
        .replace("{name}", &escaped);
    let elsewhere = path
        .replace("{profile}", &escaped)
        .replace("{entity}", &escaped)
        .replace("{id}", "x")
        .replace("{name}", "x");
    let with_zero = path
        .replace("{profile}", "acme")
        .replace("{entity}", "invoices")
        .replace("{id}", "%00")
        .replace("{name}", "%00");
    let value: String = byte_serialize(TEXT.as_bytes()).collect();
    let query = |value: &str| FIELDS.map(|field| format!("{field}={value}")).join("&");
    let mut all = vec![known.clone(), foreign, elsewhere, with_zero];
    all.push(format!("{known}?{}", query(&value)));
    all.push(format!("{known}?{}", query("%00")));
    all.extend(FIELDS.map(|field| format!("{known}?{field}={value}")));
    all.push(format!("{known}?day=2025-03-14&at=2025-03-14&year=2025"));
    all.push(format!("{known}?number=1043"));
    all.push(format!("{known}?number=1044"));
    all.dedup();
    all
}

/// Fails if an answer holds anything of the hostile text that a browser would obey.
fn assert_is_text(answer: &Answer, what: &str) {
    assert!(answer.status < 500, "{what}: {}\n{}", answer.status, answer.body);
    assert!(
        answer.header("set-cookie").is_none_or(|cookie| !cookie.starts_with("a=b")),
        "{what}: {}",
        answer.head
    );
    let is_script = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/javascript"));
    for part in ["<img", "<script>alert", "onerror=alert(1)>", "javascript:"] {
        assert!(is_script || !answer.body.contains(part), "{what} obeys {part}\n{}", answer.body);
    }
    let obeyed = answer.body.chars().find(|letter| *letter != '\n' && is_obeyed(*letter));
    assert_eq!(obeyed, None, "{what}");
}

#[tokio::test]
async fn foreign_text_stays_text_on_every_page_in_both_languages() {
    let served = served().await;
    let cookie = served.sign_in().await;
    let mut shown = Vec::new();
    for (method, path) in Console::routes(false, true).into_iter().filter(|(method, _)| *method == "GET") {
        for address in addresses(path) {
            for language in ["en", "es"] {
                let answer = served.get(&address, &format!("{cookie}; qbo-console-lang={language}")).await;
                assert_is_text(&answer, &format!("{method} {address} {language}"));
                if answer.body.contains("&#60;script&#62;alert")
                    || answer.body.contains("&lt;script&gt;alert")
                {
                    shown.push(path);
                }
            }
        }
    }
    // The test would say nothing about a page that does not show the text.
    for path in [
        "/c/{profile}/",
        "/c/{profile}/pipelines",
        "/c/{profile}/pipelines/{entity}",
        "/c/{profile}/windows",
        "/c/{profile}/runs",
        "/c/{profile}/runs/{id}",
        "/c/{profile}/runs/{id}/report",
        "/c/{profile}/company",
        "/c/{profile}/log",
        "/c/{profile}/quarantine",
        "/c/{profile}/records",
        "/c/{profile}/records/{entity}",
        "/c/{profile}/records/{entity}/{id}",
    ] {
        assert!(shown.contains(&path), "{path} does not show the text");
    }
}

#[tokio::test]
async fn foreign_text_stays_text_while_nothing_can_be_shown() {
    let served = served().await;
    let cookie = served.sign_in().await;
    *served.invented.door.away.lock().unwrap() = Some(Problem::new(TEXT, TEXT));
    for (_, path) in Console::routes(false, true).into_iter().filter(|(method, _)| *method == "GET") {
        let Some(address) = addresses(path).into_iter().next() else { continue };
        let answer = served.get(&address, &cookie).await;
        let told = Answer { status: 200, ..answer };
        assert_is_text(&told, &address);
    }
}

#[tokio::test]
async fn only_the_document_shows_a_document_and_nothing_shows_a_secret() {
    let served = served().await;
    let cookie = served.sign_in().await;
    let (_, token) = cookie.split_once('=').unwrap();
    for (method, path) in Console::routes(false, true) {
        for address in addresses(path) {
            let answer = match method {
                "GET" => served.get(&address, &cookie).await,
                _ if path == "/leave" => continue,
                _ => {
                    let body = format!("value={SECRET_MARK}&name=op1&key={SECRET_MARK}");
                    served.post(&address, &cookie, &body).await
                }
            };
            let whole = format!("{}{}", answer.head, answer.body);
            for mark in [SECRET_MARK, KEY, token] {
                assert!(!whole.contains(mark), "{method} {address} shows a secret");
            }
            if path == DOCUMENT && answer.body.contains(PAYLOAD_MARK) {
                assert_eq!(answer.header("cache-control"), Some("no-store"), "{address}");
                assert_eq!(answer.header("etag"), None, "{address}");
            } else {
                assert!(!whole.contains(PAYLOAD_MARK), "{method} {address} shows a document");
            }
        }
    }
    // The looks were recorded by now: the log tells of them without the documents.
    let log = served.get("/c/acme/log?phase=console", &cookie).await;
    assert!(log.body.contains("Document shown") && !log.body.contains(PAYLOAD_MARK), "{}", log.body);
}
