//! Records, their documents, and the quarantine.

use std::sync::Arc;

use backfill_console::Console;
use qbo_auth::SystemClock;
use raw_store::{HistoryFilter, HistoryOrder, HistoryReader as _, Window};
use time::macros::datetime;

use crate::hostile_company::hostile;
use crate::invented::PAYLOAD_MARK;
use crate::served::Served;

const SLASHES: &str = "/c/acme/records/invoices/USD%2FEUR%2F2026-01-01";

async fn served(change: impl FnOnce(&mut Console)) -> Served {
    let (mut console, invented) = hostile(Arc::new(SystemClock::new())).await;
    change(&mut console);
    Served::new(console, invented).await
}

/// Who looked at which document, by the store.
async fn looks(served: &Served) -> Vec<(String, String)> {
    let all = Window::new(datetime!(2000-01-01 0:00 UTC), datetime!(2200-01-01 0:00 UTC)).unwrap();
    let filter = HistoryFilter { text: Some("document".into()), ..HistoryFilter::default() };
    let found =
        served.invented.store.happened(all, &filter, HistoryOrder::OldestFirst, None, 99).await.unwrap();
    let look = |entry: &raw_store::HistoryEntry| {
        let of = entry.entity_name.as_deref().unwrap_or_default();
        let detail = entry.detail.as_deref().unwrap_or_default();
        (entry.who.as_deref().unwrap_or_default().to_owned(), format!("{} {of} {detail}", entry.event))
    };
    found.value.iter().map(look).collect()
}

#[tokio::test]
async fn a_record_is_found_by_number_and_by_id() {
    let served = served(|_| ()).await;
    let cookie = served.sign_in().await;
    // One record is opened at once.
    let one = served.get("/c/acme/records?number=1043", &cookie).await;
    assert_eq!((one.status, one.header("location")), (303, Some("/c/acme/records/invoices/1")));
    let by_id = served.get("/c/acme/records?number=USD%2FEUR%2F2026-01-01", &cookie).await;
    assert_eq!((by_id.status, by_id.header("location")), (303, Some(SLASHES)));
    // Two are listed.
    let two = served.get("/c/acme/records/invoices?number=1044", &cookie).await;
    assert_eq!(two.status, 200);
    assert!(two.body.contains("/c/acme/records/invoices/2\"") && two.body.contains(SLASHES), "{}", two.body);
    for (path, status) in [
        ("records?number=104", 200),
        ("records/invoices?number=104", 200),
        ("records/bills?number=1043", 200),
        ("records/nothing", 404),
        ("records?entity=nothing", 404),
        ("records/invoices/104", 404),
        ("records", 200),
    ] {
        assert_eq!(served.get(&format!("/c/acme/{path}"), &cookie).await.status, status, "{path}");
    }
    let none = served.get("/c/acme/records?number=104", &cookie).await;
    assert!(none.body.contains("Nothing was found."), "{}", none.body);
}

#[tokio::test]
async fn a_record_says_where_it_comes_from_and_that_it_is_gone() {
    let served = served(|_| ()).await;
    let cookie = served.sign_in().await;
    let page = served.get("/c/acme/records/invoices/1", &cookie).await;
    for expected in ["1043", "20261129T050000Z-0a1b2c3d", "?day=2025-03-14#day", "Asked with", "Fingerprint"]
    {
        assert!(page.body.contains(expected), "{expected}: {}", page.body);
    }
    assert!(!page.body.contains(PAYLOAD_MARK) && !page.body.contains("gone at QuickBooks"));
    let gone = served.get("/c/acme/records/invoices/2", &format!("{cookie}; qbo-console-lang=es")).await;
    assert!(gone.body.contains("ya no está en QuickBooks"), "{}", gone.body);
    assert_eq!(served.get(SLASHES, &cookie).await.status, 200);
    let day = served.get("/c/acme/records/invoices?day=2025-03-14", &cookie).await;
    assert!(day.body.contains("/c/acme/records/invoices/1\"") && day.body.contains(SLASHES), "{}", day.body);
    // A record that is gone is not counted among those of the day.
    assert!(!day.body.contains("/c/acme/records/invoices/2\""), "{}", day.body);
    let later = served.get("/c/acme/records/invoices?day=2025-03-15", &cookie).await;
    assert!(later.body.contains("No record was last changed on this day."), "{}", later.body);
}

#[tokio::test]
async fn a_document_is_shown_on_request_and_each_look_is_recorded() {
    let served = served(|_| ()).await;
    let cookie = served.sign_in().await;
    let record = served.get("/c/acme/records/invoices/1", &cookie).await;
    assert!(record.body.contains("action=\"/c/acme/records/invoices/1/document\""), "{}", record.body);
    assert_eq!(looks(&served).await, []);
    let document = served.post("/c/acme/records/invoices/1/document", &cookie, "").await;
    assert_eq!(document.status, 200);
    assert!(document.body.contains(PAYLOAD_MARK) && document.body.contains("\\u202e"), "{}", document.body);
    assert!(document.body.contains("&#60;b&#62;"), "{}", document.body);
    assert_eq!(document.header("cache-control"), Some("no-store"));
    assert_eq!(document.header("etag"), None);
    assert_eq!(looks(&served).await, [("op1".to_owned(), "document shown invoices id 1".to_owned())]);
    // There is nothing to see, and nothing to record.
    assert_eq!(served.post("/c/acme/records/invoices/9/document", &cookie, "").await.status, 404);
    assert_eq!(served.get("/c/acme/records/invoices/1/document", &cookie).await.status, 405);
    assert_eq!(looks(&served).await.len(), 1);
    assert_eq!(served.post(&format!("{SLASHES}/document"), &cookie, "").await.status, 200);
    assert_eq!(looks(&served).await[1].1, "document shown invoices id USD/EUR/2026-01-01");
}

#[tokio::test]
async fn without_leave_a_document_has_no_route() {
    for (look_only, documents) in [(false, false), (true, true), (true, false)] {
        let served = served(|console| (console.look_only, console.documents) = (look_only, documents)).await;
        let cookie = served.sign_in().await;
        let record = served.get("/c/acme/records/invoices/1", &cookie).await;
        assert!(record.status == 200 && !record.body.contains("/document\""), "{}", record.body);
        let refused = served.post("/c/acme/records/invoices/1/document", &cookie, "").await;
        assert!(matches!(refused.status, 404 | 405), "{look_only} {documents}: {}", refused.status);
        assert!(!refused.body.contains(PAYLOAD_MARK));
        assert_eq!(looks(&served).await, []);
    }
}

#[tokio::test]
async fn the_quarantine_shows_reasons_and_no_bytes() {
    let served = served(|_| ()).await;
    let cookie = served.sign_in().await;
    let page = served.get("/c/acme/quarantine", &cookie).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains(">accepted<") && page.body.contains(">open<"), "{}", page.body);
    assert!(!page.body.contains(PAYLOAD_MARK), "{}", page.body);
    let open = served.get("/c/acme/quarantine?state=open&entity=invoices", &cookie).await;
    assert!(
        open.body.contains("class=\"pill bad\">open<") && !open.body.contains(">accepted<"),
        "{}",
        open.body
    );
    let none = served.get("/c/acme/quarantine?entity=bills", &cookie).await;
    assert!(none.body.contains("Nothing was found."), "{}", none.body);
}
