//! The files of attachments in a folder, beside what the emulated company and its file host have.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use fixtures::{CallKind, Fault, FileFault, FileHost, Rule, Shape};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::house::{Ended, House, signal, wait};

/// When all attachments of these tests were made: within the year of the emulated companies.
const AT: OffsetDateTime = datetime!(2024-03-05 10:00 UTC);

/// Names that try to leave the folder, to hide, or to be obeyed by a terminal. None of them may be printed.
const HOSTILE: [&str; 8] = [
    "../../canary-up",
    "/etc/canary-absolute",
    "..",
    ".canary-hidden",
    "canary\u{202e}fdp.exe",
    "canary\u{1b}[2J\n.pdf",
    "canary\\..\\x",
    "canary",
];

/// A company with files and notes, the host of the files, and their contents by id.
struct Books {
    house: House,
    host: FileHost,
    contents: BTreeMap<String, Vec<u8>>,
}

impl Books {
    /// With this many files of ordinary names, whose records are stored.
    async fn with(files: usize) -> Self {
        let house = House::new(&Shape::default().with_counts(2, 2, 2)).await;
        let host = FileHost::start().await.unwrap();
        house.sandbox.with_company(|company| company.serve_files(host.links()));
        let mut books = Self { house, host, contents: BTreeMap::new() };
        for number in 1..=files {
            books.add(&format!("{number}"), &format!("receipt {number}.pdf"), number * 1009);
        }
        books
    }

    /// Adds a file of so many bytes, at the company and at the host.
    fn add(&mut self, id: &str, name: &str, size: usize) {
        let content: Vec<u8> = (0..size).map(|at| (at * 31 + id.len() + size) as u8).collect();
        let is_added = |company: &mut fixtures::Company| company.attach_file(id, name, size as u64, AT);
        assert!(self.house.sandbox.with_company(is_added));
        self.host.put(id, content.clone());
        self.contents.insert(id.to_owned(), content);
    }

    async fn read(&self) {
        self.house.backfill(&["Attachable"], &["--chunk", "year"]).await.expect(0);
    }

    fn folder(&self) -> PathBuf {
        self.house.home().join("files")
    }

    async fn download(&self, more: &[&str]) -> Ended {
        let ended = self.house.at(&[&["attachments", "download", "files"], more].concat()).await;
        for said in [&ended.stdout, &ended.stderr] {
            for secret in ["false-signature", "canary", "receipt"] {
                assert!(!said.contains(secret), "{secret}: {said}");
            }
        }
        ended
    }

    /// The names of what is in the folder, without the lock.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != ".qbo-backfill.lock");
        names.sort_unstable();
        names
    }

    /// Whether the folder and the table hold every file, whole and under the name that was recorded, and nothing else.
    async fn check(&self) {
        let rows =
            "SELECT id, file_name, size_bytes, sha256 FROM raw.attachment_file WHERE file_name IS NOT NULL";
        let mut known = Vec::new();
        for row in self.house.query(rows).await {
            let (id, name): (String, String) = (row.get(0), row.get(1));
            let content = std::fs::read(self.folder().join(&name)).unwrap();
            assert_eq!(Some(&content), self.contents.get(&id), "{name}");
            assert_eq!(row.get::<_, i64>(2), content.len() as i64);
            let hash = "SELECT encode(sha256($1::bytea), 'hex')";
            let hash: String = self.house.client().await.query_one(hash, &[&content]).await.unwrap().get(0);
            assert_eq!(row.get::<_, String>(3), hash);
            known.push(name);
        }
        known.sort_unstable();
        assert_eq!(self.names(), known);
        assert_eq!(known.len(), self.contents.len());
    }
}

