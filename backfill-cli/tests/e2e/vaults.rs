//! Vaults by key file, mounted key and passphrase, and what changes them.

use std::fs;
use std::process::Stdio;

use fixtures::{CallKind, Fault, Gate, Rotation, Rule, SandboxOptions, Shape};

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
async fn a_rekey_never_touches_the_key_of_another_vault() {
    let house = House::new(&Shape::empty()).await;
    let (key, words) = (house.data().join("vault.key"), "obviously false words");
    let before = fs::read(&key).unwrap();
    let other = house.home().join("other/vault");
    let other = ["--vault", other.to_str().unwrap()];
    let at = |words: &[&str]| house.command(&[words, &other[..]].concat());
    with_stdin(at(&["secrets", "init", "--passphrase"]), words).await.expect(0);
    let unasked = with_stdin(at(&["secrets", "rekey"]), words).await.expect(2);
    assert!(unasked.error().contains("--new-key-file"), "{}", unasked.error());
    let taken = with_stdin(at(&["secrets", "rekey", "--new-key-file", key.to_str().unwrap()]), words).await;
    assert!(taken.expect(8).error().contains("exists already"));
    let own = house.home().join("other/key");
    let own = own.to_str().unwrap();
    with_stdin(at(&["secrets", "rekey", "--new-key-file", own]), words).await.expect(0);
    assert_eq!(fs::read(&key).unwrap(), before);

    // Two vaults that share one key: it is not replaced for one of them.
    let third = house.home().join("third");
    let third = ["--vault", third.to_str().unwrap()];
    with_stdin(house.command(&[&["secrets", "init", "--passphrase"], &third[..]].concat()), words)
        .await
        .expect(0);
    fs::copy(house.data().join("vault"), third[1]).unwrap();
    let shared = house.run(&[&["secrets", "rekey"], &third[..]].concat()).await.expect(2);
    assert!(shared.error().contains("also opens"), "{}", shared.error());
    assert_eq!(fs::read(&key).unwrap(), before);
    house.run(&["secrets", "list"]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_vault_is_put_back_with_a_warning_or_refused() {
    let house = House::new(&Shape::empty()).await;
    let vault = house.data().join("vault");
    fs::write(&vault, "half of it").unwrap();
    let restored = house.run(&["secrets", "list"]).await.expect(0);
    assert!(restored.stderr.contains("warning: the vault was damaged"), "{}", restored.stderr);
    assert!(!house.run(&["secrets", "list"]).await.expect(0).stderr.contains("warning"));
    for file in [&vault, &house.data().join("vault.1")] {
        fs::write(file, "half of it").unwrap();
    }
    let refused = house.run(&["secrets", "list"]).await.expect(8);
    assert!(refused.error().contains("cannot be decrypted"), "{}", refused.error());
}

/// A folder of handed-over secrets.
fn handed_over(house: &House, name: &str, token: &str, realm: &str) -> String {
    let (folder, credentials) = (house.home().join(name), house.sandbox.credentials());
    fs::create_dir_all(&folder).unwrap();
    for (name, value) in [
        ("QBO_CLIENT_ID", credentials.client_id.as_str()),
        ("QBO_CLIENT_SECRET", &credentials.client_secret),
        ("QBO_REALM_ID", realm),
        ("QBO_REFRESH_TOKEN", token),
        ("PG_PASSWORD", house.database.password()),
    ] {
        fs::write(folder.join(name), value).unwrap();
    }
    folder.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handed_over_token_displaces_neither_another_company_nor_a_newer_consent() {
    let house = House::new(&Shape::empty()).await;
    let realm = house.sandbox.realm_id().to_owned();
    let first = house.sandbox.current_refresh_token();
    let given = handed_over(&house, "given", &first, &realm);
    house.at(&[&MONTH[..], &["--secrets", &given]].concat()).await.expect(0);
    let stored = |ended: crate::house::Ended| -> serde_json::Value {
        let status: serde_json::Value = serde_json::from_str(&ended.expect(0).stdout).unwrap();
        status["fingerprint"].clone()
    };
    let status = ["auth", "status", "--output", "json"];

    // A new consent, as after a login; the orchestrator goes on with the old token.
    house.set_secret("QBO_REFRESH_TOKEN", &house.sandbox.current_refresh_token()).await.expect(0);
    let consent = stored(house.run(&status).await);
    let calls = house.sandbox.token_calls();
    let again = [&MONTH[..], &["--force", "--secrets", &given]].concat();
    house.at(&again).await.expect(0);
    assert_eq!(house.sandbox.token_calls(), calls + 1);
    assert_ne!(stored(house.run(&status).await), consent, "it was rotated");
    house.sandbox.expire_access_tokens();
    house.at(&again).await.expect(0);

    let before = stored(house.run(&status).await);
    let calls = (house.sandbox.token_calls(), house.sandbox.journal().metered());
    let foreign = handed_over(&house, "foreign", "a token of another company", "424242");
    let refused = house.at(&[&MONTH[..], &["--force", "--secrets", &foreign]].concat()).await.expect(5);
    assert!(refused.error().contains("424242 comes from --secrets"), "{}", refused.error());
    assert_eq!((house.sandbox.token_calls(), house.sandbox.journal().metered()), calls);
    assert_eq!(stored(house.run(&status).await), before);
}

/// The consent in the vault, and that it still works without anything that is handed over.
async fn still_consented(house: &House) {
    house.sandbox.expire_access_tokens();
    house.at(&[&MONTH[..], &["--force"]].concat()).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_secret_is_not_given_and_a_wrong_one_costs_no_consent() {
    let house = House::new(&Shape::empty()).await;
    let again = [&MONTH[..], &["--force"]].concat();
    house.at(&again).await.expect(0);
    let realm = house.sandbox.realm_id().to_owned();
    // As an orchestrator writes it whose variable was never set.
    for (name, blank) in
        [("empty", ""), ("line", "\n"), ("spaces", " \r\n"), ("mark", "\u{feff}"), ("quotes", "\"\"\n")]
    {
        let given = handed_over(&house, name, blank, &realm);
        house.sandbox.expire_access_tokens();
        let calls = house.sandbox.token_calls();
        house.at(&[&again[..], &["--secrets", &given]].concat()).await.expect(0);
        assert_eq!(house.sandbox.token_calls(), calls + 1, "{name}: only the vault's own was presented");
    }
    let mut stdin = house.command(&[&again[..], &["--secrets", "stdin"]].concat());
    stdin.args(house.addresses());
    with_stdin(stdin, r#"{"QBO_REFRESH_TOKEN":"","QBO_CLIENT_SECRET":null,"QBO_REALM_ID":" ","PG_HOST":""}"#)
        .await
        .expect(0);
    still_consented(&house).await;

    // A token that Intuit does not know, one after the other.
    for (name, token) in [("wrong", "false-token"), ("wrong-too", "another-false-token")] {
        let given = handed_over(&house, name, token, &realm);
        house.at(&[&again[..], &["--secrets", &given]].concat()).await.expect(0);
    }
    still_consented(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_surrounds_a_handed_over_secret_is_stripped_and_what_damages_it_is_refused() {
    let house = House::new(&Shape::empty()).await;
    let current = house.sandbox.current_refresh_token();
    let realm = house.sandbox.realm_id();
    let given = handed_over(&house, "given", &format!("\u{feff}\"{current}\"\r\n"), &format!(" {realm}\n"));
    let again = [&MONTH[..], &["--force", "--secrets"]].concat();
    house.at(&[&again[..], &[&given]].concat()).await.expect(0);
    house
        .set_secret("QBO_REFRESH_TOKEN", &format!("\u{feff} '{}'\r", house.sandbox.current_refresh_token()))
        .await
        .expect(0);
    still_consented(&house).await;

    let calls = house.sandbox.token_calls();
    for (name, value) in [
        ("QBO_REFRESH_TOKEN", "canary\ncanary"),
        ("QBO_CLIENT_SECRET", "canary\tcanary"),
        ("QBO_CLIENT_ID", "\"canary"),
        ("QBO_REALM_ID", "canary"),
        ("PG_PASSWORD", "canary\u{7}canary"),
        ("PG_PORT", "canary"),
    ] {
        let folder = handed_over(&house, name, "", "");
        fs::write(house.home().join(name).join(name), value).unwrap();
        let mut stdin = house.command(&[&again[..], &["stdin"]].concat());
        stdin.args(house.addresses());
        let json = serde_json::json!({ name: value }).to_string();
        let mut doors =
            vec![house.at(&[&again[..], &[&folder]].concat()).await, with_stdin(stdin, &json).await];
        if !value.contains('\n') {
            doors.push(house.set_secret(name, value).await);
        }
        for ended in doors {
            let ended = ended.expect(2);
            assert!(ended.error().contains(name), "{}", ended.error());
            assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
        }
    }
    assert_eq!(house.sandbox.token_calls(), calls);
    still_consented(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_vault_of_the_same_token_is_found_while_the_first_one_runs() {
    let house = House::new(&Shape::empty()).await;
    house.at(&["db", "init"]).await.expect(0);
    let realm = house.sandbox.realm_id().to_owned();
    let given = handed_over(&house, "given", &house.sandbox.current_refresh_token(), &realm);
    let gate = Gate::new();
    house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())));
    // The first one refreshes, and is held while it reads.
    let first = second_home(&house, &[]);
    let mut running = house.command(&[&MONTH[..], &["--secrets", &given]].concat());
    running.env("HOME", first.path()).args(house.addresses());
    running.stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = running.spawn().unwrap();
    gate.arrived().await;
    let calls = house.sandbox.token_calls();

    let second = second_home(&house, &[]);
    let mut late = house.command(&[&MONTH[..], &["--secrets", &given]].concat());
    late.env("HOME", second.path()).args(house.addresses());
    let refused = crate::house::ended(late).await.expect(4);
    assert!(refused.error().contains("older than the one last seen"), "{}", refused.error());
    assert_eq!(house.sandbox.token_calls(), calls);
    gate.open();
    let ended = tokio::task::spawn_blocking(|| running.wait_with_output().unwrap()).await.unwrap();
    crate::house::Ended::from(ended).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_put_back_with_the_living_token_goes_on_however_often_it_was_refreshed() {
    let mut options = SandboxOptions::default();
    // Twice the same token, then a new one.
    options.oauth.rotation = Rotation::Every(4);
    let house = House::with(&Shape::empty(), options).await;
    house.at(&MONTH).await.expect(0);
    let backup = fs::read(house.data().join("vault")).unwrap();
    for _ in 0..2 {
        house.at(&["auth", "refresh"]).await.expect(0);
    }
    fs::write(house.data().join("vault"), backup).unwrap();
    for _ in 0..3 {
        house.sandbox.expire_access_tokens();
        house.at(&[&MONTH[..], &["--force"]].concat()).await.expect(0);
    }
    let newest = qbo_auth::RefreshToken::new(house.sandbox.current_refresh_token()).fingerprint();
    assert!(house.run(&["auth", "status"]).await.expect(0).stdout.contains(&newest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_overtaken_by_another_vault_spends_no_token() {
    let house = House::new(&Shape::empty()).await;
    house.at(&MONTH).await.expect(0);
    let calls = house.sandbox.token_calls();
    let gate = Gate::new();
    house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())));
    let mut run = house.command(&[&MONTH[..], &["--force"]].concat());
    run.args(house.addresses()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = run.spawn().unwrap();
    gate.arrived().await;
    // What the other vault leaves in the database.
    let newer = "UPDATE raw.consent_witness SET generation = 99, fingerprint = 'newer', host = 'elsewhere'";
    house.client().await.batch_execute(newer).await.unwrap();
    house.sandbox.expire_access_tokens();
    gate.open();
    let ended = tokio::task::spawn_blocking(|| run.wait_with_output().unwrap()).await.unwrap();
    let ended = crate::house::Ended::from(ended).expect(8);
    assert!(ended.stderr.contains("elsewhere has used the same consent"), "{}", ended.stderr);
    assert_eq!(house.sandbox.token_calls(), calls);
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
    let refused = crate::house::ended(second).await.expect(4);
    let words = "the stored token is older than the one last seen (generation 2 < 3)";
    assert!(refused.error().contains(words), "{}", refused.error());
    assert!(refused.error().contains("auth login"), "{}", refused.error());
    // The same on another host: it is not the vault that was put back, there are two.
    house.client().await.batch_execute("UPDATE raw.consent_witness SET host = 'elsewhere'").await.unwrap();
    let mut second = house.command(&MONTH);
    second.env("HOME", copy.path()).arg("--force").args(house.addresses());
    let refused = crate::house::ended(second).await.expect(8);
    assert!(refused.error().contains("elsewhere has used the same consent since"), "{}", refused.error());
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
    // The command that the message names works before there is a vault.
    crate::house::ended(shared(home.path(), &["db", "init"])).await.expect(0);
    crate::house::ended(shared(home.path(), &["db", "status"])).await.expect(0);
    // The key of the vault file that lies where keys lie is not taken for this one, too.
    let taken = crate::house::ended(shared(house.home(), &["secrets", "init"])).await.expect(8);
    assert!(taken.error().contains("--vault-key-file"), "{}", taken.error());
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
