//! The bridge to Mage: its own tests, in Python, against the real binary. They ask this process for what they need of the
//! emulated company and of the database.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use fixtures::{CallKind, Fault, Gate, Rule, SandboxOptions, Shape};
use serde_json::{Value, json};

use crate::house::House;

/// What a test may ask for: see `mage/tests/company.py`.
struct Desk<'a> {
    house: &'a House,
    gate: Gate,
}

impl Desk<'_> {
    async fn answer(&self, question: &Value) -> Value {
        let sandbox = &self.house.sandbox;
        match question["do"].as_str().unwrap() {
            "expire" => sandbox.expire_access_tokens(),
            "revoke" => sandbox.revoke_grant(),
            "hold" => {
                let held = Rule::on(CallKind::Query, Fault::Held(self.gate.clone()));
                sandbox.faults().push(held.after(question["after"].as_u64().unwrap() as u32));
            }
            "arrived" => self.gate.arrived().await,
            "open" => self.gate.open(),
            "refresh_token" => return sandbox.current_refresh_token().into(),
            "number" => return self.house.number(question["sql"].as_str().unwrap()).await.into(),
            other => panic!("nobody here does {other}"),
        }
        Value::Null
    }
}

/// Python, with the bridge and its tests at hand, and nothing written beside them.
fn python(words: &[&str]) -> Command {
    let mage = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mage");
    let mut command = Command::new("python3");
    command.args(["-W", "error::ResourceWarning", "-m", "unittest", "-v"]).args(words);
    command.env("PYTHONPATH", format!("{}:{}", mage.display(), mage.join("tests").display()));
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(mage.join("tests"));
    command
}

/// Has one class of tests run with a company of its own. Returns what it said.
async fn passes(class: &str) -> String {
    let shape = Shape::default().with_counts(1500, 20, 10).with_bulk_import(40);
    let house = House::without_consent(&shape, SandboxOptions::default()).await;
    let credentials = house.sandbox.credentials();
    let home = tempfile::tempdir().unwrap();
    let handed = json!({
        "binary": env!("CARGO_BIN_EXE_qbo-backfill"), "url": house.sandbox.url(), "database": house.database.url(),
        "home": home.path(), "vault": house.data().join("vault"),
        "secrets": {"QBO_CLIENT_ID": credentials.client_id, "QBO_CLIENT_SECRET": credentials.client_secret,
                    "QBO_REALM_ID": credentials.realm_id, "QBO_REFRESH_TOKEN": credentials.refresh_token,
                    "PG_PASSWORD": house.database.password()},
    });
    let said = home.path().join("said");
    let mut command = python(&[class]);
    command.env("QBO_BACKFILL_BRIDGE_TEST", handed.to_string()).stderr(File::create(&said).unwrap());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut answers = child.stdin.take().unwrap();
    let mut questions = BufReader::new(child.stdout.take().unwrap());

    let desk = Desk { house: &house, gate: Gate::new() };
    loop {
        let reading = move || {
            let mut line = String::new();
            questions.read_line(&mut line).unwrap();
            (line, questions)
        };
        let (line, rest) = tokio::task::spawn_blocking(reading).await.unwrap();
        questions = rest;
        if line.is_empty() {
            break;
        }
        // A test that has failed does not hear the answer.
        let _ = writeln!(answers, "{}", desk.answer(&serde_json::from_str(&line).expect(&line)).await);
    }
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    let said = std::fs::read_to_string(said).unwrap();
    passed(status.success(), &said);
    said
}

#[track_caller]
fn passed(succeeded: bool, said: &str) {
    assert!(succeeded && said.contains("\nOK") && !said.contains("skipped"), "{said}");
}

#[test]
fn the_bridges_words_levels_and_masks_hold() {
    let ended = python(&["test_words"]).stdin(Stdio::null()).output().unwrap();
    passed(ended.status.success(), &String::from_utf8_lossy(&ended.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_returns_the_numbers_of_the_log() {
    passes("test_bridge.Numbers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_shows_no_secret_to_anybody() {
    passes("test_bridge.Secrecy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_needs_no_new_secret_when_the_token_rotates() {
    passes("test_bridge.Rotation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_works_with_what_is_in_a_vault_already() {
    passes("test_bridge.Vault").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_raises_what_the_exit_codes_say() {
    passes("test_bridge.Failures").await;
    passes("test_bridge.Consent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_mage_that_is_killed_takes_its_child_along() {
    passes("test_bridge.Lifeline").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "installs Mage, 1.4 GB: mage/try-in-mage.sh"]
async fn the_three_pipelines_run_in_a_real_mage() {
    let said = passes("in_mage").await;
    write!(std::io::stderr(), "{said}").unwrap();
}
