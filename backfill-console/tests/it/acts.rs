//! What people do: arming, switching off and on, reading again, stopping.

use std::sync::Arc;

use backfill_console::{Company, Console};
use qbo_auth::{Clock as _, SystemClock};
use raw_store::{
    HistoryFilter, HistoryOrder, HistoryReader as _, RunReader as _, Severity, Trigger, TriggerQueue as _,
    TriggerState, Window, WindowSelection,
};
use time::Duration;
use time::macros::datetime;

use crate::browser::Answer;
use crate::invented;
use crate::served::Served;

/// January of one pipeline, at ten o'clock in Guayaquil of a day that is far ahead.
const JANUARY: &str = "pipelines=invoices&from=2026-01-01&to=2026-02-01&when=at&at=2099-12-02+10:00";

async fn empty() -> Served {
    let (console, invented) = invented::empty(Arc::new(SystemClock::new())).await;
    Served::new(console, invented).await
}

async fn in_zone(zone: &str) -> Served {
    let (console, invented) = invented::empty(Arc::new(SystemClock::new())).await;
    let own = |company| Company { zone: zone.into(), ..company };
    let companies = console.companies.into_iter().map(own).collect();
    Served::new(Console { companies, ..console }, invented).await
}

async fn sign_in_as(served: &Served, name: &str) -> String {
    let body = format!("name={name}&key={}&next=", invented::KEY);
    served.post("/enter", "", &body).await.cookie()
}

async fn triggers(served: &Served) -> Vec<Trigger> {
    served.invented.store.triggers().await.unwrap().0
}

/// The value of a hidden field.
fn hidden(page: &Answer, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.body.split_once(&mark).unwrap_or_else(|| panic!("no field {name}: {}", page.body));
    rest.split('"').next().unwrap().to_owned()
}

/// Previews a form, and returns what its button sends.
async fn previewed(served: &Served, cookie: &str, form: &str) -> (Answer, String) {
    let page = served.get(&format!("/c/acme/new?{form}"), cookie).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let body = format!("{form}&made={}&seen={}", hidden(&page, "made"), hidden(&page, "seen"));
    (page, body)
}

/// The details of refusals that were recorded.
async fn refusals(served: &Served) -> Vec<(String, Option<String>)> {
    let now = SystemClock::new().now_utc();
    let span = Window::new(now - Duration::HOUR, now + Duration::HOUR).unwrap();
    let filter = HistoryFilter { level: Some(Severity::Warning), ..HistoryFilter::default() };
    let store = &served.invented.store;
    let entries = store.happened(span, &filter, HistoryOrder::OldestFirst, None, 100).await.unwrap().value;
    entries.into_iter().map(|entry| (entry.event.into(), entry.who.map(Into::into))).collect()
}

#[tokio::test]
async fn what_is_previewed_is_armed_and_a_second_press_lands_on_the_first() {
    let served = empty().await;
    let (one, two) = (sign_in_as(&served, "op1").await, sign_in_as(&served, "op2").await);
    let (page, body) = previewed(&served, &one, JANUARY).await;
    for expected in [
        "31 windows: 0 done, 31 to read in 1 ordered read.",
        "2099-12-02 10:00 Guayaquil",
        "15:00 UTC",
        "31 January 2026 is the last day",
        "Left this month: 500,000 of 500,000.",
        "Arm for 2099-12-02 10:00 Guayaquil · at least 2 calls",
        "No worker runs now.",
        "trigger add invoices --from 2026-01-01 --to 2026-02-01 --at 2099-12-02T15:00:00Z",
    ] {
        assert!(page.body.contains(expected), "{expected}: {}", page.body);
    }
    assert!(triggers(&served).await.is_empty(), "a preview armed something");
    let armed = served.post("/c/acme/new", &one, &body).await;
    let own = "/c/acme/triggers/qb_invoices_backfill-20991202T1500Z";
    assert_eq!((armed.status, armed.header("location")), (303, Some(own)), "{}", armed.body);
    let again = served.post("/c/acme/new", &two, &body).await;
    assert_eq!((again.status, again.header("location")), (303, Some(&*format!("{own}?told=before"))));
    let landed = served.get(&format!("{own}?told=before"), &two).await;
    assert!(landed.body.contains("by op1. It was not armed again."), "{}", landed.body);
    let all = triggers(&served).await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].asked.fire_at, datetime!(2099-12-02 15:00 UTC));
    assert_eq!(all[0].asked.plan.selection, WindowSelection::Open);
    let list = served.get("/c/acme/triggers", &two).await;
    for expected in ["qb_invoices_backfill-20991202T1500Z", "op1", "role=\"switch\" aria-checked=\"true\""] {
        assert!(list.body.contains(expected), "{expected}: {}", list.body);
    }
    let (page, _) = previewed(&served, &one, JANUARY).await;
    assert!(page.body.contains("The same is armed already:"), "{}", page.body);
}

