//! What the pages say.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backfill_console::{Problem, async_trait};
use qbo_auth::{Clock, ManualClock, SystemClock};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::browser::send;
use crate::invented;
use crate::served::Served;

#[tokio::test]
async fn today_says_in_one_sentence_what_is_missing_and_what_it_costs() {
    let served = Served::full().await;
    let cookie = served.sign_in().await;
    let english = served.get("/c/acme/", &cookie).await;
    assert_eq!(english.status, 200);
    assert!(english.body.contains("3 days of invoices failed."), "{}", english.body);
    assert!(english.body.contains("Read again · at least"), "{}", english.body);
    let spanish = served.get("/c/acme/", &format!("{cookie}; qbo-console-lang=es")).await;
    assert!(spanish.body.contains("<html lang=\"es\">"));
    assert!(spanish.body.contains("3 días de facturas fallaron."), "{}", spanish.body);
    assert!(spanish.body.contains("QuickBooks cuenta otro número"), "{}", spanish.body);
    assert!(spanish.body.contains("Falta algo") && spanish.body.contains("Guayaquil"));
}

#[tokio::test]
async fn a_page_that_has_not_changed_is_not_sent_again() {
    let served = Served::full().await;
    let cookie = served.sign_in().await;
    let first = served.get("/c/acme/company", &cookie).await;
    let tag = first.header("etag").unwrap();
    let headers = [("host", &*served.host()), ("cookie", &*cookie), ("if-none-match", tag)];
    let again = send(served.port, "GET", "/c/acme/company", &headers, "").await;
    // The clock on the page may have moved on by a minute.
    assert!(again.status == 304 && again.body.is_empty() || again.header("etag") != Some(tag));
}

#[tokio::test]
async fn coverage_shows_the_days_and_why_one_failed() {
    let served = Served::full().await;
    let cookie = served.sign_in().await;
    let page = served.get("/c/acme/pipelines/invoices?year=2025&day=2025-03-14", &cookie).await;
    assert_eq!(page.status, 200);
    for expected in ["14 March 2025", "QuickBooks counts 12 records", "3 days failed", "Read this day again"]
    {
        assert!(page.body.contains(expected), "{expected}: {}", page.body);
    }
    assert_eq!(served.get("/c/acme/pipelines/nothing", &cookie).await.status, 404);
}

