//! Somebody who is asked something, and ends the question by a signal.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use fixtures::Shape;

use crate::house::{House, signal, with_stdin};
use crate::terminal::Terminal;

const PASSPHRASE: &str = "four unrelated plain words";

/// A command that asks, what is typed before, and the words of the question that is ended.
type Asked = (Vec<&'static str>, &'static [(&'static str, &'static str)], &'static str);

#[derive(Clone, Copy, Debug)]
enum End {
    CtrlC,
    Signal(&'static str),
}

const ENDS: [(End, i32); 4] =
    [(End::CtrlC, 130), (End::Signal("-INT"), 130), (End::Signal("-TERM"), 143), (End::Signal("-HUP"), 143)];

fn end(terminal: &mut Terminal, end: End) {
    match end {
        End::CtrlC => terminal.press("\u{3}"),
        End::Signal(name) => signal(terminal.child(), name),
    }
}

/// Ends the question in every way.
fn ends_at_once(house: &House, (words, typed, question): &Asked, addresses: &[String]) {
    for (how, code) in ENDS {
        let mut command = house.command(words);
        let mut terminal = Terminal::start(command.args(addresses));
        for (before, keys) in *typed {
            terminal.wait_for(before);
            terminal.press(keys);
        }
        terminal.wait_for(question);
        end(&mut terminal, how);
        let (ended, shown) = terminal.end();
        assert_eq!(ended, code, "{words:?} {how:?}: {shown}");
        let errors = shown.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{words:?} {how:?}: {shown}");
        assert!(!shown.contains("current page"), "{words:?} {how:?}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_every_question_at_once_and_leaves_the_terminal_as_it_was() {
    let house = House::new(&Shape::empty()).await;
    let addresses = house.addresses();
    let new = ["--vault", "new.vault", "secrets", "init", "--passphrase"].to_vec();
    let asked: [Asked; 5] = [
        (["secrets", "set", "QBO_CLIENT_ID"].to_vec(), &[], "QBO_CLIENT_ID (not shown): "),
        (new.clone(), &[], "new passphrase (not shown): "),
        (new, &[("new passphrase (not shown): ", "four unrelated plain words\r")], "once more: "),
        (["auth", "revoke"].to_vec(), &[], "[y/N]"),
        (
            ["auth", "login", "--no-browser", "--redirect-url", "https://books.example/callback"].to_vec(),
            &[],
            "address (not shown): ",
        ),
    ];
    tokio::task::block_in_place(|| asked.iter().for_each(|asked| ends_at_once(&house, asked, &addresses)));
    assert!(!house.home().join("new.vault").exists());
    let status = house.at(&["auth", "status"]).await.expect(0);
    assert!(status.stdout.contains("generation"), "the consent is gone: {}", status.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_is_a_question_like_any_other() {
    let house = House::new(&Shape::empty()).await;
    with_stdin(house.command(&["secrets", "rekey", "--passphrase"]), PASSPHRASE).await.expect(0);
    let (addresses, question) = (house.addresses(), "passphrase of the vault (not shown): ");
    let run = ["run", "Item", "--from", "2024-01-01", "--to", "2024-01-02"];
    tokio::task::block_in_place(|| {
        for words in
            [&["secrets", "list"][..], &run, &["worker", "--once"], &["doctor"], &["auth", "refresh"]]
        {
            ends_at_once(&house, &(words.to_vec(), &[], question), &addresses);
        }
        // Once it is answered, the command goes on, and a signal ends it as it does any other.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://nobody@{}/none?connect_timeout=600", silent.local_addr().unwrap());
        let mut command = house.command(&["status", "--database", &url]);
        let mut terminal = Terminal::start(command.arg("--no-progress"));
        terminal.wait_for(question);
        assert!(!terminal.echoes());
        terminal.press(&format!("{PASSPHRASE}\r"));
        let _held = silent.accept().unwrap();
        end(&mut terminal, End::CtrlC);
        assert_eq!(terminal.end().0, 130);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_companies_of_one_worker_ask_one_after_the_other() {
    let house = House::new(&Shape::empty()).await;
    with_stdin(house.command(&["secrets", "rekey", "--passphrase"]), PASSPHRASE).await.expect(0);
    let settings = house.home().join("two.toml");
    std::fs::write(&settings, "[profile.north]\n[profile.south]\nschema = \"south\"\n").unwrap();
    let (addresses, question) = (house.addresses(), "passphrase of the vault (not shown): ");
    let words = ["worker", "--config", settings.to_str().unwrap(), "--profiles", "north,south"];
    tokio::task::block_in_place(|| {
        for answered in [0, 1] {
            let mut command = house.command(&words);
            let mut terminal = Terminal::start(command.args(&addresses));
            for _ in 0..answered {
                terminal.wait_for(question);
                terminal.press(&format!("{PASSPHRASE}\r"));
            }
            terminal.wait_for(question);
            assert!(!terminal.echoes());
            end(&mut terminal, End::CtrlC);
            let (ended, shown) = terminal.end();
            assert_eq!(ended, 130, "{shown}");
            assert!(!shown.contains(question) && !shown.contains("waiting: stopped"), "{shown}");
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_does_not_come_by_a_pipe_is_waited_for_no_longer_than_a_signal() {
    let house = House::new(&Shape::empty()).await;
    let run = ["--secrets", "stdin", "run", "Item", "--from", "2024-01-01", "--to", "2024-01-02"];
    for words in
        [&["secrets", "set", "QBO_CLIENT_ID"][..], &run, &["secrets", "init", "--passphrase", "--vault", "v"]]
    {
        for (name, code) in [("-INT", 130), ("-TERM", 143)] {
            let mut command: Command = house.command(words);
            let command = command.args(house.addresses()).args(["--log-level", "trace"]);
            let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = child.spawn().unwrap();
            let _silent = child.stdin.take();
            while !listens(child.id()) {
                assert!(child.try_wait().unwrap().is_none(), "{words:?} ended by itself");
                std::thread::yield_now();
            }
            signal(&child, name);
            let ended = crate::house::wait(child).await.expect(code);
            assert!(ended.error().contains("stopped"), "{words:?}: {}", ended.stderr);
        }
    }
}

/// Whether a process has taken a signal over that would have ended it.
fn listens(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default().trim();
    let caught = u64::from_str_radix(caught, 16).unwrap_or_default();
    // SIGINT and SIGTERM, by their numbers. SIGHUP stays ignored where `nohup` runs these tests.
    [2, 15].iter().all(|number| caught >> (number - 1) & 1 == 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_that_waits_for_enter_ends_by_a_signal_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let temporary = home.path().join("tmp");
    for (how, code) in [(None, 0), (Some(End::CtrlC), 130), (Some(End::Signal("-TERM")), 143)] {
        std::fs::create_dir(&temporary).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_qbo-backfill"));
        command
            .env("HOME", home.path())
            .env("TMPDIR", &temporary)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.args(["demo", "--invoices", "60"]);
        let (ended, shown) = tokio::task::block_in_place(|| {
            let mut terminal = Terminal::start(&command);
            let before = terminal.wait_for("Press Enter to end.");
            assert!(before.contains("The report, for a browser:"), "{before}");
            assert!(std::fs::read_dir(&temporary).unwrap().count() > 0);
            match how {
                None => terminal.press("\r"),
                Some(how) => end(&mut terminal, how),
            }
            terminal.end()
        });
        assert_eq!(ended, code, "{how:?}: {shown}");
        assert!(!shown.contains("current page"), "{shown}");
        assert_eq!(shown.matches("error: ").count(), usize::from(code != 0), "{shown}");
        let left: Vec<_> =
            std::fs::read_dir(&temporary).unwrap().flatten().map(|entry| entry.path()).collect();
        // The report that it named stays, and nothing else.
        assert_eq!(left.len(), 1, "{how:?}: {left:?}");
        let page = std::fs::read_to_string(&left[0]).unwrap();
        assert!(page.starts_with("<!doctype html>") && page.contains("qb_invoices_backfill"), "{page}");
        std::fs::remove_dir_all(&temporary).unwrap();
    }
}
