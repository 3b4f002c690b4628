//! Demos beside each other, and what they print to be pasted.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::house::{Ended, ended, wait};
use crate::running_console::Console;
use crate::terminal::Terminal;

/// The demo, in an environment that nobody else has.
fn demo(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qbo-backfill"));
    command.env_clear().env("HOME", home).env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.env("XDG_DATA_HOME", home.join("it's data")).env("TMPDIR", home.join("it's tmp"));
    command.args(["demo", "--invoices", "60"]).args(words).current_dir(home).stdin(Stdio::null());
    command
}

fn start(home: &Path, words: &[&str]) -> Child {
    demo(home, words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The commands behind `Look at the data:`, as they are copied from the screen: a long one has several lines.
fn hints(shown: &str) -> Vec<String> {
    let lines = shown.lines().skip_while(|line| *line != "Look at the data:").skip(1);
    let mut commands: Vec<String> = Vec::new();
    for line in lines.map_while(|line| line.strip_prefix("  ")) {
        match commands.last_mut() {
            Some(command) if command.ends_with('\\') => command.extend(["\n", line]),
            _ => commands.push(line.to_owned()),
        }
    }
    commands
}

/// Pastes a line into a shell that knows nothing of the demo, and much of other servers.
async fn paste(line: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("qbo-backfill.toml"), "[profile.default]\nnonsense = 1\n").unwrap();
    let mut shell = Command::new("sh");
    shell.env_clear();
    shell
        .env("QBO_BACKFILL_DATABASE", "postgres://nobody@192.0.2.1/none")
        .env("QBO_BACKFILL_PROFILE", "none");
    shell
        .arg("-c")
        .arg(line)
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    shell
        .env("PGHOST", "192.0.2.1")
        .env("PGHOSTADDR", "192.0.2.1")
        .env("PGDATABASE", "none")
        .env("PGPORT", "1");
    shell.env("PSQLRC", "/dev/null").env("PAGER", "cat").stdin(Stdio::null());
    ended(shell).await
}

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("it's tmp")).unwrap();
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn two_demos_that_keep_their_data_harm_neither_and_their_hints_work_anywhere() {
    let home = home();
    let (one, two) = (start(home.path(), &["--keep"]), start(home.path(), &["--keep"]));
    let (one, two) = (wait(one).await.expect(0), wait(two).await.expect(0));
    for shown in [&one, &two] {
        let page = shown.stdout.lines().last().unwrap().trim();
        assert!(page.ends_with("-report.html"), "{}", shown.stdout);
        assert!(std::fs::read_to_string(page).unwrap().contains("qb_invoices_backfill"));
    }
    let both = format!("{}{}", one.stderr, two.stderr);
    assert_eq!(both.matches("this demo uses the database demo_2").count(), 1, "{both}");
    let (one, two) = (hints(&one.stdout), hints(&two.stdout));
    assert_ne!(one, two);
    for hints in [one, two] {
        assert_eq!(hints.len(), 2, "{hints:?}");
        paste(&hints[1]).await.expect(0);
        let shown = paste(&hints[0]).await.expect(0);
        assert_eq!(shown.stdout.matches("completed").count(), 20, "{hints:?}: {}", shown.stdout);
    }
    // One that is alone has the first name again, and the data of nobody else.
    let alone = ended(demo(home.path(), &["--keep"])).await.expect(0);
    assert!(!alone.stderr.contains("another demo"), "{}", alone.stderr);
    assert_eq!(paste(&hints(&alone.stdout)[0]).await.expect(0).stdout.matches("completed").count(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_goes_where_it_is_asked_to_and_nothing_else_does() {
    let home = home();
    let is_page = |text: &str| {
        text.starts_with("<!doctype html>")
            && text.ends_with("</html>\n")
            && text.contains("qb_items_backfill")
    };
    let shown = ended(demo(home.path(), &["--out", "-"])).await.expect(0);
    assert!(is_page(&shown.stdout), "{}", shown.stdout);
    assert!(shown.stderr.contains("inserted 0, updated 0, unchanged"), "{}", shown.stderr);
    assert!(!shown.stderr.contains("for a browser"), "{}", shown.stderr);
    let file = home.path().join("page.html");
    let shown = ended(demo(home.path(), &["--out", file.to_str().unwrap()])).await.expect(0);
    assert_eq!(shown.stdout.lines().last().unwrap().trim(), file.to_str().unwrap());
    assert!(is_page(&std::fs::read_to_string(&file).unwrap()));
    // A container takes its files with it: its image says which command brings the report out.
    let mut inside = demo(home.path(), &[]);
    inside.env("QBO_BACKFILL_DEMO_IMAGE", "some/demo:1");
    let shown = ended(inside).await.expect(0);
    let line = shown.stdout.lines().last().unwrap().trim();
    assert_eq!(line, "docker run --rm some/demo:1 demo --out - >report.html");
    assert!(!shown.stdout.contains("qbo-demo-"), "{}", shown.stdout);
    assert_eq!(std::fs::read_dir(home.path().join("it's tmp")).unwrap().count(), 0);
    // One stream cannot hold two documents.
    ended(demo(home.path(), &["--out", "-", "--output", "json"])).await.expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_demos_that_wait_for_enter_harm_neither_and_their_hints_work_anywhere() {
    let home = home();
    let mut screens = [(); 2].map(|()| Terminal::start(&demo(home.path(), &["--color", "never"])));
    let mut lines = Vec::new();
    for screen in &mut screens {
        let shown = tokio::task::block_in_place(|| screen.wait_for("Press Enter to end.")).replace('\r', "");
        lines.extend(hints(&shown));
    }
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_ne!(lines[0], lines[1]);
    for line in &lines {
        let shown = paste(line).await.expect(0);
        assert_eq!(shown.stdout.matches("completed").count(), 20, "{line}: {}", shown.stdout);
    }
    for mut screen in screens {
        screen.press("\r");
        assert_eq!(tokio::task::block_in_place(|| screen.end()).0, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_a_private_server_is_refused_and_stays_as_it_is() {
    let home = home();
    let mut command = Command::new(env!("CARGO_BIN_EXE_qbo-backfill"));
    command.args(["db", "psql", "--private"]).arg(home.path()).stdin(Stdio::null());
    assert!(ended(command).await.expect(2).error().contains("holds no private PostgreSQL"));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_with_the_console_serves_it_until_it_is_stopped() {
    let home = home();
    let console = Console::of(demo(home.path(), &["--console"]));
    let cookie = console.sign_in(&console.link).await.unwrap();
    let (status, today) = console.get("/c/demo/", &cookie).await;
    assert_eq!(status, 200, "{today}");
    for expected in ["qb_invoices_backfill", "qb_customers_backfill", "qb_items_backfill", ">60<"] {
        assert!(today.contains(expected), "{expected}: {today}");
    }
    let ended = console.stop().await.expect(143);
    assert!(ended.error().contains("its database is deleted"), "{}", ended.stderr);
    // Another link needs the demo's key, and not the user's.
    let another = ended.stderr.lines().find_map(|line| line.split_once("for another one: ")).unwrap().1;
    assert!(another.contains("--console-key-file"), "{another}");
    // The report stays; the folder with the key does not.
    let left = std::fs::read_dir(home.path().join("it's tmp")).unwrap().map(Result::unwrap);
    assert!(left.into_iter().all(|one| one.path().extension().is_some_and(|kind| kind == "html")));
}
