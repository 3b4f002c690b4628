//! The vault's key in a real keyring: GNOME Keyring's daemon, on a session bus of its own (packages `gnome-keyring` and
//! `dbus`).

use std::path::Path;
use std::process::Command;

use fixtures::Shape;

use crate::house::{Ended, House, ended};

/// Runs shell lines where a keyring is open.
async fn with_keyring(house: &House, home: &Path, lines: &str) -> Ended {
    let open = "printf false-password | gnome-keyring-daemon --unlock --components=secrets";
    beside_keyring(house, home, open, lines).await
}

/// Runs shell lines beside a keyring that is started in some way.
async fn beside_keyring(house: &House, home: &Path, start: &str, lines: &str) -> Ended {
    let script = format!("{start} >/dev/null 2>&1\nset -e\n{lines}");
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "sh", "-c", &script]).env_clear().env("HOME", home);
    command.env("XDG_RUNTIME_DIR", home).env("QB", env!("CARGO_BIN_EXE_qbo-backfill"));
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("URL", house.sandbox.url());
    ended(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_can_live_in_the_keyring_and_be_changed_there() {
    let house = House::without_consent(&Shape::empty(), fixtures::SandboxOptions::default()).await;
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join(".local/share/qbo-backfill");
    let lived = with_keyring(
        &house,
        home.path(),
        "\"$QB\" secrets init --keyring
         echo false-id | \"$QB\" secrets set QBO_CLIENT_ID
         \"$QB\" secrets rekey
         \"$QB\" secrets list",
    );
    let lived = lived.await.expect(0);
    assert!(lived.stdout.contains("QBO_CLIENT_ID"), "{}", lived.stdout);
    assert!(lived.stderr.contains("in the keyring"), "{}", lived.stderr);
    assert!(data.join("vault").exists() && !data.join("vault.key").exists());

    // From a key file into the keyring: the file opens nothing any more, and is gone.
    std::fs::remove_dir_all(&data).unwrap();
    let moved = "\"$QB\" secrets init
         echo false-id | \"$QB\" secrets set QBO_CLIENT_ID
         \"$QB\" secrets rekey --keyring
         test ! -e .local/share/qbo-backfill/vault.key
         \"$QB\" secrets list";
    let moved = with_keyring(&house, home.path(), &format!("cd \"$HOME\"\n{moved}")).await.expect(0);
    assert!(moved.stdout.contains("QBO_CLIENT_ID"));

    // Without a session there is no keyring: the message is the one of a missing key.
    let mut alone = Command::new(env!("CARGO_BIN_EXE_qbo-backfill"));
    alone.args(["secrets", "list"]).env_clear().env("HOME", home.path());
    let alone = ended(alone).await.expect(8);
    assert!(alone.error().contains("vault.key"), "{}", alone.error());

    // With a session whose keyring nobody has unlocked, that is said.
    let locked = "gnome-keyring-daemon --start --components=secrets";
    let locked = beside_keyring(&house, home.path(), locked, "\"$QB\" secrets list").await.expect(8);
    assert!(locked.error().contains("is locked"), "{}", locked.error());

    // Beside the key of another vault nothing is finished, and nothing of the other one is touched; a key that is there
    // is not written over, whatever became of its vault.
    let beside = "\"$QB\" secrets init
         cp .local/share/qbo-backfill/vault.key before
         \"$QB\" secrets init --keyring --vault other/vault
         \"$QB\" secrets list --vault other/vault 2>&1 | grep interrupted && exit 1
         \"$QB\" secrets rekey --vault other/vault
         echo false-id | \"$QB\" secrets set QBO_CLIENT_ID --vault other/vault
         cmp before .local/share/qbo-backfill/vault.key
         rm other/vault
         \"$QB\" secrets init --keyring --vault other/vault && exit 1
         echo obviously false words | \"$QB\" secrets init --passphrase --vault other/vault
         \"$QB\" secrets list";
    std::fs::remove_dir_all(&data).unwrap();
    let beside = format!("cd \"$HOME\"\n{beside}");
    let beside = with_keyring(&house, home.path(), &beside).await.expect(0);
    assert!(beside.stderr.contains("has a key for"), "{}", beside.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_shared_vault_is_kept_under_its_database_and_never_written_over() {
    let house = House::without_consent(&Shape::empty(), fixtures::SandboxOptions::default()).await;
    let home = tempfile::tempdir().unwrap();
    let passfile = home.path().join("pgpass");
    std::fs::write(&passfile, format!("*:*:*:*:{}", house.database.password())).unwrap();
    std::fs::set_permissions(&passfile, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let lines = format!(
        "cd \"$HOME\"
         export PGPASSFILE='{}'
         qb() {{ \"$QB\" \"$@\" --vault postgres --database '{}'; }}
         qb db init
         qb secrets init --keyring
         echo false-id | qb secrets set QBO_CLIENT_ID
         qb secrets init --keyring && exit 1
         qb secrets rekey
         qb secrets list
         qb secrets init --keyring --schema other && exit 1
         qb db init --schema other
         qb secrets init --keyring --schema other
         qb secrets list
         qb secrets rekey --new-key-file .local/share/qbo-backfill/vault.key.new
         qb secrets list
         test -e .local/share/qbo-backfill/vault.key",
        passfile.display(),
        house.database.url()
    );
    let lived = with_keyring(&house, home.path(), &lines).await.expect(0);
    assert_eq!(lived.stdout.matches("QBO_CLIENT_ID").count(), 3, "{}", lived.stdout);
    assert!(lived.stderr.contains("an interrupted `secrets rekey` has been finished"), "{}", lived.stderr);
}
