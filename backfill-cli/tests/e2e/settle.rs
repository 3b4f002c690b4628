//! A range that ends now: the run waits for its last windows, and reads them once more before it ends.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use fixtures::Shape;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::house::{House, YEAR, signal, wait};
use crate::terminal::Terminal;

/// The end of [`YEAR`].
const END: OffsetDateTime = datetime!(2025-01-01 0:00 UTC);

/// How long before the end of the margin the company's clock stands: a test waits that long, and no longer.
const LEFT: time::Duration = time::Duration::seconds(3);

/// A company whose clock stands `after` the end of the year.
async fn house(after: time::Duration) -> House {
    House::new(&Shape::default().with_counts(150, 12, 5).with_now(END + after)).await
}

/// A company whose last windows can be settled in some seconds.
async fn nearly_settled() -> House {
    house(time::Duration::minutes(5) - LEFT).await
}

/// A record appears that is older than the end of the range, and the company's clock goes on beyond the margin.
fn time_passes(house: &House) {
    house.sandbox.with_company(|company| {
        let before = company.now() - END + time::Duration::MINUTE;
        company.advance(-before);
        company.insert_new("Invoice").unwrap();
        company.advance(before + LEFT + time::Duration::SECOND);
    });
}

/// A process whose events are read one by one.
struct Told {
    child: Child,
    events: Lines<BufReader<ChildStdout>>,
}