#[tokio::test]
async fn a_form_that_was_changed_after_its_preview_is_shown_again() {
    let served = empty().await;
    let cookie = served.sign_in().await;
    let (_, body) = previewed(&served, &cookie, JANUARY).await;
    let changed = body.replace("to=2026-02-01", "to=2026-03-01");
    let answer = served.post("/c/acme/new", &cookie, &changed).await;
    assert_eq!(answer.status, 409);
    assert!(
        answer.body.contains("The form has changed.") && answer.body.contains("59 windows"),
        "{}",
        answer.body
    );
    assert!(triggers(&served).await.is_empty());
    // What a browser sends for the same form is the same: every choice is written out, a time has a T.
    let sent = "pipelines=invoices&from=2026-01-01&to=2026-02-01&days=utc&what=open&when=at&at=2099-12-02T10%3A00\
                &if_missed=run&every=whole&by=updated&chunk=day&name=";
    let made = body.split_once("&made=").unwrap().1;
    let armed = served.post("/c/acme/new", &cookie, &format!("{sent}&made={made}")).await;
    assert_eq!(armed.status, 303, "{}", armed.body);
}

#[tokio::test]
async fn what_cannot_be_used_is_said_beside_its_field_and_nothing_is_armed() {
    let served = empty().await;
    let cookie = served.sign_in().await;
    let form = "pipelines=invoices&from=2026-01-01&to=2026-02-01";
    for (form, field, expected) in [
        ("from=2026-01-01&to=2026-02-01".to_owned(), "pipelines", "Choose at least one pipeline."),
        (form.replace("invoices", "invoises"), "pipelines", "Did you mean"),
        (form.replace("2026-01-01", "yesterday"), "from", "“yesterday” is not a time."),
        (form.replace("2026-01-01", ""), "from", "Enter a time"),
        (form.replace("2026-01-01", "1200-01-01"), "from", "Enter a year from 1900 to 2200."),
        (form.replace("2026-02-01", "2026-02-31"), "to", "“2026-02-31” is not a time."),
        (form.replace("2026-02-01", "2026-01-01"), "to", "The end is not after the start."),
        (format!("{form}&when=at&at=2020-01-01+10:00"), "at", "This time has passed."),
        (format!("{form}&when=at&at=10:00"), "at", "“10:00” is not a time."),
        (format!("{form}&when=at"), "at", "Enter a time"),
        (format!("{form}&when=never"), "when", "Choose now or at."),
        (format!("{form}&what=nothing"), "what", "Choose open, failed or again."),
        ("pipelines=invoices&what=failed".to_owned(), "what", "No window of these pipelines has failed."),
        (format!("{form}&days=moon"), "days", "Choose utc or own."),
        (format!("{form}&if_missed=x"), "if_missed", "Choose run or skip."),
        (format!("{form}&every=x"), "every", "A part is a day"),
        (format!("{form}&by=x"), "by", "The axis is updated, created or txn-date."),
        (format!("{form}&chunk=x"), "chunk", "A window is a day"),
        (form.replace("2026-01-01", "1900-01-01"), "chunk", "more than 25,000 windows"),
        (form.replace("2026-01-01", "2020-01-01") + "&every=day", "every", "more than 400 parts"),
        (format!("{form}&name=enero+2026"), "name", "A name has 1 to 80 letters"),
        (format!("{form}&every=month&name={}", "x".repeat(80)), "name", "longer than 80"),
        (form.replace("2026-01-01", "2026-01-01+06:00") + "&by=txn-date", "from", "no time of day"),
        (form.replace("invoices", "customers") + "&by=txn-date", "pipelines", "cannot be read by this axis"),
        (
            "pipelines=invoices&from=2098-01-01&to=2099-01-01".to_owned(),
            "from",
            "begins after the trigger fires",
        ),
    ] {
        let seen = served.get(&format!("/c/acme/new?{form}"), &cookie).await;
        let pressed = served.post("/c/acme/new", &cookie, &format!("{form}&made=x")).await;
        for answer in [&seen, &pressed] {
            assert_eq!(answer.status, 422, "{form}");
            let beside = answer.body.split_once(&format!("id=\"{field}-wrong\">"));
            let sentence =
                beside.unwrap_or_else(|| panic!("{form}: nothing beside {field}: {}", answer.body)).1;
            assert!(sentence.split("</p>").next().unwrap().contains(expected), "{form}: {sentence}");
            assert!(!answer.body.contains("formmethod"), "{form} has a button");
        }
        assert!(pressed.body.contains("Nothing was armed."), "{form}");
    }
    assert!(triggers(&served).await.is_empty());
    let typed = served.get(&format!("/c/acme/new?{}", form.replace("2026-01-01", "ayer")), &cookie).await;
    assert!(
        typed.body.contains("value=\"ayer\"") && typed.body.contains("value=\"2026-02-01\""),
        "{}",
        typed.body
    );
    let recorded = refusals(&served).await;
    assert!(recorded.contains(&("arming refused".to_owned(), Some("op1".to_owned()))), "{recorded:?}");
}

