//! Who sees colours: `--color`, the environment, and the terminal of each stream.

use std::process::Command;

use fixtures::{Hostile, Shape};

use crate::house::{House, YEAR, ended};
use crate::terminal::Terminal;

const ESCAPE: char = '\u{1b}';

/// Without the sequences that set colours.
fn plain(text: &str) -> String {
    let mut parts = text.split(ESCAPE);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

/// A company with windows, a run, a record in quarantine and a trigger.
async fn house() -> House {
    let house =
        House::new(&Shape::default().with_counts(20, 5, 5).with_hostile("Invoice", Hostile::NulEscape)).await;
    let run = house.backfill(&["Item", "Invoice"], &["--color", "always", "--details"]).await.expect(3);
    // Progress, findings and the error on stderr, the report on stdout.
    assert!(run.stderr.contains("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m "), "{:?}", run.stderr);
    assert!(run.stderr.contains("\u{1b}[2mqb_items_backfill page 1"), "{:?}", run.stderr);
    assert!(run.stdout.contains("\u{1b}[1mThis run\u{1b}[0m"), "{:?}", run.stdout);
    let trigger = ["trigger", "add", "Item", "--at", "2090-01-01", "--name", "later"];
    house.at(&[&trigger[..], &YEAR].concat()).await.expect(0);
    house.at(&["trigger", "cancel", "later"]).await.expect(0);
    house
}

/// Commands that say the same every time, their exit code, and which of the two streams has colours.
const COMMANDS: &[(&[&str], i32, [bool; 2])] = &[
    (&["status"], 0, [true, false]),
    (&["runs"], 0, [true, false]),
    (&["report", "--format", "text"], 0, [true, false]),
    (&["entities"], 0, [true, false]),
    (&["quarantine", "list"], 0, [true, false]),
    (&["trigger", "list"], 0, [true, false]),
    (&["doctor", "--offline"], 0, [true, false]),
    (&["db", "status"], 0, [true, false]),
    (&["--help"], 0, [true, false]),
    (&["runn"], 2, [false, true]),
    (&["status", "Invoce"], 2, [false, true]),
    (&["report", "--format", "md"], 0, [false, false]),
    (&["report", "--format", "html"], 0, [false, false]),
    (&["completions", "bash"], 0, [false, false]),
    (&["report", "--output", "json"], 0, [false, false]),
    (&["status", "Invoce", "--output", "json"], 2, [false, true]),
];

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_who_wants_them_and_change_nothing_else() {
    let house = house().await;
    let run = async |words: &[&str], more: &[&str], variables: &[(&str, &str)]| {
        let mut command = house.command(words);
        command.args(house.addresses());
        command.args(more).envs(variables.iter().copied());
        ended(command).await
    };
    for (words, code, coloured) in COMMANDS {
        let before = run(words, &[], &[]).await.expect(*code);
        for (more, variables, is_coloured) in [
            (&["--color", "always"][..], &[][..], true),
            (&["--color=always"], &[("NO_COLOR", "1"), ("TERM", "dumb")], true),
            (&[], &[("CLICOLOR_FORCE", "1")], true),
            (&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
            (&["--color", "never"], &[("CLICOLOR_FORCE", "1")], false),
            (&["--color", "auto"], &[("TERM", "xterm")], false),
        ] {
            let shown = run(words, more, variables).await.expect(*code);
            let streams = [(&shown.stdout, &before.stdout), (&shown.stderr, &before.stderr)];
            for ((now, before), wanted) in streams.into_iter().zip(coloured) {
                assert!(!before.contains(ESCAPE), "{words:?}: {before:?}");
                let what = format!("{words:?} {more:?} {variables:?}: {now:?}");
                assert_eq!(now.contains(ESCAPE), is_coloured && *wanted, "{what}");
                if !before.contains("\"t\":") {
                    assert_eq!(plain(now), *before, "{what}");
                }
            }
        }
    }
    let mut usage = house.command(&["trigger"]);
    usage.env("CLICOLOR_FORCE", "1");
    let usage = ended(usage).await.expect(2);
    assert!(usage.stderr.contains(ESCAPE), "{}", usage.stderr);
    let file = house.home().join("report.txt");
    let words = ["report", "--out", file.to_str().unwrap(), "--color", "always"];
    house.at(&words).await.expect(0);
    assert!(!std::fs::read_to_string(file).unwrap().contains(ESCAPE));
    let logged = ["--output", "json", "--log-level", "info", "--color", "always", "--force"];
    let logged = house.backfill(&["Item"], &logged).await.expect(0);
    let is_styled = |line: &str| line.starts_with("\u{1b}[2m20") && line.contains("\u{1b}[2m INFO\u{1b}[0m ");
    assert!(logged.stderr.lines().count() > 3 && logged.stderr.lines().all(is_styled), "{:?}", logged.stderr);
    assert!(!logged.stdout.contains(ESCAPE));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stream_follows_its_own_terminal() {
    let house = house().await;
    let shell = |line: &str, variables: &[(&str, &str)]| {
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("HOME", house.home()).current_dir(house.home());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("QBO", env!("CARGO_BIN_EXE_qbo-backfill"));
        command.env("AT", house.database.url()).envs(variables.iter().copied());
        tokio::task::block_in_place(|| Terminal::start(&command).end())
    };
    let xterm = [("TERM", "xterm")];
    let line = "\"$QBO\" status --database \"$AT\"";
    assert!(shell(line, &xterm).1.contains(ESCAPE));
    for variables in [&[("TERM", "dumb")][..], &[], &[("TERM", "xterm"), ("NO_COLOR", "1")]] {
        let (code, shown) = shell(line, variables);
        assert!(code == 0 && !shown.contains(ESCAPE), "{variables:?}: {shown:?}");
    }
    // One of the two is a file.
    let (_, shown) = shell("\"$QBO\" status Invoce >out 2>err; \"$QBO\" status Invoce >out; cat err", &xterm);
    assert_eq!(shown.matches("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m").count(), 1, "{shown:?}");
    assert_eq!(shown.matches("error:").count(), 2, "{shown:?}");
    let (_, shown) = shell(&format!("{line} >out; cat out"), &xterm);
    assert!(shown.contains("qb_items_backfill") && !shown.contains(ESCAPE), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_moves_no_cursor_is_shown_lines() {
    let house = House::new(&Shape::default().with_counts(20, 5, 5)).await;
    let run = |terminal: &str, more: &[&str]| {
        let mut command = house.command(&["run", "Item"]);
        command.args(YEAR).args(house.addresses()).args(more).env("TERM", terminal);
        tokio::task::block_in_place(|| Terminal::start(&command).end())
    };
    let (code, shown) = run("xterm", &[]);
    assert!(code == 0 && shown.contains("\u{1b}[2K") && shown.contains("\u{1b}[32m"), "{shown:?}");
    let (code, shown) = run("dumb", &["--force"]);
    assert!(code == 0 && shown.contains("page 1: 5 records") && !shown.contains(ESCAPE), "{shown:?}");
}
