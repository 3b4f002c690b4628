//! A PostgreSQL that crashes, cuts connections off, is full or locked.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use fixtures::{
    CallKind, Fault, Gate, LocalServer, Rule, SandboxOptions, ServerOptions, Shape, TempPostgres,
};
use tempfile::TempDir;

use crate::house::{House, THREE, YEAR, wait};
use crate::oracle::{self, ALL};
use crate::repro::{Repro, number};

/// A server that can be crashed. It is reached by its socket, which stays where it is.
struct Fragile {
    folder: TempDir,
    server: LocalServer,
}

impl Fragile {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = LocalServer::start(&ServerOptions::new(folder.path())).await.unwrap();
        Self { folder, server }
    }

    /// Stops at once, as `pg_ctl stop -m immediate` does: nothing is written, sessions are cut off.
    fn crash(&self) {
        let pid = fs::read_to_string(self.folder.path().join("data/postmaster.pid")).unwrap();
        let status = Command::new("kill").args(["-QUIT", pid.lines().next().unwrap()]).status();
        assert!(status.unwrap().success());
    }

    /// Starts again as soon as it is down, and recovers.
    async fn restart(&mut self) {
        self.server = LocalServer::start(&ServerOptions::new(self.folder.path())).await.unwrap();
    }
}

async fn pause(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "what breaks here breaks at any time")]
    tokio::time::sleep(time).await;
}

fn shape() -> Shape {
    Shape::default().with_counts(500, 120, 60).with_bulk_import(40)
}

/// A run of many pages, which may end badly as the documentation says: the same command is started again.
struct Persistent<'h> {
    house: &'h House,
    child: Child,
    ended: Vec<i32>,
}

impl<'h> Persistent<'h> {
    fn start(house: &'h House) -> Self {
        Self { house, child: Self::run(house, &[]), ended: Vec::new() }
    }

    fn run(house: &House, more: &[&str]) -> Child {
        house.start(&[&["--chunk", "month", "--page-size", "10"], more].concat())
    }