#[tokio::test]
async fn a_name_that_another_trigger_has_is_refused() {
    let served = empty().await;
    let cookie = served.sign_in().await;
    let first = served.post("/c/acme/new", &cookie, &format!("{JANUARY}&name=enero")).await;
    assert_eq!(first.header("location"), Some("/c/acme/triggers/enero"), "{}", first.body);
    let other = JANUARY.replace("invoices", "bills");
    let refused = served.post("/c/acme/new", &cookie, &format!("{other}&name=enero")).await;
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("Another trigger or chain is called enero."), "{}", refused.body);
    assert_eq!(triggers(&served).await.len(), 1);
}

#[tokio::test]
async fn a_chain_is_armed_once_and_each_part_waits_for_the_one_before() {
    let served = empty().await;
    let cookie = served.sign_in().await;
    let form =
        "pipelines=invoices&from=2025-01-01&to=2025-04-01&when=at&at=2099-12-02+10:00&every=month&name=year";
    let (page, body) = previewed(&served, &cookie, form).await;
    assert!(page.body.contains("3 triggers, one after another"), "{}", page.body);
    for told in ["", "&told=before"] {
        let armed = served.post("/c/acme/new", &cookie, &body).await;
        let expected = format!("/c/acme/triggers?name=year.{told}");
        assert_eq!((armed.status, armed.header("location")), (303, Some(&*expected)), "{}", armed.body);
    }
    let list = served.get("/c/acme/triggers?name=year.&told=before", &cookie).await;
    for expected in ["year.2025-03-01", "fires after year.2025-01-01", "This chain was armed before."] {
        assert!(list.body.contains(expected), "{expected}: {}", list.body);
    }
    assert_eq!(triggers(&served).await.len(), 3);
}

#[tokio::test]
async fn what_failed_is_read_again_by_a_trigger_that_means_failed() {
    let served = Served::full().await;
    let cookie = served.sign_in().await;
    let before = triggers(&served).await.len();
    let (page, body) = previewed(&served, &cookie, "pipelines=invoices&what=failed").await;
    assert!(page.body.contains("3 windows: 0 done, 3 to read"), "{}", page.body);
    assert!(page.body.contains("Read 3 windows that failed again · at least"), "{}", page.body);
    let filled = format!("&from={}&to={}", field(&page, "from"), field(&page, "to"));
    let armed = served.post("/c/acme/new", &cookie, &format!("{body}{filled}")).await;
    assert_eq!(armed.status, 303, "{}", armed.body);
    // A button on another page has no preview: it sends what it names.
    let direct = "pipelines=invoices&what=again&from=2025-03-14&to=2025-03-15&made=day-1";
    for _ in 0..2 {
        let armed = served.post("/c/acme/new", &cookie, direct).await;
        assert_eq!(armed.status, 303, "{}", armed.body);
    }
    let all = triggers(&served).await;
    assert_eq!(all.len(), before + 2);
    let selection = |name: &str| {
        all.iter().find(|one| one.asked.name.as_str().starts_with(name)).unwrap().asked.plan.selection
    };
    assert_eq!(selection("qb_invoices_backfill-"), WindowSelection::Failed);
    assert_eq!(selection("day-1"), WindowSelection::Again);
}

