//! Vaults by key file, mounted key and passphrase, and what changes them.

use std::fs;

use fixtures::Shape;

use crate::house::{House, with_stdin};

#[tokio::test(flavor = "multi_thread")]
async fn a_rekeyed_vault_goes_on_working_and_the_old_key_opens_nothing() {
    let house = House::new(&Shape::empty()).await;
    let (key, old) = (house.data().join("vault.key"), house.data().join("old.key"));
    fs::copy(&key, &old).unwrap();
    house.run(&["secrets", "rekey"]).await.expect(0);
    house.run(&["secrets", "list"]).await.expect(0);
    assert_ne!(fs::read(&key).unwrap(), fs::read(&old).unwrap());
    let refused = house.run(&["secrets", "list", "--vault-key-file", old.to_str().unwrap()]).await.expect(8);
    assert!(refused.error().contains("cannot be decrypted"), "{}", refused.error());

    // Killed between the sealing and the renaming: the next command finishes it.
    let elsewhere = house.data().join("vault.key.new");
    house.run(&["secrets", "rekey", "--new-key-file", elsewhere.to_str().unwrap()]).await.expect(0);
    house.run(&["secrets", "list"]).await.expect(0);
    assert!(!elsewhere.exists());
    // Killed before the sealing: the waiting key opens nothing and is in nobody's way.
    fs::copy(&old, &elsewhere).unwrap();
    house.run(&["secrets", "list"]).await.expect(0);
    house.run(&["secrets", "rekey"]).await.expect(0);
    house.backfill(&["Invoice"], &[]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_opens_the_vault_and_nothing_else_does() {
    let house = House::new(&Shape::empty()).await;
    let passphrase = "obviously false words";
    let short = with_stdin(house.command(&["secrets", "rekey", "--passphrase"]), "short").await.expect(2);
    assert!(short.error().contains("nothing was changed"));
    with_stdin(house.command(&["secrets", "rekey", "--passphrase"]), passphrase).await.expect(0);
    let none = house.run(&["secrets", "list"]).await.expect(8);
    assert!(none.error().contains("passphrase"), "{}", none.error());
    let wrong = with_stdin(house.command(&["secrets", "list"]), "some other false words").await.expect(8);
    assert!(wrong.error().contains("cannot be decrypted"));
    let listed = with_stdin(house.command(&["secrets", "list"]), passphrase).await.expect(0);
    assert!(listed.stdout.contains("QBO_REFRESH_TOKEN"));

    // The passphrase is one line, what the command itself reads the next.
    let both = format!("{passphrase}\nfalse-host");
    with_stdin(house.command(&["secrets", "set", "PG_HOST"]), &both).await.expect(0);
    let words = ["run", "Invoice", "--from", "2024-01-01", "--to", "2024-02-01", "--vault"];
    let vault = house.data().join("vault");
    let mut run = house.command(&words);
    run.arg(&vault).args(house.addresses());
    with_stdin(run, passphrase).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_systemd_or_a_container_engine_mounts_is_found_by_its_name() {
    use std::os::unix::fs::PermissionsExt;
    let house = House::new(&Shape::empty()).await;
    let mount = house.home().join("credentials");
    fs::create_dir(&mount).unwrap();
    let mounted = mount.join("qbo-backfill-vault-key");
    fs::rename(house.data().join("vault.key"), &mounted).unwrap();
    let list = |mode: u32| {
        fs::set_permissions(&mounted, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = house.command(&["secrets", "list"]);
        command.env("CREDENTIALS_DIRECTORY", &mount);
        crate::house::ended(command)
    };
    list(0o444).await.expect(0);
    list(0o400).await.expect(0);
    let exposed = list(0o666).await.expect(8);
    assert!(exposed.error().contains("open to other users"), "{}", exposed.error());
    // A key of the same mode that nobody mounted is refused.
    fs::set_permissions(&mounted, fs::Permissions::from_mode(0o444)).unwrap();
    house.run(&["secrets", "list", "--vault-key-file", mounted.to_str().unwrap()]).await.expect(8);
}

#[tokio::test(flavor = "multi_thread")]
async fn public_information_has_the_company_and_no_secret() {
    let house = House::new(&Shape::empty()).await;
    house.backfill(&["Invoice"], &[]).await.expect(0);
    let info = house.run(&["secrets", "export-public-info"]).await.expect(0);
    let told: serde_json::Value = serde_json::from_str(&info.stdout).unwrap();
    assert_eq!(told["realm"], house.sandbox.realm_id());
    assert_eq!(told["consent"]["generation"], 2);
    assert_eq!(told["secrets"].as_array().unwrap().len(), 5);
    let credentials = house.sandbox.credentials();
    for secret in [
        &credentials.client_id,
        &credentials.client_secret,
        &credentials.refresh_token,
        &house.sandbox.current_refresh_token(),
    ] {
        assert!(!info.stdout.contains(secret.as_str()));
    }
}

/// The second host's home: a folder with copies of the first one's files.
fn second_home(house: &House, files: &[&str]) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join(".local/share/qbo-backfill");
    fs::create_dir_all(&data).unwrap();
    for file in files {
        // With its mode.
        fs::copy(house.data().join(file), data.join(file)).unwrap();
    }
    home
}

const MONTH: [&str; 6] = ["run", "Invoice", "--from", "2024-01-01", "--to", "2024-02-01"];

#[tokio::test(flavor = "multi_thread")]
async fn a_second_copy_of_a_vault_is_refused_before_it_spends_a_token() {
    let house = House::new(&Shape::empty()).await;
    house.at(&MONTH).await.expect(0);
    let copy = second_home(&house, &["vault", "vault.key"]);
    house.sandbox.expire_access_tokens();
    house.at(&[&MONTH[..], &["--force"]].concat()).await.expect(0);
    let calls = (house.sandbox.token_calls(), house.sandbox.journal().metered());

    let mut second = house.command(&MONTH);
    second.env("HOME", copy.path()).arg("--force").args(house.addresses());
    let refused = crate::house::ended(second).await.expect(8);
    assert!(refused.error().contains("older copy"), "{}", refused.error());
    assert!(refused.error().contains("auth login"), "{}", refused.error());
    assert_eq!((house.sandbox.token_calls(), house.sandbox.journal().metered()), calls);
    // A new consent of its own makes it a vault of its own.
    let mut consent = house.command(&["secrets", "set", "QBO_REFRESH_TOKEN"]);
    consent.env("HOME", copy.path());
    with_stdin(consent, &house.sandbox.current_refresh_token()).await.expect(0);
    let mut second = house.command(&MONTH);
    second.env("HOME", copy.path()).arg("--force").args(house.addresses());
    crate::house::ended(second).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_share_a_vault_in_the_database_take_turns() {
    let house = House::new(&Shape::empty()).await;
    let password = house.home().join("pgpass");
    fs::write(&password, format!("*:*:*:*:{}", house.database.password())).unwrap();
    fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let shared = |home: &std::path::Path, words: &[&str]| {
        let mut command = house.command(words);
        command
            .env("HOME", home)
            .env("PGPASSFILE", &password)
            .args(["--vault", "postgres"])
            .args(house.addresses());
        command
    };
    let home = second_home(&house, &[]);
    let early = crate::house::ended(shared(home.path(), &["secrets", "init"])).await.expect(7);
    assert!(early.error().contains("db init"), "{}", early.error());
    house.at(&["db", "init"]).await.expect(0);
    crate::house::ended(shared(home.path(), &["secrets", "init"])).await.expect(0);
    let credentials = house.sandbox.credentials();
    for (name, value) in [
        ("QBO_CLIENT_ID", &credentials.client_id),
        ("QBO_CLIENT_SECRET", &credentials.client_secret),
        ("QBO_REALM_ID", &credentials.realm_id),
        ("QBO_REFRESH_TOKEN", &house.sandbox.current_refresh_token()),
    ] {
        with_stdin(shared(home.path(), &["secrets", "set", name]), value).await.expect(0);
    }

    // The other host brings the key; both go on from one token, however often it changes.
    let other = tempfile::tempdir().unwrap();
    let folder = ".local/share/qbo-backfill";
    fs::create_dir_all(other.path().join(folder)).unwrap();
    fs::copy(home.path().join(folder).join("vault.key"), other.path().join(folder).join("vault.key"))
        .unwrap();
    for host in [&home, &other, &home, &other] {
        house.sandbox.expire_access_tokens();
        let words = [&MONTH[..], &["--force"]].concat();
        crate::house::ended(shared(host.path(), &words)).await.expect(0);
    }
    let calls = house.sandbox.token_calls();
    assert_eq!(calls, 4);
    // Many at once meet the expired token: one of them refreshes, and each goes on.
    house.sandbox.expire_access_tokens();
    let stale = tempfile::tempdir().unwrap();
    crate::house::ended(shared(stale.path(), &["secrets", "list"])).await.expect(8);
    let doctors: Vec<_> =
        (0..3).map(|_| tokio::spawn(crate::house::ended(shared(other.path(), &["doctor"])))).collect();
    for doctor in doctors {
        doctor.await.unwrap().expect(0);
    }
    assert_eq!(house.sandbox.token_calls(), calls + 1);
    let rows = house.query("SELECT encode(sealed, 'escape') FROM raw.sealed_vault").await;
    assert!(!rows[0].get::<_, String>(0).contains("RT1-"));
}
