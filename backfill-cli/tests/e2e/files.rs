//! Files that somebody else has laid, that others may write to, or that never end.

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use fixtures::Shape;

use crate::house::{Ended, House, ended};

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Runs a command that has to end by itself, whatever it reads.
async fn refused(house: &House, words: &[&str], code: i32) -> Ended {
    let ended = house.run(words).await.expect(code);
    ended.error();
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settings_file_of_somebody_else_is_not_obeyed() {
    let house = House::new(&Shape::empty()).await;
    let settings = house.home().join("qbo-backfill.toml");
    let database = house.database.url();
    std::fs::write(&settings, format!("[profile.default]\ndatabase = '{database}'\n")).unwrap();
    let sound = house.run(&["doctor", "--offline"]).await;
    assert!(sound.stdout.contains("settings of qbo-backfill.toml"), "{}", sound.stdout);
    house.run(&["db", "status"]).await.expect(0);

    mode(&settings, 0o646);
    assert!(refused(&house, &["db", "status"], 2).await.error().contains("other users may write to it"));
    mode(&settings, 0o644);
    // Only root can give a file away.
    if chown(&settings, Some(4711), None).is_ok() {
        for words in [&["db", "status"][..], &["worker", "--profiles", "all", "--once"]] {
            let told = refused(&house, words, 2).await;
            assert!(
                told.error().contains("qbo-backfill.toml: it belongs to another user"),
                "{}",
                told.stderr
            );
        }
        // The file that was opened decides, not the link that leads to it.
        let link = house.home().join("link.toml");
        symlink(&settings, &link).unwrap();
        refused(&house, &["--config", link.to_str().unwrap(), "db", "status"], 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_others_may_write_are_not_taken() {
    let house = House::new(&Shape::empty()).await;
    let folder = house.home().join("given");
    std::fs::create_dir(&folder).unwrap();
    let secret = folder.join("PG_PASSWORD");
    std::fs::write(&secret, format!("{}\n", house.database.password())).unwrap();
    let given = folder.to_str().unwrap();
    let database = house.database.url();
    let words = ["--secrets", given, "--database", &database, "db", "status"];
    // As container engines mount them.
    mode(&secret, 0o444);
    house.run(&words).await.expect(0);
    mode(&secret, 0o666);
    assert!(refused(&house, &words, 2).await.error().contains("PG_PASSWORD: other users may write to it"));
    mode(&secret, 0o600);
    mode(&folder, 0o777);
    assert!(refused(&house, &words, 2).await.error().contains("other users may put files into its folder"));
    mode(&folder, 0o700);
    if chown(&secret, Some(4711), None).is_ok() {
        assert!(refused(&house, &words, 2).await.error().contains("it belongs to another user"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_ends_is_refused_wherever_a_file_is_read() {
    let house = House::new(&Shape::empty()).await;
    let at = |name: &str| house.home().join(name);
    let text = |name: &str| at(name).to_str().unwrap().to_owned();
    pipe(&at("pipe"));
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    std::fs::write(at("catalogue.toml"), "[profile.default]\ncatalog = 'pipe'\n").unwrap();
    std::fs::create_dir(at("given")).unwrap();
    for name in ["given/QBO_CLIENT_ID", "given/pg_user"] {
        symlink("/dev/zero", at(name)).unwrap();
    }
    let (pipe_there, socket, given) = (text("pipe"), text("socket"), text("given"));
    for odd in [&pipe_there, &socket, "/dev/zero", given.as_str()] {
        refused(&house, &["--config", odd, "entities"], 2).await;
        refused(&house, &["trigger", "apply", "--file", odd], 2).await;
        refused(&house, &["--vault", odd, "secrets", "list"], 8).await;
        refused(&house, &["--vault-key-file", odd, "secrets", "list"], 8).await;
    }
    refused(&house, &["--config", &text("catalogue.toml"), "entities"], 2).await;
    refused(&house, &["--secrets", &given, "db", "status"], 2).await;

    // The lock of the vault.
    let lock = house.data().join("vault.lock");
    std::fs::remove_file(&lock).unwrap();
    pipe(&lock);
    refused(&house, &["secrets", "rm", "QBO_REALM_ID"], 8).await;
    std::fs::remove_file(&lock).unwrap();

    // A password file that is a pipe is passed over.
    let mut command = house.command(&["--database", &house.database.url(), "db", "status"]);
    ended(command).await.expect(0);
    pipe(&at(".pgpass"));
    mode(&at(".pgpass"), 0o600);
    house.run(&["secrets", "rm", "PG_PASSWORD"]).await.expect(0);
    command = house.command(&["--database", &house.database.url(), "db", "status"]);
    ended(command).await.expect(7);

    // Stdin.
    for words in [&["secrets", "set", "PG_PASSWORD"][..], &["--secrets", "stdin", "db", "status"]] {
        let mut command = house.command(words);
        command.stdin(Stdio::from(std::fs::File::open("/dev/zero").unwrap()));
        ended(command).await.expect(2).error();
    }
}
