//! `--output json`: what programs read, from every command, however it ends.

use std::collections::BTreeSet;

use fixtures::{CallKind, Fault, Hostile, Rule, SandboxOptions, Shape};
use serde_json::Value;

use crate::completions::commands;
use crate::consent::{Login, visit};
use crate::house::{Ended, House, YEAR, signal, standing_run, wait, with_stdin};

/// What a command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One value.
    Value,
    /// One object a line.
    Events,
}

use Form::{Events, Value as One};

/// Words, exit code and form, in an order in which each finds what it needs. `RUN` and `DIGEST` stand for what is there
/// then.
const TABLE: &[(&[&str], i32, Form)] = &[
    (&["secrets", "init", "--vault", "v", "--vault-key-file", "k"], 0, One),
    (&["secrets", "set", "QBO_CLIENT_ID", "--vault", "v", "--vault-key-file", "k"], 0, One),
    (&["secrets", "list"], 0, One),
    (&["secrets", "rm", "QBO_CLIENT_ID", "--vault", "v", "--vault-key-file", "k"], 0, One),
    (&["secrets", "rekey", "--new-key-file", "k2", "--vault", "v", "--vault-key-file", "k"], 0, One),
    (&["secrets", "export-public-info"], 0, One),
    (&["status"], 0, One),
    (&["runs"], 0, One),
    (&["plan", "Item", "--from", "2024-01-01", "--to", "2024-02-01"], 0, One),
    (&["run", "Item", "--from", "2024-01-01", "--to", "2024-02-01", "--dry-run"], 0, One),
    (&["db", "init", "--roles"], 0, One),
    (&["run", "Item", "--from", "2024-01-01", "--to", "2025-01-01"], 0, Events),
    (&["run", "Invoice", "--from", "2024-01-01", "--to", "2025-01-01"], 3, Events),
    (&["run", "Item", "--from", "2024-01-01", "--to", "2025-01-01"], 0, Events),
    (&["status", "--windows", "--status", "completed"], 0, One),
    (&["runs", "--limit", "1"], 0, One),
    (&["runs", "show", "RUN", "--windows"], 0, One),
    (&["report"], 0, One),
    (&["report", "--format", "json"], 0, One),
    (&["report", "--format", "text"], 0, One),
    (&["report", "--format", "md"], 0, One),
    (&["report", "--format", "html", "--out", "-"], 0, One),
    (&["report", "--out", "report.json"], 0, One),
    (&["report", "--format", "html", "--out", "report.html"], 0, One),
    (&["verify", "Item"], 0, Events),
    (&["verify", "Invoice"], 3, Events),
    (&["reconcile", "--from", "2024-01-01", "--to", "2025-01-01", "--plan"], 0, One),
    (&["reconcile", "--from", "2024-01-01", "--to", "2025-01-01"], 3, One),
    (&["retry", "--failed"], 0, Events),
    (&["retry", "--window", "2024-03-14", "Item"], 0, Events),
    (&["quarantine", "list"], 0, One),
    (&["quarantine", "show", "Invoice", "DIGEST"], 0, One),
    (&["quarantine", "retry"], 3, Events),
    (&["quarantine", "retry", "Item"], 0, Events),
    (&["quarantine", "accept", "DIGEST", "--reason", "a test record"], 0, One),
    (&["db", "check"], 0, One),
    (&["db", "status"], 0, One),
    (&["db", "psql", "-c", "SELECT 1"], 2, One),
    (&["views", "install", "dbt-quickbooks"], 0, One),
    (&["views", "status", "dbt-quickbooks"], 0, One),
    (&["views", "drop", "dbt-quickbooks"], 0, One),
    (&["attachments", "download", "files"], 2, Events),
    (&["run", "Attachable", "--from", "2024-01-01", "--to", "2025-01-01"], 0, Events),
    (&["attachments", "download", "files"], 0, Events),
    (&["probe", "--max-calls", "400"], 0, One),
    (&["entities"], 0, One),
    (&["doctor"], 0, One),
    (&["completions", "bash"], 0, One),
    (&["manual", "pages"], 0, One),
    (&["cancel", "RUN"], 2, One),
    (
        &["trigger", "add", "Item", "--now", "--from", "2024-01-01", "--to", "2024-02-01", "--name", "t"],
        0,
        One,
    ),
    (&["trigger", "list"], 0, One),
    (&["trigger", "history", "t"], 0, One),
    (&["trigger", "cancel", "t"], 0, One),
    (&["trigger", "rearm", "t", "--now"], 0, One),
    (&["trigger", "apply", "--file", "triggers.yaml"], 0, One),
    (&["worker", "--once"], 0, Events),
    // Nothing listens there.
    (&["health", "--address", "127.0.0.1:1"], 6, One),
    (&["worker", "--once", "--listen", "127.0.0.1:0"], 0, Events),
    // No console has made a key yet.
    (&["console", "link", "--as", "op1"], 2, One),
    (&["auth", "status"], 0, One),
    (&["auth", "refresh"], 0, One),
    (&["auth", "revoke", "--yes"], 0, One),
    (&["auth", "status"], 4, One),
    (&["doctor"], 4, One),
    (&["auth", "refresh"], 2, One),
    (&["run", "Item", "--from", "2024-01-01", "--to", "2024-02-01", "--force"], 2, Events),
    (&["demo", "--invoices", "60"], 0, One),
];

