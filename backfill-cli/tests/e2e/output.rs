//! A disk that is full, a reader that does not read, and names that a terminal would obey.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::process::{Child, Command, Stdio};

use fixtures::{Hostile, Shape};
use serde_json::Value;

use crate::house::{Ended, House, YEAR, ended, signal, wait};

/// What a name may be in a file or in a database: colours, a title, a cursor that moves, C1, a forged line, marks that turn
/// text around.
const HOSTILE: &str = "\u{1b}[35m\u{2064}\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\u{2066}\nforged\r\u{7f}";

fn full() -> Stdio {
    Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap())
}

async fn digest(house: &House) -> String {
    let listed = house.at(&["--output", "json", "quarantine", "list"]).await.expect(0);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    listed[0]["digest"].as_str().unwrap().to_owned()
}

/// A pipe that has no room left, and its other end.
fn clogged() -> (Stdio, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[b'\n'; 512]).is_ok() {}
    while rustix::io::write(&writer, b"\n").is_ok() {}
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    (Stdio::from(writer), reader)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_output_finds_no_room_has_not_ended_well() {
    let house =
        House::new(&Shape::default().with_counts(20, 5, 5).with_hostile("Invoice", Hostile::NulEscape)).await;
    house.backfill(&["Invoice"], &[]).await.expect(3);
    house.backfill(&["Item"], &[]).await.expect(0);
    let digest = digest(&house).await;
    let out = ["report", "--out", "/dev/full"];
    let run = [&["run", "Item"][..], &YEAR].concat();
    let json = [&["run", "Item", "--output", "json"][..], &YEAR].concat();
    let verify = [&["verify", "Item"][..], &YEAR].concat();
    let commands: &[&[&str]] = &[
        &["report"],
        &["report", "--format", "html"],
        &["--output", "json", "report"],
        &["runs"],
        &["status"],
        &["entities"],
        &["db", "status"],
        &["secrets", "list"],
        &["quarantine", "show", "Invoice", &digest],
        &run,
        &json,
        &verify,
        &["completions", "bash"],
        &["--help"],
        &["--version"],
    ];
    for words in commands {
        let words_at: Vec<String> =
            if words[0].starts_with("--h") || words[0].starts_with("--v") || words[0] == "completions" {
                Vec::new()
            } else {
                house.addresses()
            };
        let mut command = house.command(words);
        let child = command.args(&words_at).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
        let refused = wait(child).await.expect(74);
        assert!(refused.error().contains("could not be written"), "{words:?}: {}", refused.stderr);

        // A reader that has gone away is another matter.
        let mut command = house.command(words);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = command.args(&words_at).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        wait(child).await.expect(0);
    }
    assert!(house.at(&out).await.expect(74).error().contains("/dev/full"));
    let nowhere = house.at(&["report", "--out", "none/report.txt"]).await.expect(2);
    assert!(nowhere.error().contains("none/report.txt"));
    // Logs.
    let mut command = house.command(&["--log-level", "info", "run", "Item", "--force"]);
    let child =
        command.args(YEAR).args(house.addresses()).stdout(Stdio::null()).stderr(full()).spawn().unwrap();
    assert_eq!(wait(child).await.code, 74);
    // What a command has to say of itself stays said.
    let mut command = house.command(&["run", "Invoice", "--force"]);
    let child =
        command.args(YEAR).args(house.addresses()).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
    let incomplete = wait(child).await.expect(3);
    assert!(incomplete.stderr.contains("note: the output could not be written"), "{}", incomplete.stderr);
}

/// A run whose events are more than a pipe and a queue hold.
fn talkative(house: &House) -> Command {
    let mut command =
        house.command(&["run", "Item", "--output", "json", "--log-level", "trace", "--no-count"]);
    command.args(["--from", "1990-01-01", "--to", "2025-01-01"]).args(house.addresses());
    command
}

