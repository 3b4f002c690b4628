//! No line is wider than its terminal, whatever command writes it.

use std::process::Command;

use fixtures::{Hostile, Shape};

use crate::completions::commands;
use crate::house::{House, YEAR};
use crate::terminal::Terminal;

const WIDTHS: [u16; 4] = [80, 100, 120, 160];

/// A command that is shown at every width, and its exit code.
type Shown = (&'static [&'static str], i32);

/// Commands that say the same every time.
const COMMANDS: [Shown; 27] = [
    (&["status"], 0),
    (&["status", "--windows", "--status", "completed"], 0),
    (&["runs"], 0),
    (&["runs", "show", "latest", "--windows"], 0),
    (&["report"], 0),
    (&["report", "none-such"], 2),
    (&["entities"], 0),
    (&["quarantine", "list"], 0),
    (&["trigger", "list"], 0),
    (&["trigger", "history", "a-trigger-with-a-long-name-that-was-cancelled"], 0),
    (&["plan", "all", "--from", "2023-01-01", "--to", "2025-01-01", "--chunk", "month"], 0),
    (&["doctor"], 0),
    (&["doctor", "--offline"], 0),
    (&["db", "status"], 0),
    (&["db", "check"], 0),
    (&["secrets", "list"], 0),
    (&["auth", "status"], 0),
    (&["verify", "Item", "Invoice"], 3),
    (&["verify", "all", "--by-count"], 3),
    (&["reconcile", "--from", "2024-01-01", "--to", "2024-02-01", "--plan"], 0),
    (&["reconcile", "--from", "2024-01-01", "--to", "2024-02-01"], 0),
    (&["views", "install", "dbt-quickbooks"], 0),
    (&["views", "status", "dbt-quickbooks"], 0),
    (&["run", "Item", "Invoice", "--from", "2024-01-01", "--to", "2025-01-01", "--details"], 3),
    (&["run", "Item", "Invoice", "--from", "2024-01-01", "--to", "2025-01-01", "--force"], 3),
    (&["run", "Invoce"], 2),
    (&["trigger"], 2),
];

/// A company with windows, runs, a record in quarantine and triggers.
async fn house() -> House {
    let shape = Shape::default().with_counts(20, 5, 5).with_hostile("Invoice", Hostile::NulEscape);
    let house = House::new(&shape).await;
    house.backfill(&["Item", "Invoice"], &[]).await.expect(3);
    house
}

/// The lines on the screen, without sequences that colour or move the cursor. A frame of the progress begins a line.
fn lines(shown: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut letters = shown.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => while letters.next().is_some_and(|letter| !letter.is_ascii_alphabetic()) {},
            '\r' => plain.push('\n'),
            letter => plain.push(letter),
        }
    }
    plain.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// A line may be wider than the screen if it is a single word, such as an address, which nobody could use in two halves.
#[track_caller]
fn check(words: &str, width: u16, shown: &str) {
    for line in lines(shown) {
        let is_one_word = !line.trim_end_matches(" \\").trim().contains(' ');
        let columns = line.chars().count();
        assert!(
            columns <= width.into() || is_one_word,
            "{words} at {width}: {columns} columns:\n{line}\n\n{shown}"
        );
    }
}

fn show(command: &Command, width: u16) -> (i32, String) {
    tokio::task::block_in_place(|| Terminal::sized(command, width).end())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_a_result_is_wider_than_its_terminal() {
    let house = house().await;
    let name = "a-trigger-with-a-long-name-that-was-cancelled";
    let later = ["trigger", "add", "Item", "Invoice", "Customer", "--at", "2090-01-01", "--name", name];
    house.at(&[&later[..], &YEAR].concat()).await.expect(0);
    house.at(&["trigger", "cancel", name]).await.expect(0);
    for width in WIDTHS {
        for (words, code) in COMMANDS {
            let mut command = house.command(words);
            command.args(house.addresses()).env("TERM", "xterm");
            let (ended, shown) = show(&command, width);
            assert_eq!(ended, code, "{words:?} at {width}:\n{shown}");
            check(&words.join(" "), width, &shown);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_of_any_help_is_wider_than_its_terminal() {
    let all = commands();
    assert!(all.len() > 30, "{}", all.len());
    for width in WIDTHS {
        for (path, _) in &all {
            for flag in ["-h", "--help"] {
                let mut command = Command::new(env!("CARGO_BIN_EXE_qbo-backfill"));
                command.args(path.split_whitespace()).arg(flag).env("TERM", "xterm");
                let (code, shown) = show(&command, width);
                assert_eq!(code, 0, "{path} {flag}: {shown}");
                check(&format!("{path} {flag}"), width, &shown);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_fitted_to_the_screen_and_whole_elsewhere() {
    let house = house().await;
    let mut command = house.command(&["status"]);
    command.args(house.addresses());
    let (_, narrow) = show(&command, 80);
    assert!(narrow.contains("not shown at this width: ") && narrow.contains("(all 0)"), "{narrow}");
    let (_, wide) = show(&command, 200);
    assert!(wide.contains("quarant.") && !wide.contains("not shown"), "{wide}");
    command.env("COLUMNS", "80");
    assert_eq!(lines(&show(&command, 200).1), lines(&narrow));
    // What a program reads depends on no screen.
    let whole = crate::house::ended(command).await.expect(0);
    assert!(whole.stdout.contains("quarant.") && !whole.stdout.contains("not shown"), "{}", whole.stdout);
}
