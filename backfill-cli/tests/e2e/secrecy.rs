//! No secret and no payload in anything that is printed or kept beside the payloads.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use fixtures::{Hostile, Shape};

use crate::house::{Ended, House, THREE, YEAR};

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_payload_is_in_any_output_or_in_the_ledger() {
    let shape = Shape::default().with_counts(60, 10, 5).with_hostile("Invoice", Hostile::NulEscape);
    let house = House::new(&shape).await;
    let before = house.sandbox.credentials();
    let mut outputs: Vec<Ended> = Vec::new();
    for more in [["--log-level", "trace"], ["--output", "json"], ["--log-format", "json"]] {
        house.sandbox.expire_access_tokens();
        outputs.push(house.backfill(&THREE, &[&more[..], &["--force"]].concat()).await);
    }
    outputs.push(house.at(&["report", "--format", "md"]).await);
    outputs.push(house.run(&["secrets", "list"]).await);
    house.sandbox.revoke_grant();
    let words = [&["run", "Invoice", "--force", "--log-level", "trace"], &YEAR[..]].concat();
    outputs.push(house.at(&words).await.expect(4));

    let mut kept = String::new();
    for table in ["backfill_run", "backfill_log", "backfill_page", "backfill_lease", "backfill_run_pipeline"]
    {
        let text = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM raw.{table} t");
        kept += &house.query(&text).await[0].get::<_, String>(0);
    }
    let requests = "SELECT coalesce(string_agg(request_payload::text, ' '), '') FROM raw.qb_invoices";
    kept += &house.query(requests).await[0].get::<_, String>(0);

    let after = house.sandbox.current_refresh_token();
    let secrets = [
        before.client_secret.as_str(),
        &before.refresh_token,
        &after,
        &house.sandbox.access_token()[..12],
        house.database.password(),
        "Bearer ",
    ];
    let payload = house.sandbox.with_company(|company| {
        company
            .records("Customer")
            .filter(|record| record.name.len() > 8)
            .map(|record| record.name.clone())
            .collect::<Vec<_>>()
    });
    for text in outputs.iter().flat_map(|ended| [&ended.stdout, &ended.stderr]).chain([&kept]) {
        for secret in secrets.iter().copied().chain(payload.iter().map(String::as_str)) {
            assert!(!text.contains(secret), "{secret:?} is in:\n{text}");
        }
    }
}

/// How long a process may take to begin.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// The kernel gives such files to root: what is in them is not even for the same user's other programs.
#[test]
fn another_program_of_the_same_user_cannot_look_into_the_process() {
    let home = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(home.path(), open).unwrap();
    let binary = home.path().join("qbo-backfill");
    std::fs::copy(env!("CARGO_BIN_EXE_qbo-backfill"), &binary).unwrap();
    let mut command = Command::new(&binary);
    command.args(["secrets", "init", "--passphrase"]).env_clear().env("HOME", home.path());
    command.stdin(Stdio::piped()).stderr(Stdio::null());
    let is_root = home.path().metadata().unwrap().uid() == 0;
    if is_root {
        command.uid(65534).gid(65534);
    }
    let mut child = command.spawn().unwrap();
    let shown = std::path::PathBuf::from(format!("/proc/{}", child.id()));
    // Until the process has come to it, the files are its own; one that ends or never comes to it is told apart.
    let clock = qbo_auth::SystemClock::new();
    while shown.join("environ").metadata().unwrap().uid() != 0 {
        assert!(
            qbo_auth::Clock::elapsed(&clock) < PATIENCE && child.try_wait().unwrap().is_none(),
            "it never closed itself"
        );
        std::thread::yield_now();
    }
    for name in ["environ", "maps", "fd", "mem"] {
        assert_eq!(shown.join(name).metadata().unwrap().uid(), 0, "{name}");
    }
    writeln!(child.stdin.take().unwrap(), "obviously false words").unwrap();
    assert!(child.wait().unwrap().success());
}