/// What a field of the form shows.
fn field(page: &Answer, name: &str) -> String {
    let (_, rest) = page.body.split_once(&format!("id=\"{name}\" name=\"{name}\"")).unwrap();
    rest.split_once("value=\"").unwrap().1.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_switch_is_refused_if_another_person_armed_it_meanwhile() {
    let served = empty().await;
    let (one, two) = (sign_in_as(&served, "op1").await, sign_in_as(&served, "op2").await);
    served.post("/c/acme/new", &one, &format!("{JANUARY}&name=enero")).await;
    let own = "/c/acme/triggers/enero";
    for _ in 0..2 {
        let off = served.post(&format!("{own}/off"), &one, "back=list").await;
        assert_eq!((off.status, off.header("location")), (303, Some("/c/acme/triggers")));
        assert_eq!(triggers(&served).await[0].state, TriggerState::Cancelled);
    }
    let page = served.get(own, &one).await;
    assert!(page.body.contains("aria-checked=\"false\"") && hidden(&page, "seen") == "1", "{}", page.body);
    for (cookie, status, location) in [
        (&two, 303, Some(own.to_owned())),
        // The second press lands on the first one's page.
        (&two, 303, Some(format!("{own}?told=before"))),
        (&one, 409, None),
    ] {
        let on = served.post(&format!("{own}/on"), cookie, "seen=1&when=same").await;
        assert_eq!((on.status, on.header("location")), (status, location.as_deref()), "{}", on.body);
        if status == 409 {
            assert!(on.body.contains("op2 armed it again"), "{}", on.body);
        }
    }
    assert_eq!(triggers(&served).await[0].armings, 2);
    let recorded = refusals(&served).await;
    assert!(recorded.contains(&("arming again refused".to_owned(), Some("op1".to_owned()))), "{recorded:?}");
    assert_eq!(served.post("/c/acme/triggers/enerro/off", &one, "").await.status, 404);
    let history = served.get(own, &one).await;
    for expected in ["switched off · op1", "armed · op2"] {
        assert!(history.body.contains(expected), "{expected}: {}", history.body);
    }
}

#[tokio::test]
async fn a_trigger_whose_time_has_passed_asks_for_another_and_writes_both_times_out() {
    let served = empty().await;
    let cookie = served.sign_in().await;
    served.post("/c/acme/new", &cookie, &format!("{JANUARY}&name=enero")).await;
    served.post("/c/acme/triggers/enero/off", &cookie, "").await;
    let own = "/c/acme/triggers/enero";
    let asked = served.get(&format!("{own}?on=ask"), &cookie).await;
    assert!(asked.body.contains("When shall it fire?") && asked.body.contains("Arm now"), "{}", asked.body);
    let wrong = served.get(&format!("{own}?on=ask&at=mañana"), &cookie).await;
    assert!(wrong.body.contains("is not a time"), "{}", wrong.body);
    let shown = served.get(&format!("{own}?on=ask&at=2099-12-05+09:00"), &cookie).await;
    for expected in ["2099-12-05 09:00:00 Guayaquil", "2099-12-05 14:00:00 UTC", "Arm for"] {
        assert!(shown.body.contains(expected), "{expected}: {}", shown.body);
    }
    assert_eq!(triggers(&served).await[0].state, TriggerState::Cancelled);
    for (sent, expected) in [
        ("seen=1&when=at&at=mañana", "is not a time"),
        ("seen=1&when=at&at=2020-01-01", "This time has passed."),
        ("seen=1&when=never", "Choose now or at."),
    ] {
        let refused = served.post(&format!("{own}/on"), &cookie, sent).await;
        assert_eq!(refused.status, 422, "{sent}");
        assert!(refused.body.contains(expected), "{sent}: {}", refused.body);
    }
    let armed = served.post(&format!("{own}/on"), &cookie, "seen=1&when=at&at=2099-12-05T14:00:00Z").await;
    assert_eq!((armed.status, armed.header("location")), (303, Some(own)), "{}", armed.body);
    assert_eq!(triggers(&served).await[0].asked.fire_at, datetime!(2099-12-05 14:00 UTC));
}

#[tokio::test]
async fn the_server_converts_times_where_the_clocks_change() {
    let served = in_zone("America/New_York").await;
    let cookie = served.sign_in().await;
    let form =
        |at: &str| format!("/c/acme/new?pipelines=invoices&from=2026-01-01&to=2026-02-01&when=at&at={at}");
    let skipped = served.get(&form("2099-03-08+02:30"), &cookie).await;
    assert_eq!(skipped.status, 422);
    assert!(skipped.body.contains("does not exist in New York"), "{}", skipped.body);
    let before = served.get(&form("2099-03-08+01:30"), &cookie).await;
    assert!(before.body.contains("06:30 UTC"), "{}", before.body);
    let after = served.get(&form("2099-03-08+03:30"), &cookie).await;
    assert!(after.body.contains("07:30 UTC"), "{}", after.body);
    let twice = served.get(&form("2099-11-01+01:30"), &cookie).await;
    for expected in ["05:30 UTC", "this time comes twice", "2099-11-01T06:30:00Z"] {
        assert!(twice.body.contains(expected), "{expected}: {}", twice.body);
    }
    // Days of the company's own zone: March 2026 begins in winter and ends in summer.
    let own =
        "/c/acme/new?pipelines=invoices&from=2026-03-01&to=2026-04-01&days=own&when=at&at=2099-12-02+10:00";
    let days = served.get(own, &cookie).await;
    for expected in ["05:00 UTC", "04:00 UTC", "31 March 2026 is the last day"] {
        assert!(days.body.contains(expected), "{expected}: {}", days.body);
    }
}

#[tokio::test]
async fn stopping_a_run_twice_is_the_same_as_once() {
    let served = Served::full().await;
    let (one, two) = (sign_in_as(&served, "op1").await, sign_in_as(&served, "op2").await);
    let run = "/c/acme/runs/20261130T140000Z-4e5f6a7b";
    for cookie in [&one, &two] {
        let stopped = served.post(&format!("{run}/stop"), cookie, "").await;
        assert_eq!((stopped.status, stopped.header("location")), (303, Some(run)));
    }
    let id = "20261130T140000Z-4e5f6a7b".parse().unwrap();
    let progress = served.invented.store.progress(&id).await.unwrap().value.unwrap();
    assert_eq!(progress.stop.unwrap().by.as_deref(), Some("op1"));
}

#[tokio::test]
async fn where_pages_only_show_nothing_can_be_armed() {
    let (console, invented) = invented::empty(Arc::new(SystemClock::new())).await;
    let served = Served::new(Console { look_only: true, ..console }, invented).await;
    let cookie = served.sign_in().await;
    for path in ["new", "triggers/x/on", "triggers/x/off"] {
        let answer = served.post(&format!("/c/acme/{path}"), &cookie, JANUARY).await;
        assert!([404, 405].contains(&answer.status), "{path} {}", answer.status);
    }
    let page = served.get(&format!("/c/acme/new?{JANUARY}"), &cookie).await;
    assert!(page.body.contains("31 windows") && !page.body.contains("formmethod"), "{}", page.body);
    assert!(triggers(&served).await.is_empty());
}

#[tokio::test]
async fn in_spanish_the_range_has_the_names_that_people_know() {
    let served = empty().await;
    let cookie = format!("{}; qbo-console-lang=es", served.sign_in().await);
    let form = "pipelines=invoices&fecha_inicio=2026-01-01&fecha_fin=2026-02-01&at=2099-12-02+10:00";
    let page = served.get(&format!("/c/acme/new?{form}"), &cookie).await;
    for expected in
        ["fecha_inicio</label>", "fecha_fin</label>", "31 ventanas", "Armar para 2099-12-02 10:00 Guayaquil"]
    {
        assert!(page.body.contains(expected), "{expected}: {}", page.body);
    }
}