    /// Looks whether it has ended; it is begun anew then.
    async fn keep_going(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            return;
        }
        // One that had nothing left to do has something again.
        let next = Self::run(self.house, &["--force"]);
        let ended = wait(std::mem::replace(&mut self.child, next)).await;
        assert!([0, 7].contains(&ended.code), "{}: {}", ended.code, ended.stderr);
        self.ended.push(ended.code);
    }

    /// Leaves it alone, and looks at what it leaves.
    async fn end(self, context: &str) {
        let house = self.house;
        let ended = wait(self.child).await;
        assert!([0, 7].contains(&ended.code), "{}: {}", ended.code, ended.stderr);
        println!("{context}: ended with {:?}, then {}", self.ended, ended.code);
        wait(Self::run(house, &[])).await.expect(0);
        oracle::assert_equal(house, &ALL, context).await;
        oracle::assert_nothing_went_back(house, context).await;
        oracle::assert_recounts(house, &ALL, context).await;
        oracle::assert_nothing_leaked(house, context).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_every_two_seconds_loses_no_record() {
    let _repro = Repro::new();
    let mut fragile = Fragile::start().await;
    let database = fragile.server.temp_database().await;
    let house = House::on(database, &shape(), SandboxOptions::default()).await;
    house.at(&["db", "init"]).await.expect(0);
    oracle::watch_versions(&house).await;
    let mut run = Persistent::start(&house);
    for _ in 0..number("CRASH_RESTARTS", 5) {
        pause(Duration::from_secs(2)).await;
        fragile.crash();
        fragile.restart().await;
        run.keep_going().await;
    }
    run.end("after crashes of the server").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_cut_connections_loses_no_record() {
    let repro = Repro::new();
    let mut rng = repro.rng();
    let house = House::new(&shape()).await;
    house.at(&["db", "init"]).await.expect(0);
    oracle::watch_versions(&house).await;
    let client = house.client().await;
    let mut run = Persistent::start(&house);
    let mut cut = 0;
    for _ in 0..number("CRASH_STORMS", 60) {
        pause(Duration::from_millis(rng.u64(20..=200))).await;
        // Each of its sessions with even chances, by the same seed.
        let permille = i32::from(rng.u16(..1000));
        let sql = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'qbo-backfill' AND pid * 7919 % 1000 < $1";
        cut += client.query_one(sql, &[&permille]).await.unwrap().get::<_, i64>(0);
        run.keep_going().await;
    }
    assert!(cut > 0, "nothing was cut: this test proves nothing");
    run.end(&format!("after {cut} cut connections")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_somebody_locks_is_waited_for() {
    let _repro = Repro::new();
    let house = House::new(&shape()).await;
    house.at(&["db", "init"]).await.expect(0);
    let gate = Gate::new();
    let held = Rule::on(CallKind::Query, Fault::Held(gate.clone())).containing("FROM Invoice");
    house.sandbox.faults().push(held.after(1));
    let mut run = house.start(&["--page-size", "100", "--concurrency", "1", "--output", "json"]);
    let said = BufReader::new(run.stdout.take().unwrap());
    gate.arrived().await;
    let mut client = house.client().await;
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute("LOCK TABLE raw.qb_invoices IN ACCESS EXCLUSIVE MODE").await.unwrap();
    gate.open();
    // It has waited for as long as a statement may, and says that it tries again.
    let (told, hears) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut lines = said.lines().map_while(Result::ok);
        let retries = lines.by_ref().any(|line| line.contains("\"retry\"") && line.contains("\"database\""));
        let _ = told.send(retries);
        // What it says later is read along, so that it never waits for a reader.
        lines.for_each(drop);
    });
    assert!(hears.await.unwrap(), "it did not say that it waits");
    transaction.rollback().await.unwrap();
    wait(run).await.expect(0);
    oracle::assert_equal(&house, &ALL, "locked").await;
    oracle::assert_recounts(&house, &ALL, "locked").await;
    oracle::assert_nothing_leaked(&house, "locked").await;
}

/// A file system of a few megabytes that the server's user can write to.
struct TinyDisk(PathBuf);

impl TinyDisk {
    /// `None` where this user may not mount anything.
    fn mount(data: &Path) -> Option<Self> {
        let owner = fs::metadata(data).unwrap();
        // Whatever else is temporary is not for the server's user to enter.
        let folder = PathBuf::from(format!("/tmp/qbo-tiny-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs"]).arg(&folder);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            fs::remove_dir(&folder).unwrap();
            return None;
        }
        chown(&folder, Some(owner.uid()), Some(owner.gid())).unwrap();
        Some(Self(folder))
    }

    /// Takes all but so many bytes.
    fn fill(&self, left: u64) {
        let path = self.0.join("filler");
        let available = rustix::fs::statvfs(&self.0).unwrap();
        let taken = (available.f_bavail * available.f_frsize).saturating_sub(left);
        fs::write(path, vec![0; usize::try_from(taken).unwrap()]).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        // Also while the server still has files open in it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_tablespace_ends_the_run_with_7_and_room_lets_it_go_on() {
    let _repro = Repro::new();
    let postgres = TempPostgres::start().await.unwrap();
    let data = postgres.server().map(|server| server.folder().join("data"));
    let Some(disk) = data.as_deref().and_then(TinyDisk::mount) else {
        println!("left out: no file system can be mounted for the server here");
        return;
    };
    let database = postgres.database().await;
    let elsewhere = postgres.database().await;
    let (admin, connection) = elsewhere.config().connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let place = format!("CREATE TABLESPACE tiny LOCATION '{}'", disk.0.display());
    admin.batch_execute(&place).await.unwrap();
    admin.batch_execute(&format!("ALTER DATABASE {} SET TABLESPACE tiny", database.name())).await.unwrap();
    let house = House::on(database, &shape(), SandboxOptions::default()).await;
    house.at(&["db", "init"]).await.expect(0);
    disk.fill(256 * 1024);
    let run = [&["run"], &THREE[..], &YEAR, &["--chunk", "month", "--page-size", "100"]].concat();
    let full = house.at(&run).await.expect(7);
    assert!(full.error().contains("no room left (SQLSTATE 53100)"), "{}", full.error());
    assert!(full.error().contains("committed data stays"), "{}", full.error());
    let calls = house.sandbox.journal().metered();
    house.at(&run).await.expect(7);
    assert!(house.sandbox.journal().metered() - calls <= 10, "it went on asking with no room for an answer");
    disk.make_room();
    house.at(&run).await.expect(0);
    oracle::assert_equal(&house, &ALL, "full").await;
    oracle::assert_recounts(&house, &ALL, "full").await;
    oracle::assert_nothing_leaked(&house, "full").await;
    drop(admin);
    postgres.stop().await.unwrap();
}
