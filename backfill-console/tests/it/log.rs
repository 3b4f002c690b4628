//! The log, and the report of a run.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qbo_auth::SystemClock;
use raw_store::{EventLog as _, HistoryPhase, NewEvent, Severity};
use sha2::{Digest as _, Sha256};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::invented;
use crate::served::Served;

const FIRST: OffsetDateTime = datetime!(2026-11-20 8:00 UTC);

fn event(at: OffsetDateTime, name: &str) -> NewEvent {
    NewEvent {
        at,
        level: Severity::Info,
        phase: HistoryPhase::Extract,
        event: name.into(),
        run: None,
        entity_name: Some("invoices".into()),
        trigger: None,
        who: Some("op2".into()),
        code: None,
        detail: None,
    }
}

/// A console with `number` events, one a second, called `event 0` and so on.
async fn served(number: u32) -> Served {
    let (console, invented) = invented::empty(Arc::new(SystemClock::new())).await;
    let events: Vec<_> = (0..number)
        .map(|second| event(FIRST + Duration::seconds(second.into()), &format!("event {second}.")))
        .collect();
    invented.store.record_events(&events).await.unwrap();
    Served::new(console, invented).await
}

/// The numbers of the events on a page, from the top.
fn events(body: &str) -> Vec<u32> {
    let cells = body.split("<td class=\"what\">").skip(1);
    let number = |cell: &str| cell.split_once("event ")?.1.split_once('.')?.0.parse().ok();
    cells.filter_map(number).collect()
}

/// The address of a link of a page.
fn link(body: &str, rel: &str) -> Option<String> {
    let (before, _) = body.split_once(&format!("\" rel=\"{rel}\">"))?;
    let (_, address) = before.rsplit_once("<a href=\"")?;
    Some(format!("/c/acme/log{}", address.replace("&#38;", "&")))
}

#[tokio::test]
async fn the_log_is_walked_there_and_back_without_a_gap() {
    let served = served(450).await;
    let cookie = served.sign_in().await;
    let mut pages = vec![served.get("/c/acme/log?entity=invoices", &cookie).await.body];
    assert_eq!(link(&pages[0], "prev"), None);
    while let Some(earlier) = link(pages.last().unwrap(), "next") {
        pages.push(served.get(&earlier, &cookie).await.body);
    }
    let seen: Vec<_> = pages.iter().flat_map(|page| events(page)).collect();
    assert_eq!(seen, (0..450).rev().collect::<Vec<_>>());
    assert_eq!(pages.len(), 3);
    let later = served.get(&link(&pages[2], "prev").unwrap(), &cookie).await.body;
    assert_eq!(events(&later), events(&pages[1]));
    let later = served.get(&link(&later, "prev").unwrap(), &cookie).await.body;
    assert_eq!(events(&later), events(&pages[0]));
}

#[tokio::test]
async fn a_time_that_is_typed_is_found_in_the_zone_that_is_shown() {
    let served = served(300).await;
    let cookie = served.sign_in().await;
    // 08:03 UTC is 03:03 in Guayaquil.
    for (zone, at) in
        [("own", "2026-11-20+03:03"), ("utc", "2026-11-20+08:03"), ("own", "2026-11-20T08:03:00Z")]
    {
        let page = served
            .get(&format!("/c/acme/log?at={at}"), &format!("{cookie}; qbo-console-zone={zone}"))
            .await
            .body;
        let (above, below) = page.split_once("id=\"at\"").unwrap();
        let length = if at.ends_with('Z') { 1 } else { 60 };
        assert_eq!(events(above), [182 + length, 181 + length, 180 + length], "{at}");
        assert_eq!(
            events(below)[..usize::try_from(length).unwrap()],
            (180..180 + length).rev().collect::<Vec<_>>()
        );
        assert!(
            page.contains("<small>08:03:00</small>") || page.contains("<small>03:03:00</small>"),
            "{page}"
        );
    }
    let wrong = served.get("/c/acme/log?at=soon", &cookie).await;
    assert_eq!(wrong.status, 200);
    assert!(
        wrong.body.contains("Write a time of Guayaquil") && wrong.body.contains("value=\"soon\""),
        "{}",
        wrong.body
    );
}

#[tokio::test]
async fn the_last_time_of_that_name_is_meant() {
    let clock = Arc::new(SystemClock::new());
    let now = qbo_auth::Clock::now_utc(&*clock);
    let (console, invented) = invented::empty(clock).await;
    let at = |ago: Duration| now - ago;
    let events = [at(Duration::minutes(90)), at(Duration::minutes(90) + Duration::DAY)];
    let events = [event(events[0], "event 1."), event(events[1], "event 2.")];
    invented.store.record_events(&events).await.unwrap();
    let served = Served::new(console, invented).await;
    let cookie = served.sign_in().await;
    let local = events[0].at - Duration::hours(5);
    let typed = format!("{:02}:{:02}", local.hour(), local.minute());
    let page = served.get(&format!("/c/acme/log?at={typed}"), &cookie).await.body;
    let (_, here) = page.split_once("id=\"at\"").unwrap();
    assert_eq!(self::events(here)[0], 1, "{page}");
}

#[tokio::test]
async fn filters_are_part_of_the_address() {
    let served = served(300).await;
    let cookie = served.sign_in().await;
    let get = async |query: &str| served.get(&format!("/c/acme/log?{query}"), &cookie).await.body;
    assert_eq!(events(&get("q=EVENT+7.").await), [7]);
    assert_eq!(events(&get("who=op2&q=event+299.").await), [299]);
    for nothing in ["who=op1", "level=error", "phase=auth", "entity=bills", "q=%25", "run=unknown"] {
        let page = get(nothing).await;
        assert!(
            events(&page).is_empty() && page.contains("Nothing matches these filters here."),
            "{nothing}: {page}"
        );
    }
    let wrong = get("run=not+a+run").await;
    assert!(wrong.contains("letters, digits and dashes") && events(&wrong).is_empty(), "{wrong}");
    let kept = link(&get("who=op2&level=info").await, "next").unwrap();
    assert!(kept.contains("level=info&who=op2&before="), "{kept}");
}

#[tokio::test]
async fn the_report_of_a_run_may_use_its_own_style_and_nothing_else() {
    let served = Served::full().await;
    let cookie = served.sign_in().await;
    let report = served.get("/c/acme/runs/20261129T050000Z-0a1b2c3d/report", &cookie).await;
    assert_eq!(report.status, 200);
    assert!(report.body.contains("Backfill run 20261129T050000Z-0a1b2c3d"), "{}", report.body);
    let (_, rest) = report.body.split_once("<style>").unwrap();
    let (style, rest) = rest.split_once("</style>").unwrap();
    assert!(
        !rest.contains("style=") && !rest.contains("<style") && !rest.contains("<script"),
        "another style"
    );
    let sheet = format!("style-src 'sha256-{}'", STANDARD.encode(Sha256::digest(style)));
    let policies: Vec<_> =
        report.head.lines().filter_map(|line| line.strip_prefix("content-security-policy: ")).collect();
    let [policy] = &*policies else { panic!("{policies:?}") };
    assert!(policy.contains(&sheet) && policy.starts_with("default-src 'none';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("script"), "{policy}");
    assert_eq!(report.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(served.get("/c/acme/runs/unknown/report", &cookie).await.status, 404);
    assert_eq!(served.get("/c/acme/runs/not%20a%20run/report", &cookie).await.status, 404);
    let page = served.get("/c/acme/runs/20261129T050000Z-0a1b2c3d", &cookie).await;
    assert!(page.body.contains("0a1b2c3d/report\""), "{}", page.body);
}