/// Waits until something has landed: the events of that say more than anybody takes.
async fn landed(house: &House, child: &mut Child) {
    let there = "SELECT (to_regclass('raw.backfill_page') IS NOT NULL)::int::bigint";
    while house.number(there).await == 0 || house.number("SELECT count(*) FROM raw.backfill_page").await == 0
    {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nobody_reads_hears_its_signals() {
    for (name, code) in [("-TERM", 143), ("-INT", 130)] {
        let house = House::new(&Shape::default().with_counts(20, 5, 5)).await;
        let (stdout, kept) = clogged();
        let (stderr, kept_too) = clogged();
        let mut child = talkative(&house).stdout(stdout).stderr(stderr).spawn().unwrap();
        landed(&house, &mut child).await;
        signal(&child, name);
        signal(&child, name);
        while child.try_wait().unwrap().is_none() {
            // A signal of a kind that is being handled already is one.
            signal(&child, name);
        }
        assert_eq!(wait(child).await.code, code);
        drop((kept, kept_too));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_late_gets_every_result() {
    let house = House::new(&Shape::default().with_counts(20, 5, 5)).await;
    let (stdout, reader) = clogged();
    let (stderr, mut said) = clogged();
    let mut child = talkative(&house).stdout(stdout).stderr(stderr).spawn().unwrap();
    landed(&house, &mut child).await;
    let (mut events, mut notes): (Vec<Value>, _) = (Vec::new(), String::new());
    let mut lines = BufReader::new(reader).lines().map_while(Result::ok).filter(|line| !line.is_empty());
    tokio::task::block_in_place(|| {
        while events.last().is_none_or(|event| event["ev"] != "run_finished") {
            events.push(serde_json::from_str(&lines.next().unwrap()).unwrap());
        }
        said.read_to_string(&mut notes).unwrap();
        assert_eq!(lines.next(), None);
    });
    wait(child).await.expect(0);
    let windows = events.iter().filter(|event| event["ev"] == "window").count();
    assert_eq!(windows, 12784, "one for each day of 35 years");
    // Logs are not results: what nobody read in time is left out, and that is said.
    assert!(notes.contains("lines were dropped here"), "{} bytes of notes", notes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_that_says_why_a_run_failed_is_never_left_out() {
    let shape = Shape::default().with_counts(20, 5, 5).with_hostile("Item", Hostile::NulEscape);
    let house = House::new(&shape).await;
    let (stderr, mut said) = clogged();
    let mut command = house.command(&["run", "Item", "--log-level", "trace", "--output", "json"]);
    command.args(["--from", "1990-01-01", "--to", "2025-01-01"]).args(house.addresses());
    let child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    // It holds an end of the pipe, too.
    drop(command);
    let (mut child, mut notes) = (child, String::new());
    let mut events = BufReader::new(child.stdout.take().unwrap()).lines();
    tokio::task::block_in_place(|| {
        assert!(events.by_ref().any(|line| line.unwrap().contains("run_finished")));
        said.read_to_string(&mut notes).unwrap();
    });
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(
        notes.contains("lines were dropped here") && notes.contains("\nerror: "),
        "{} bytes",
        notes.len()
    );
}

/// The sequences of our own styles.
const STYLES: [&str; 7] =
    ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[36m"];

/// Nothing that a terminal obeys but our own styles, and no line that somebody else has begun.
fn assert_tame(words: &[&str], ended: &Ended) {
    for text in [&ended.stdout, &ended.stderr] {
        let text = STYLES.iter().fold(text.clone(), |text, style| text.replace(style, ""));
        let obeyed = |c: char| {
            (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!text.contains(obeyed), "{words:?}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("forged")), "{words:?}: {text}");
    }
}

/// Puts it wherever the database keeps words.
async fn plant(house: &House) {
    let client = house.client().await;
    for sql in [
        "UPDATE raw.backfill_log SET error_message = $1, status = 'failed' WHERE window_start_utc < '2024-03-01'",
        "UPDATE raw.backfill_run SET message = $1",
        "UPDATE raw.quarantine SET reason = $1",
        "INSERT INTO raw.backfill_finding SELECT run_id, entity_name, validated_at_utc, 99, 'outlier', 'warning',
             NULL, NULL, 1, $1 FROM raw.backfill_validation
             ON CONFLICT (run_id, entity_name, validated_at_utc, number) DO UPDATE SET detail = excluded.detail",
        "UPDATE raw.backfill_trigger SET message = $1",
        "UPDATE raw.backfill_trigger_history SET detail = $1",
    ] {
        let planted = client.execute(sql, &[&HOSTILE]).await;
        assert!(planted.unwrap_or_else(|error| panic!("{sql}: {error}")) > 0, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_reason_or_message_is_obeyed_by_a_terminal() {
    let house =
        House::new(&Shape::default().with_counts(20, 5, 5).with_hostile("Invoice", Hostile::NulEscape)).await;
    house.backfill(&["Invoice", "Item"], &[]).await.expect(3);
    let add = ["trigger", "add", "Item", "--at", "2090-01-01", "--from", "2024-01-01", "--to", "2024-02-01"];
    house.at(&[&add[..], &["--name", "later"]].concat()).await.expect(0);
    plant(&house).await;
    let run: String = house.query("SELECT run_id FROM raw.backfill_run").await[0].get(0);
    let digest = digest(&house).await;

    let escaped: String = HOSTILE
        .chars()
        .map(|c| if c.is_control() { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() })
        .collect();
    let odd = house.home().join(format!("file{}", HOSTILE.replace('/', "")));
    std::fs::write(&odd, format!("triggers:\n- name: \"{escaped}\"\n  schedule_interval: '@daily'\n"))
        .unwrap();
    let odd = odd.to_str().unwrap();
    let commands: &[&[&str]] = &[
        &["status", "--windows"],
        &["runs"],
        &["runs", "show", &run, "--windows"],
        &["report"],
        &["report", "--format", "md"],
        &["report", "--format", "html"],
        &["trigger", "list"],
        &["trigger", "history", "later"],
        &["trigger", "apply", "--file", odd],
        &["trigger", "apply", "--file", &format!("{odd}/none")],
        &["quarantine", "list"],
        &["quarantine", "show", "Invoice", &digest],
        &["quarantine", "show", "Invoice", HOSTILE],
        &["--config", odd, "status"],
        &["--profile", HOSTILE, "status"],
        &["run", HOSTILE, "--from", "2024-01-01", "--to", "2024-02-01"],
        &["report", "--out", odd],
        &["secrets", "set", HOSTILE],
        &["trigger", "cancel", HOSTILE],
        &["runs", "show", HOSTILE],
        &["verify", "Item", "--from", "2024-01-01", "--to", "2024-02-01"],
        &["retry", "--failed"],
        &["worker", "--once"],
        &["doctor", "--offline"],
        &["--vault", odd, "secrets", "list"],
    ];
    for words in commands {
        let mut command = house.command(words);
        // What is shown in colours is none of somebody else's.
        command.args(house.addresses()).args(["--color", "always", "--log-level", "debug"]);
        assert_tame(words, &ended(command).await);
    }
    // Programs get the exact value, in characters that no terminal obeys.
    plant(&house).await;
    for words in [&["--output", "json", "runs", "show", &run][..], &["report", &run, "--format", "json"]] {
        let shown = house.at(words).await.expect(0);
        assert_tame(words, &shown);
        let value: Value = serde_json::from_str(&shown.stdout).unwrap();
        let message = value.get("message").unwrap_or(&value["run"]["message"]);
        assert_eq!(message, HOSTILE, "{}", shown.stdout);
    }
}