/// The last event of a download.
fn end(ended: &Ended) -> Value {
    let last = ended.stdout.lines().last().unwrap();
    let event: Value = serde_json::from_str(last).unwrap();
    assert_eq!(event["ev"], "attachments_finished");
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_downloaded_once_and_notes_have_none() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut books = Books::with(60).await;
    for (number, name) in HOSTILE.iter().enumerate() {
        books.add(&format!("20090000000000000854{number}"), name, 100 + number);
    }
    books.add("61", "empty", 0);
    let noted = |company: &mut fixtures::Company| company.attach_note("70", "canary", AT);
    assert!(books.house.sandbox.with_company(noted));
    books.house.at(&["db", "init"]).await.expect(0);
    let early = books.download(&[]).await.expect(2);
    assert!(early.error().contains("run Attachable"), "{}", early.error());
    books.read().await;

    let calls = books.house.sandbox.journal().count(CallKind::Query);
    let first = books.download(&["--log-level", "trace", "--output", "json"]).await.expect(0);
    let said = end(&first);
    let bytes: usize = books.contents.values().map(Vec::len).sum();
    assert_eq!((&said["downloaded"], &said["bytes"]), (&69.into(), &bytes.into()));
    assert_eq!((&said["notes"], &said["present"], &said["failed"]), (&1.into(), &0.into(), &0.into()));
    assert_eq!(said["calls"], 2, "one call for fifty links");
    assert_eq!(books.house.sandbox.journal().count(CallKind::Query) - calls, 2);
    books.check().await;
    assert_eq!(std::fs::metadata(books.folder()).unwrap().permissions().mode() & 0o777, 0o700);
    for name in books.names() {
        let mode = std::fs::metadata(books.folder().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let links = "SELECT count(*) FROM raw.qb_attachables WHERE payload::text LIKE '%false-signature%'";
    assert_eq!(books.house.number(links).await, 0);

    let fetched = books.host.fetched().len();
    let again = books.download(&[]).await.expect(0);
    assert!(again.stdout.contains("in the folder before: 69; notes without a file: 1"), "{}", again.stdout);
    assert!(again.stdout.contains("0 API calls"), "{}", again.stdout);
    assert_eq!(books.host.fetched().len(), fetched);

    // What was removed or changed in the folder is fetched again, and nothing else.
    std::fs::remove_file(books.folder().join("7-receipt 7.pdf")).unwrap();
    let mut forged = books.contents["9"].clone();
    forged[0] ^= 1;
    std::fs::write(books.folder().join("9-receipt 9.pdf"), forged).unwrap();
    assert!(books.house.sandbox.with_company(|company| company.delete("Attachable", "12")));
    std::fs::remove_file(books.folder().join("12-receipt 12.pdf")).unwrap();
    let third = books.download(&["--output", "json"]).await.expect(0);
    assert_eq!((&end(&third)["downloaded"], &end(&third)["gone"]), (&2.into(), &1.into()));
    assert_eq!(end(&third)["calls"], 2, "a record that one answer lacks is requested once more");
    let gone = third.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let gone: Vec<_> = gone.filter(|event| event["ev"] == "attachment_gone").collect();
    assert_eq!((gone.len(), &gone[0]["id"]), (1, &"12".into()));
    assert!(end(&third)["next"].as_str().unwrap().contains("verify Attachable --mark-gone"));
    let mut again = books.host.fetched().split_off(fetched);
    again.sort_unstable();
    assert_eq!(again, ["7", "9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_transfers_and_wrong_lengths_are_repeated_and_never_kept() {
    let books = Books::with(12).await;
    books.read().await;
    let host = &books.host;
    host.fault("1", FileFault::Cut(0));
    host.fault("1", FileFault::Cut(700));
    host.fault("2", FileFault::Short(1));
    host.fault("3", FileFault::Long(1));
    host.fault("4", FileFault::Redirect(3));
    host.fault("5", FileFault::Status(503));
    for _ in 0..4 {
        host.fault("6", FileFault::Long(5));
    }
    host.fault("7", FileFault::RedirectAway);
    host.fault("8", FileFault::Redirect(4));
    host.fault("9", FileFault::Status(416));
    for _ in 0..4 {
        host.fault("10", FileFault::Status(403));
    }
    let first = books.download(&["--concurrency", "10"]).await.expect(3);
    assert!(first.error().contains("files that could not be downloaded: 5"), "{}", first.error());
    for said in [
        "attachment 6: the content has 6059 bytes, and its record says 6054",
        "attachment 7: the file's host redirects",
        "attachment 8: the file's host redirects",
        "attachment 9: the file's host answered with status 416",
        "attachment 10: the file's host refuses every link",
    ] {
        assert!(first.stdout.contains(said), "{said}: {}", first.stdout);
    }
    assert_eq!(books.names().len(), 7, "{:?}", books.names());
    // Everything is sound again, and only what failed is fetched.
    let fetched = host.fetched().len();
    let again = books.download(&["--output", "json"]).await.expect(0);
    assert_eq!((&end(&again)["downloaded"], &end(&again)["present"]), (&5.into(), &7.into()));
    assert_eq!(host.fetched().len() - fetched, 5);
    books.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_quickbooks_does_not_deliver_fails_alone() {
    let mut books = Books::with(6).await;
    // The emulated company refuses every query for such an id.
    books.add("../7", "x", 3);
    books.read().await;
    assert!(books.house.sandbox.with_company(|company| company.poison("Attachable", "2")));
    let ended = books.download(&[]).await.expect(3);
    for id in ["2", "../7"] {
        let said = format!("attachment {id}: QuickBooks cannot deliver the record of the file");
        assert!(ended.stdout.contains(&said), "{said}: {}", ended.stdout);
    }
    assert!(ended.stdout.contains("downloaded: 5 files"), "{}", ended.stdout);
    assert_eq!(books.names().len(), 5);
    // If none is delivered, the download does not ask for each.
    for id in ["1", "3", "4", "5", "6"] {
        assert!(books.house.sandbox.with_company(|company| company.poison("Attachable", id)));
    }
    std::fs::remove_dir_all(books.folder()).unwrap();
    let ended = books.download(&[]).await.expect(6);
    assert!(ended.error().contains("reading Attachable"), "{}", ended.error());
    assert!(ended.stdout.contains("failed: 4"), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_expire_on_the_way_are_requested_again() {
    let books = Books::with(40).await;
    books.read().await;
    books.host.links_last(15);
    let ended = books.download(&["--concurrency", "1", "--output", "json"]).await.expect(0);
    assert_eq!(end(&ended)["downloaded"], 40);
    assert!(books.host.refused() > 0, "no link expired");
    assert_eq!(books.host.fetched().len(), 40, "no file was fetched twice");
    books.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_leaves_whole_files_alone_and_the_next_download_goes_on() {
    let books = Books::with(8).await;
    books.read().await;
    books.host.fault("8", FileFault::Stall(100));
    let mut command = books.house.command(&["attachments", "download", "files", "--concurrency", "1"]);
    command.args(books.house.addresses()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    books.host.stalled().await;
    let held = books.download(&[]).await.expect(9);
    assert!(held.error().contains("another process downloads into"), "{}", held.error());
    signal(&child, "-TERM");
    let ended = wait(child).await.expect(143);
    assert!(ended.error().contains("no other file was left behind"), "{}", ended.error());
    assert!(ended.stdout.contains("downloaded: 7 files"), "{}", ended.stdout);
    assert_eq!(books.names().len(), 7, "{:?}", books.names());
    let again = books.download(&[]).await.expect(0);
    assert!(again.stdout.contains("downloaded: 1 file ("), "{}", again.stdout);
    books.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_leaves_nothing_that_counts_as_a_file() {
    let books = Books::with(3).await;
    books.read().await;
    books.host.fault("3", FileFault::Stall(100));
    let mut command = books.house.command(&["attachments", "download", "files", "--concurrency", "1"]);
    command.args(books.house.addresses()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    books.host.stalled().await;
    signal(&child, "-KILL");
    wait(child).await;
    let parts = books.names().iter().filter(|name| name.starts_with(".qbo-backfill-")).count();
    assert_eq!((books.names().len(), parts), (3, 1), "{:?}", books.names());
    books.download(&[]).await.expect(0);
    books.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_be_reached_ends_the_download() {
    let books = Books::with(12).await;
    books.read().await;
    for number in 1..=12 {
        for _ in 0..4 {
            books.host.fault(&number.to_string(), FileFault::Cut(10));
        }
    }
    let ended = books.download(&["--concurrency", "10"]).await.expect(6);
    assert!(ended.error().contains("failed for 5 files in a row"), "{}", ended.error());
    assert_eq!(books.names(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_refuses_every_link_ends_the_download() {
    let books = Books::with(12).await;
    books.read().await;
    books.host.links_last(0);
    let ended = books.download(&["--concurrency", "10"]).await.expect(6);
    assert!(ended.error().contains("refuses every link"), "{}", ended.error());
    assert_eq!(books.names(), Vec::<String>::new());
    assert!(ended.stdout.contains("3 API calls"), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_that_were_not_read_are_not_passed_over() {
    let books = Books::with(5).await;
    let refused = Fault::Gateway { status: 403, code: "3100".into() };
    books
        .house
        .sandbox
        .faults()
        .push(Rule::on(CallKind::Query, refused).containing("FROM Attachable").always());
    books.house.backfill(&["Attachable"], &["--chunk", "year"]).await.expect(5);
    let ended = books.download(&["--output", "json"]).await.expect(3);
    assert!(ended.error().contains("not read to the end: 1"), "{}", ended.error());
    assert_eq!((&end(&ended)["unread_windows"], &end(&ended)["exit_code"]), (&1.into(), &3.into()));

    // A record in quarantine has a file that nothing names; all others are downloaded.
    books.house.sandbox.faults().clear();
    assert!(books.house.sandbox.with_company(|company| company.poison("Attachable", "2")));
    books.house.backfill(&["Attachable"], &["--chunk", "year"]).await.expect(3);
    let ended = books.download(&[]).await.expect(3);
    assert!(ended.error().contains("records of attachments in quarantine: 1"), "{}", ended.error());
    assert!(ended.error().contains("quarantine retry Attachable"), "{}", ended.error());
    assert_eq!(books.names().len(), 4, "{:?}", books.names());
}