impl Told {
    fn start(mut command: Command) -> Self {
        let mut child =
            command.args(["--output", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, events }
    }

    fn run(house: &House, more: &[&str]) -> Self {
        let mut command = house.command(&["run", "Invoice", "Customer"]);
        command.args(YEAR).args(more).args(house.addresses());
        Self::start(command)
    }

    /// Reads events until one of this name.
    fn until(&mut self, name: &str) -> Value {
        tokio::task::block_in_place(|| {
            for line in &mut self.events {
                let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
                if event["ev"] == name {
                    return event;
                }
            }
            panic!("it ended without {name}")
        })
    }
}

async fn open_windows(house: &House) -> i64 {
    house.number("SELECT count(*) FROM raw.backfill_log WHERE status <> 'completed'").await
}

async fn invoices(house: &House) -> i64 {
    house.number("SELECT count(*) FROM raw.qb_invoices").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_ends_now_is_completed_by_one_run() {
    let house = nearly_settled().await;
    let mut run = Told::run(&house, &[]);
    let settling = run.until("settling");
    assert!(settling["windows"] == 2 && settling["seconds"].as_u64() <= Some(4), "{settling}");
    assert_eq!(
        house.number("SELECT count(*) FROM raw.backfill_lease WHERE backend_pid IS NOT NULL").await,
        0
    );
    time_passes(&house);
    let finished = run.until("run_finished");
    assert_eq!((&finished["status"], &finished["exit_code"]), (&"completed".into(), &0.into()), "{finished}");
    wait(run.child).await.expect(0);
    assert_eq!((open_windows(&house).await, invoices(&house).await), (0, 151));
    // Nothing is left for another run.
    let calls = house.sandbox.journal().metered();
    house.backfill(&["Invoice", "Customer"], &[]).await.expect(0);
    assert_eq!(house.sandbox.journal().metered(), calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_run_settles_that_is_not_to() {
    let house = house(time::Duration::ZERO).await;
    let run = house.backfill(&["Invoice"], &["--no-settle", "--output", "json"]).await.expect(0);
    assert!(
        !run.stdout.contains("settling") && run.stdout.contains(r#""status":"incomplete""#),
        "{}",
        run.stdout
    );
    assert_eq!(open_windows(&house).await, 1);
    let file = house.home().join("qbo-backfill.toml");
    std::fs::write(&file, "[profile.default]\nsettle = false\n").unwrap();
    let run = house.backfill(&["Invoice"], &["--output", "json"]).await.expect(0);
    assert!(!run.stdout.contains("settling"), "{}", run.stdout);
    // An option says more than the profile.
    let mut told = Told::run(&house, &["--settle"]);
    assert!(told.until("settling")["seconds"].as_u64() <= Some(301));
    signal(&told.child, "-INT");
    wait(told.child).await.expect(130);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_or_killed_while_it_waits_is_settled_by_the_next_one() {
    let house = house(time::Duration::ZERO).await;
    for (name, code) in [("-KILL", -1), ("-TERM", 143), ("-INT", 130)] {
        let mut run = Told::run(&house, &[]);
        run.until("settling");
        signal(&run.child, name);
        let ended = wait(run.child).await.expect(code);
        if code > 0 {
            assert!(ended.error().contains("run the same command again"), "{}", ended.stderr);
        }
        assert_eq!(invoices(&house).await, 150, "what was read stays");
    }
    time_passes(&house);
    house.sandbox.with_company(|company| company.advance(time::Duration::minutes(5)));
    house.backfill(&["Invoice", "Customer"], &[]).await.expect(0);
    assert_eq!((open_windows(&house).await, invoices(&house).await), (0, 151));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_counts_down_in_one_line_and_ctrl_c_ends_it() {
    let house = house(time::Duration::ZERO).await;
    let mut command = house.command(&["run", "Invoice"]);
    command.args(YEAR).args(house.addresses()).env("TERM", "xterm");
    let (code, shown) = tokio::task::block_in_place(|| {
        let mut terminal = Terminal::start(&command);
        terminal.wait_for("settling, done in 4 min 5");
        terminal.press("\u{3}");
        terminal.end()
    });
    assert_eq!(code, 130, "{shown}");
    assert!(shown.contains("stopped") && shown.contains("run the same command again"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_settles_the_run_of_a_trigger_before_it_is_done() {
    let house = nearly_settled().await;
    let add = ["trigger", "add", "Invoice", "--name", "one", "--at", "2026-02-02", "--now"];
    house.at(&[&add[..], &YEAR].concat()).await.expect(0);
    let worker = || {
        let mut command = house.command(&["worker", "--once"]);
        command.args(house.addresses());
        Told::start(command)
    };
    // Another worker settles the run of one that is killed while it waits.
    let mut killed = worker();
    killed.until("settling");
    signal(&killed.child, "-KILL");
    wait(killed.child).await;
    let mut next = worker();
    next.until("settling");
    time_passes(&house);
    let ended = next.until("trigger_ended");
    assert_eq!((&ended["status"], &ended["message"]), (&"done".into(), &Value::Null), "{ended}");
    wait(next.child).await.expect(0);
    assert_eq!((open_windows(&house).await, invoices(&house).await), (0, 151));
    assert_eq!(house.number("SELECT count(*) FROM raw.backfill_run WHERE status = 'completed'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_names_the_price_of_settling() {
    let house = house(time::Duration::ZERO).await;
    #[expect(clippy::disallowed_methods, reason = "a plan goes by the host's clock")]
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let now = now.format(&time::format_description::well_known::Rfc3339).unwrap();
    let plan = ["plan", "Invoice", "CompanyInfo", "--from", "2026-01-01", "--to", &now];
    let told = house.at(&plan).await.expect(0);
    assert!(told.stdout.contains("settling: 2 windows end too near to now"), "{}", told.stdout);
    let json = house.at(&[&plan[..], &["--output", "json"]].concat()).await.expect(0);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    // A page and a count for the invoices; what is read as a whole is not counted.
    assert_eq!((&json["settling"]["windows"], &json["settling"]["estimated_calls"]), (&2.into(), &3.into()));
    assert!(json["settling"]["seconds"].as_u64().unwrap() <= 300, "{json}");
    for more in [&["--no-settle"][..], &["--settle", "--no-settle"]] {
        let json = house.at(&[&plan[..], more, &["--output", "json"]].concat()).await.expect(0);
        let json: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(json["settling"], Value::Null, "{more:?}");
    }
}