#[tokio::test]
async fn an_empty_company_has_three_steps() {
    let (console, invented) = invented::empty(Arc::new(SystemClock::new())).await;
    let served = Served::new(console, invented).await;
    let cookie = served.sign_in().await;
    let page = served.get("/c/acme/", &cookie).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Three steps to the first rows"), "{}", page.body);
    for path in ["pipelines", "runs", "windows", "company", "pipelines/invoices"] {
        assert_eq!(served.get(&format!("/c/acme/{path}"), &cookie).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn while_the_database_is_away_the_last_sentence_stays() {
    let served = Served::full().await;
    let cookie = served.sign_in().await;
    assert_eq!(served.get("/c/acme/", &cookie).await.status, 200);
    let problem = Problem::new("The database is away.", "Start the database.");
    *served.invented.door.away.lock().unwrap() = Some(problem);
    let page = loop {
        let page = served.get("/c/acme/", &cookie).await;
        if page.status != 200 {
            break page;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(page.status, 503);
    for expected in
        ["The database is away.", "Start the database.", "Last known state", "3 days of invoices failed."]
    {
        assert!(page.body.contains(expected), "{expected}: {}", page.body);
    }
    assert_eq!(served.get("/c/acme/runs", &cookie).await.status, 503);
}

/// A clock of this machine that somebody sets back by two hours. What it measures goes on.
#[derive(Debug)]
struct SetBack {
    clock: SystemClock,
    is_set_back: AtomicBool,
}

#[async_trait]
impl Clock for SetBack {
    fn now_utc(&self) -> OffsetDateTime {
        let by = if self.is_set_back.load(Ordering::Relaxed) { 2 } else { 0 };
        self.clock.now_utc() - time::Duration::hours(by)
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_changes_nothing_but_the_time_of_day() {
    let clock = Arc::new(SetBack { clock: SystemClock::new(), is_set_back: AtomicBool::new(false) });
    let (console, invented) = invented::full(Arc::<SetBack>::clone(&clock)).await;
    let served = Served::new(console, invented).await;
    let cookie = served.sign_in().await;
    // Without what the clock of this machine says: the time on the page, and when the session ends.
    let said = async |path: &str| {
        let page = served.get(path, &cookie).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.header("age").unwrap().parse::<u64>().unwrap() < 60, "{path}");
        page.body.split_once("<main").unwrap().1.split_once("</main>").unwrap().0.to_owned()
    };
    for path in ["/c/acme/", "/c/acme/pipelines/invoices?year=2025", "/c/acme/triggers", "/c/acme/runs"] {
        clock.is_set_back.store(false, Ordering::Relaxed);
        let before = said(path).await;
        clock.is_set_back.store(true, Ordering::Relaxed);
        assert_eq!(said(path).await, before, "{path}");
        // Computed anew, too.
        clock.sleep(Duration::from_millis(1_100)).await;
        let seconds = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "");
        assert_eq!(seconds(&said(path).await), seconds(&before), "{path}");
    }
}

#[tokio::test]
async fn nobody_waits_for_ever_where_the_network_swallows_everything() {
    let clock = Arc::new(ManualClock::new(datetime!(2026-11-30 14:12 UTC)));
    let (console, invented) = invented::full(Arc::<ManualClock>::clone(&clock)).await;
    let served = Served::new(console, invented).await;
    let cookie = served.sign_in().await;
    served.invented.door.is_silent.store(true, Ordering::Relaxed);
    let asked = served.post("/c/acme/runs/20261130T140000Z-4e5f6a7b/stop", &cookie, "");
    let before = clock.sleeps().len();
    let waited = async {
        clock.until_sleeps(before + 1).await;
        clock.advance(Duration::from_secs(15));
    };
    let (answer, ()) = tokio::join!(asked, waited);
    assert_eq!(answer.status, 504);
    assert!(answer.body.contains("Whether it was done is not known."), "{}", answer.body);
    assert!(answer.body.contains("data-every=\"0\""), "an act is not sent again by itself");
    // What the network let through again is seen at once.
    served.invented.door.is_silent.store(false, Ordering::Relaxed);
    assert_eq!(served.get("/c/acme/", &cookie).await.status, 200);
}

#[tokio::test]
async fn a_page_says_how_old_it_is_by_when_it_was_computed() {
    let clock = Arc::new(ManualClock::new(datetime!(2026-11-30 14:12 UTC)));
    let (console, invented) = invented::full(Arc::<ManualClock>::clone(&clock)).await;
    let served = Served::new(console, invented).await;
    let cookie = served.sign_in().await;
    let page = served.get("/c/acme/", &cookie).await;
    assert!(page.header("age") == Some("0") && page.body.contains("data-age=\"0\""));
    *served.invented.door.away.lock().unwrap() = Some(Problem::new("It is away.", "Start it."));
    clock.advance(Duration::from_secs(47));
    let page = served.get("/c/acme/", &cookie).await;
    assert_eq!((page.status, page.header("age")), (503, Some("47")));
    assert!(page.body.contains("data-age=\"47\"") && page.body.contains("Last known state"), "{}", page.body);
}

#[tokio::test]
async fn health_is_told_while_every_place_is_taken() {
    let clock = Arc::new(ManualClock::new(datetime!(2026-11-30 14:12 UTC)));
    let (console, invented) = invented::full(clock).await;
    let served = Arc::new(Served::new(console, invented).await);
    let cookie = served.sign_in().await;
    served.invented.door.is_silent.store(true, Ordering::Relaxed);
    for _ in 0..32 {
        let (served, cookie) = (Arc::clone(&served), cookie.clone());
        tokio::spawn(async move { served.get("/c/acme/", &cookie).await });
    }
    while served.get("/enter", "").await.status != 503 {
        tokio::task::yield_now().await;
    }
    assert_eq!(served.get("/healthz", "").await.status, 200);
    assert_eq!(served.get("/metrics", "").await.status, 200);
}

#[tokio::test]
async fn the_page_to_sign_in_leads_to_the_name_that_no_other_program_has() {
    let served = Served::full().await;
    let shared = served.get("/enter", "").await;
    let own = format!("qbo-backfill.localhost:{}", served.port);
    assert!(shared.body.contains(&format!("href=\"http://{own}/enter\"")), "{}", shared.body);
    let apart = send(served.port, "GET", "/enter", &[("host", &own)], "").await;
    assert!(apart.status == 200 && !apart.body.contains(&format!("http://{own}/enter")), "{}", apart.body);
}

#[tokio::test]
async fn a_run_is_asked_to_stop_in_two_clicks() {
    let served = Served::full().await;
    let cookie = served.sign_in().await;
    let run = "/c/acme/runs/20261130T140000Z-4e5f6a7b";
    let page = served.get(run, &cookie).await;
    assert!(page.body.contains("Stop…") && page.body.contains("62 %"), "{}", page.body);
    let asked = served.get(&format!("{run}?stop=ask"), &cookie).await;
    assert!(asked.body.contains("Stop this run?"), "{}", asked.body);
    let stopped = served.post(&format!("{run}/stop"), &cookie, "").await;
    assert_eq!((stopped.status, stopped.header("location")), (303, Some(run)));
    let report = served.get(&format!("{run}/report"), &cookie).await;
    assert!(report.status == 200 && report.body.contains("<style>"), "{}", report.body);
    assert!(report.header("content-security-policy").unwrap().contains("form-action 'none'"));
    let page = served.get(run, &cookie).await;
    assert!(page.body.contains("op1 asked it to stop") && !page.body.contains("Stop…"), "{}", page.body);
}