/// Commands that a test of their own covers.
const APART: [&str; 1] = ["auth login"];

/// The name of the command in these words.
fn name(words: &[&str], known: &BTreeSet<String>) -> String {
    let two = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
    if known.contains(&two) { two } else { words[0].to_owned() }
}

/// Every command that does something by itself.
fn known() -> BTreeSet<String> {
    let all: BTreeSet<String> =
        commands().into_iter().map(|(path, _)| path).filter(|path| !path.is_empty()).collect();
    let is_group =
        |path: &str| all.iter().any(|other| other.starts_with(&format!("{path} "))) && path != "runs";
    all.iter().filter(|path| !is_group(path)).cloned().collect()
}

/// One value, or one object a line, and nothing else; the end of it agrees with the exit code. Returns the values.
#[track_caller]
fn read(words: &[&str], ended: &Ended, form: Form) -> Vec<Value> {
    let parse = |text: &str| {
        serde_json::from_str(text)
            .unwrap_or_else(|error| panic!("{words:?}: {error}:\n{}\nstderr: {}", ended.stdout, ended.stderr))
    };
    let values: Vec<Value> = match form {
        Form::Value => vec![parse(&ended.stdout)],
        Form::Events => ended.stdout.lines().map(parse).collect(),
    };
    let last = values.last().unwrap_or_else(|| panic!("{words:?} wrote nothing"));
    if form == Form::Events || last["ev"] == "error" {
        assert_eq!(last["exit_code"], ended.code, "{words:?}: {last}");
        for event in &values {
            assert_eq!(event["v"], 1, "{words:?}: {event}");
            assert!(
                event["t"].as_str().unwrap().ends_with('Z') && event["ev"].is_string(),
                "{words:?}: {event}"
            );
        }
    }
    let errors = values.iter().filter(|event| event["ev"] == "error").count();
    assert!(errors <= 1, "{words:?}: {}", ended.stdout);
    // People are told all the same, in one line.
    assert_eq!(
        ended.stderr.lines().filter(|line| line.starts_with("error: ")).count(),
        usize::from(ended.code != 0)
    );
    values
}

