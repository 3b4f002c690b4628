//! `db psql`: the same connection as the store's, and no name that a shell could read.

use std::os::unix::fs::PermissionsExt as _;

use fixtures::Shape;

use crate::house::{House, ended};

#[tokio::test(flavor = "multi_thread")]
async fn psql_reaches_the_database_with_the_vaults_password_and_no_name_is_a_command() {
    let house = House::new(&Shape::empty()).await;
    let canary = house.home().join("canary");
    // Commands are run in the home folder.
    let name = format!("{};$(touch canary) `touch canary`'\"", house.database.name());
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    let client = house.client().await;
    client.batch_execute(&format!("CREATE DATABASE {quoted}")).await.unwrap();
    let encoded = name.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let (user, port) = (house.database.user(), house.database.port());
    let url = format!("postgres://{user}@127.0.0.1:{port}/{encoded}");

    let asked = "SELECT current_database(), current_setting('application_name')";
    let mut command = house.command(&["--database", &url, "db", "psql", "-X", "-At", "-c", asked]);
    // What the person's environment says of other servers is not for this one.
    command.env("PGHOSTADDR", "192.0.2.1").env("PGSERVICE", "none").env("PGSSLMODE", "verify-full");
    let answer = ended(command).await.expect(0);
    assert_eq!(answer.stdout.trim_end(), format!("{name}|psql"));

    // What is printed to be pasted is one word for a shell.
    let run = ["run", "Item", "--from", "2024-01-01", "--to", "2024-01-02"];
    let sandbox = house.sandbox.url();
    let more = ["--api-url", &sandbox, "--oauth-url", &sandbox, "--database", &url];
    let said = house.run(&[&run[..], &more].concat()).await.expect(0);
    let line = said.stdout.lines().find_map(|line| line.strip_prefix("look at the data: ")).unwrap();
    let mut pasted = std::process::Command::new("sh");
    pasted.args(["-c", &format!("{line} -X -w -At -c 'SELECT 7'")]);
    pasted.current_dir(house.home()).env("PGPASSWORD", house.database.password());
    assert_eq!(ended(pasted).await.expect(0).stdout.trim(), "7", "{line}");
    assert!(!canary.exists(), "a name was run");
    client.batch_execute(&format!("DROP DATABASE {quoted} WITH (FORCE)")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_is_told_everything_by_its_environment_and_nothing_by_its_arguments() {
    let house = House::new(&Shape::empty()).await;
    let programs = house.home().join("programs");
    std::fs::create_dir(&programs).unwrap();
    let program = programs.join("psql");
    std::fs::write(&program, "#!/bin/sh\nprintf '%s\\n' \"$@\"\nenv | grep ^PG | sort\nexit 5\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let url = format!("{}?channel_binding=disable&connect_timeout=7", house.database.url());
    let mut command = house.command(&["--database", &url, "db", "psql", "-c", "SELECT $(id)"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    command.env("PGPASSFILE", "/none").env("PGHOSTADDR", "192.0.2.1").env("PGSERVICEFILE", "/none");
    let told = ended(command).await.expect(5);
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert_eq!(lines[..2], ["-c", "SELECT $(id)"]);
    let password = format!("PGPASSWORD={}", house.database.password());
    for line in [&password, "PGSSLMODE=disable", "PGCHANNELBINDING=disable", "PGCONNECT_TIMEOUT=7"] {
        assert!(lines[2..].contains(&line), "{line}:\n{}", told.stdout);
    }
    for name in ["PGPASSFILE", "PGHOSTADDR", "PGSERVICEFILE"] {
        assert!(!told.stdout.contains(name), "{}", told.stdout);
    }
}