/// An error that nothing was written before.
#[track_caller]
fn read_error(words: &[&str], ended: &Ended) -> Value {
    let mut values = read(words, ended, Form::Value);
    let error = values.remove(0);
    assert_eq!(error["ev"], "error", "{words:?}: {error}");
    assert!(
        !error["message"].as_str().unwrap().is_empty() && error["next"].is_string(),
        "{words:?}: {error}"
    );
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_writes_json_and_nothing_else_when_it_ends_well_and_when_not() {
    let shape = Shape::default().with_counts(20, 5, 5).with_hostile("Invoice", Hostile::NulEscape);
    let house = House::new(&shape).await;
    let at = time::macros::datetime!(2024-03-05 10:00 UTC);
    assert!(house.sandbox.with_company(|company| company.attach_note("7000", "a note", at)));
    let filed = "triggers:\n- name: filed\n  pipeline_uuid: qb_items_backfill\n  schedule_interval: '@once'\n  status: active\n  \
                 start_time: 2090-01-01 00:00:00\n  variables: {fecha_inicio: '2024-01-01', fecha_fin: '2024-02-01'}\n";
    std::fs::write(house.home().join("triggers.yaml"), filed).unwrap();
    let (known, mut covered) = (known(), BTreeSet::from(APART.map(str::to_owned)));
    let (mut run, mut digest) = (String::new(), String::new());
    for (words, code, form) in TABLE {
        let filled = words.iter().map(|word| word.replace("RUN", &run).replace("DIGEST", &digest));
        let filled: Vec<String> = filled.collect();
        let words: Vec<&str> = filled.iter().map(String::as_str).collect();
        covered.insert(name(&words, &known));
        let mut command = house.command(&["--output", "json"]);
        command.args(house.addresses()).args(&words);
        let ended = with_stdin(command, "false-id").await;
        assert_eq!(ended.code, *code, "{words:?}:\n{}\n{}", ended.stdout, ended.stderr);
        let values = read(&words, &ended, *form);
        match words[..] {
            ["run", ..] if *form == Events => {
                run = values.last().unwrap()["run_id"].as_str().map_or(run, str::to_owned);
            }
            ["quarantine", "list"] => digest = values[0][0]["digest"].as_str().unwrap().to_owned(),
            ["quarantine", "show", ..] => assert!(values[0]["text"].as_str().unwrap().contains("Id")),
            ["demo", ..] => assert_eq!(values[0]["tables"][0]["rows"], values[0]["tables"][0]["records"]),
            _ => {}
        }
        // Words that clap does not know, and settings that are not there.
        let mut wrong = house.command(&words);
        wrong.args(["--output=json", "--nonsense"]);
        if !words.starts_with(&["db", "psql"]) {
            let ended = crate::house::ended(wrong).await.expect(2);
            assert_eq!(read_error(&words, &ended)["kind"], "usage");
        }
        if !matches!(words[0], "completions" | "manual" | "db") {
            let mut absent = house.command(&words);
            absent.args(["--output", "json", "--config", "/not-there.toml"]);
            let ended = crate::house::ended(absent).await.expect(2);
            assert!(read_error(&words, &ended)["message"].as_str().unwrap().contains("/not-there.toml"));
        }
    }
    assert_eq!(covered, known, "a command is not in the table of this test");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_end_has_its_object() {
    let house = House::new(&Shape::default().with_counts(20, 5, 5)).await;
    let run = [&["--output", "json", "run", "Item"], &YEAR[..]].concat();
    for (more, code, kind) in [
        (&["--database", "postgres://nobody@127.0.0.1:1/none"][..], 7, "destination"),
        (&["--vault", "none"], 8, "vault"),
        (&["--realm", "1"], 5, "refused"),
        (&["--client-secret", "false-s3cr3t"], 2, "usage"),
    ] {
        let words = [&run[..], more].concat();
        let ended = house.run(&words).await.expect(code);
        assert_eq!(read_error(&words, &ended)["kind"], kind);
        assert!(!ended.stdout.contains("s3cr3t"));
    }
    for words in [
        &["--output", "json"][..],
        &["--output", "json", "trigger"],
        &["--output", "json", "runn"],
        &["--output", "json", "secrets", "set", "QBO_CLIENT_SECRET", "false-s3cr3t"],
        &["--output", "json", "status", "--chunk"],
    ] {
        let ended = house.run(words).await;
        assert_eq!(ended.code, 2, "{words:?}");
        let error = serde_json::from_str::<Value>(&ended.stdout).unwrap();
        assert_eq!(
            (error["kind"].as_str(), error["exit_code"].as_u64()),
            (Some("usage"), Some(2)),
            "{words:?}"
        );
        assert!(!ended.stdout.contains("s3cr3t"));
    }
    // A source that is away, which ends a run that has begun: its last event says so.
    house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Html { status: 503 }).always());
    let words = [&run[..], &["--concurrency", "1"]].concat();
    let ended = house.at(&words).await.expect(6);
    let events = read(&words, &ended, Form::Events);
    assert_eq!(events.last().unwrap()["ev"], "run_finished");
    house.sandbox.faults().clear();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_and_one_that_is_stopped_tell_it() {
    let house = House::new(&Shape::default().with_counts(20, 5, 5)).await;
    let (child, gate) = standing_run(&house).await;
    let run: String = house.query("SELECT run_id FROM raw.backfill_run").await[0].get(0);
    let words = ["--output", "json", "cancel", &run];
    let cancelled = house.at(&words).await.expect(0);
    assert_eq!(read(&words, &cancelled, Form::Value)[0]["run_id"], run.as_str());
    wait(child).await.expect(130);
    gate.open();

    let gate = fixtures::Gate::new();
    house
        .sandbox
        .faults()
        .push(Rule::on(CallKind::Query, Fault::Held(gate.clone())).containing("FROM Invoice"));
    let child = house.start(&["--output", "json", "--force"]);
    gate.arrived().await;
    signal(&child, "-TERM");
    signal(&child, "-INT");
    let stopped = wait(child).await;
    assert!([130, 143].contains(&stopped.code), "{}", stopped.code);
    let last: Value = serde_json::from_str(stopped.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((last["ev"].as_str(), last["exit_code"].as_i64()), (Some("error"), Some(stopped.code.into())));
    assert_eq!(last["kind"], "stopped");
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_tells_the_consent() {
    let house = House::without_consent(&Shape::empty(), SandboxOptions::default()).await;
    let login = Login::start(&house, &["--output", "json"]).await;
    visit(login.page.as_str()).await;
    let ended = login.end().await.expect(0);
    let consent = read(&["auth", "login"], &ended, Form::Value).remove(0);
    assert_eq!(consent["realm"], house.sandbox.realm_id());
}
