//! What the container files promise, read from the files: no daemon is needed.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// What `docker compose up` starts by itself; `mage` asks for its profile.
const STARTED: [&str; 3] = ["console", "pgadmin", "postgres"];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    let path = top().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn compose() -> Value {
    serde_saphyr::from_str(&read("docker-compose.yml")).unwrap()
}

/// Every service, by name.
fn services(compose: &Value) -> Vec<(&str, &Value)> {
    compose["services"].as_object().unwrap().iter().map(|(name, service)| (name.as_str(), service)).collect()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().map_or(&[][..], Vec::as_slice).iter().map(|one| one.as_str().unwrap()).collect()
}

/// The files that are mounted as secrets into a service, by their source.
fn secrets_of(service: &Value) -> Vec<&str> {
    let all = service["secrets"].as_array().map_or(&[][..], Vec::as_slice).iter();
    all.map(|secret| secret.as_str().or_else(|| secret["source"].as_str()).unwrap()).collect()
}

/// `name:1.2.3` or `name@sha256:…`: what can be pulled again tomorrow.
fn is_exact(image: &str) -> bool {
    let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
    image.contains("@sha256:")
        || (tag.starts_with(|c: char| c.is_ascii_digit()) && tag.matches('.').count() >= 1)
}

#[test]
fn the_database_its_page_and_the_console_start_by_themselves_and_mage_by_its_profile() {
    let compose = compose();
    let started = services(&compose).into_iter().filter(|(_, service)| service["profiles"].is_null());
    assert_eq!(started.map(|(name, _)| name).collect::<Vec<_>>(), STARTED);
    assert_eq!(compose["services"]["mage"]["profiles"], serde_json::json!(["mage"]));
    let console = &compose["services"]["console"];
    assert_eq!(console["build"]["target"], "runtime");
    // The worker is inside the console, unless it is told otherwise.
    // Not at 127.0.0.1, where pgAdmin and Mage are: browsers send cookies to every port of a name.
    let address = "http://qbo-backfill.localhost:9464";
    assert_eq!(texts(&console["command"]), ["console", "--listen", "0.0.0.0:9464", "--public-url", address]);
    assert!(
        texts(&compose["services"]["mage"]["volumes"]).iter().any(|volume| volume.starts_with("./mage/"))
    );
    let servers = compose["configs"]["servers"]["content"].as_str().unwrap();
    let servers: Value = serde_json::from_str(servers).unwrap();
    assert_eq!(servers["Servers"]["1"]["Host"], "postgres");
}

#[test]
fn every_service_is_confined() {
    let compose = compose();
    for (name, service) in services(&compose) {
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert!(texts(&service["security_opt"]).contains(&"no-new-privileges:true"), "{name}");
        let user = service["user"].as_str().unwrap_or_default();
        let number: u32 = user.split(':').next().unwrap_or_default().parse().unwrap_or_default();
        assert_ne!(number, 0, "{name} runs as root");
        assert!(!service["healthcheck"]["test"].is_null(), "{name} cannot be asked whether it is well");
        for key in ["privileged", "network_mode", "pid", "ipc", "devices", "userns_mode"] {
            assert!(service[key].is_null(), "{name} has {key}");
        }
        // Of one service, and named in the file with the reason.
        let may: &[&str] = if name == "pgadmin" { &["NET_BIND_SERVICE"] } else { &[] };
        assert_eq!(texts(&service["cap_add"]), may, "{name}");
        let mounts = texts(&service["volumes"]);
        assert!(mounts.iter().all(|mount| !mount.contains("docker.sock")), "{name} could start anything");
        for mount in mounts.iter().filter(|mount| mount.starts_with(['.', '/'])) {
            assert!(mount.ends_with(":ro"), "{name} can write to the repository: {mount}");
        }
    }
    assert_eq!(compose["services"]["console"]["read_only"], true);
}

#[test]
fn nothing_is_published_beyond_this_machine_and_all_meet_in_one_network() {
    let compose = compose();
    let mut published = BTreeSet::new();
    for (name, service) in services(&compose) {
        for port in texts(&service["ports"]) {
            let inside = port.strip_prefix("127.0.0.1:").unwrap_or_else(|| panic!("{name} opens {port}"));
            published.insert(inside.split(':').next().unwrap().to_owned());
        }
        // The long form would be an object, which `texts` refuses.
        assert_eq!(texts(&service["networks"]), ["books"], "{name}");
    }
    assert_eq!(published.iter().map(String::as_str).collect::<Vec<_>>(), ["5050", "5432", "6789", "9464"]);
    assert_eq!(compose["networks"].as_object().unwrap().len(), 1);
}

#[test]
fn every_volume_has_a_name_and_the_vault_does_not_lie_with_its_key() {
    let compose = compose();
    let named: BTreeSet<_> = compose["volumes"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut used = BTreeSet::new();
    for (name, service) in services(&compose) {
        for mount in texts(&service["volumes"]) {
            let source = mount.split(':').next().unwrap();
            if !source.starts_with("./") {
                assert!(named.contains(source), "{name} mounts {source}");
                used.insert(source);
            }
        }
    }
    assert_eq!(used, named);
    let mounts = texts(&compose["services"]["console"]["volumes"]);
    assert!(mounts.iter().any(|mount| mount.starts_with("vault:")));
    assert!(mounts.iter().any(|mount| mount.starts_with("vault-key:")));
}

#[test]
fn secrets_are_files_and_no_password_has_a_default() {
    let compose = compose();
    let text = read("docker-compose.yml");
    let files = compose["secrets"].as_object().unwrap();
    for (name, secret) in files {
        assert_eq!(secret["file"], format!("./secrets/{name}"));
    }
    for (name, service) in services(&compose) {
        for secret in secrets_of(service) {
            assert!(files.contains_key(secret), "{name} asks for {secret}, which is no file");
        }
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_else(|| panic!("{name}: {variable} is not a text"));
            let is_secret = ["PASSWORD", "SECRET", "TOKEN", "KEY"]
                .iter()
                .any(|word| variable.to_uppercase().contains(word));
            assert!(
                !is_secret || value.starts_with("/run/secrets/"),
                "{name}: {variable} belongs into a file"
            );
            let address = value.split_once("://").map_or("", |(_, rest)| rest);
            let account = address.split_once('@').map_or("", |(account, _)| account);
            assert!(!account.contains(':'), "{name}: {variable} holds a password");
        }
    }
    assert!(!text.contains(":-"), "a default value that nobody chose");
    assert_eq!(compose["services"]["postgres"]["environment"]["POSTGRES_HOST_AUTH_METHOD"], Value::Null);
    for file in [".gitignore", ".dockerignore"] {
        let ignored = read(file);
        let keeps_out = |line: &str| line == "/secrets/" || line == "*";
        assert!(
            ignored.lines().any(keeps_out) && !ignored.contains("!secrets"),
            "{file} lets secrets through"
        );
    }
}

#[test]
fn every_image_is_of_one_version() {
    let compose = compose();
    for (name, service) in services(&compose) {
        assert!(is_exact(service["image"].as_str().unwrap()), "{name}");
    }
    let dockerfile = read("Dockerfile");
    let mut stages = vec!["scratch"];
    let mut users = Vec::new();
    for line in dockerfile.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            ["FROM", image, "AS", stage] => {
                assert!(stages.contains(image) || is_exact(image), "{image}");
                stages.push(stage);
            }
            ["FROM", ..] => panic!("a stage without a name: {line}"),
            ["USER", user] => users.push(*user),
            ["ADD", ..] => panic!("ADD may download: {line}"),
            _ => {}
        }
    }
    for (name, service) in services(&compose).into_iter().filter(|(_, service)| !service["build"].is_null()) {
        assert!(stages.contains(&service["build"]["target"].as_str().unwrap()), "{name}");
        assert!(users.contains(&service["user"].as_str().unwrap()), "{name}");
    }
    let version = format!(":{}", env!("CARGO_PKG_VERSION"));
    for name in ["console", "mage"] {
        assert!(compose["services"][name]["image"].as_str().unwrap().ends_with(&version), "{name}");
    }
    // The demo in a container prints a command with the name of its own image.
    let demo = format!("QBO_BACKFILL_DEMO_IMAGE=qbo-backfill{version}-demo\n");
    assert!(dockerfile.contains(&demo), "{demo}");
    for document in ["docs/containers.md", "docs/es/containers.md"] {
        assert!(
            read(document).contains(&format!("docker run --rm qbo-backfill{version}-demo demo --out -")),
            "{document}"
        );
    }
}

/// One file for every architecture: `docker buildx build --platform` decides, and nothing in the files.
#[test]
fn no_architecture_is_named_where_images_are_made() {
    for file in [
        "Dockerfile",
        "docker-compose.yml",
        "containers/build-static",
        "containers/stand-ins",
        "containers/debian-root",
    ] {
        // What the comments say of architectures is no instruction.
        for line in read(file).lines().filter(|line| !line.trim_start().starts_with('#')) {
            let named = ["amd64", "arm64", "x86_64", "aarch64", "platform"]
                .into_iter()
                .find(|name| line.contains(name));
            assert_eq!(named, None, "{file}: {line}");
        }
    }
}

#[test]
fn the_consoles_image_asks_with_its_own_program_and_holds_no_foreign_one() {
    let compose = compose();
    let console = &compose["services"]["console"];
    assert_eq!(texts(&console["healthcheck"]["test"]), ["CMD", "/usr/local/bin/qbo-backfill", "health"]);
    let dockerfile = read("Dockerfile");
    let runtime = dockerfile.split(" AS runtime").nth(1).unwrap().split("\nFROM ").next().unwrap();
    let copied = runtime.lines().filter(|line| line.starts_with("COPY"));
    assert!(copied.clone().all(|line| line.contains("--from=build ")), "{runtime}");
    assert_eq!(copied.count(), 4, "{runtime}");
}

/// PostgreSQL's image runs each script of the folder by itself, and none of those in folders below it.
#[test]
fn only_numbered_scripts_run_by_themselves() {
    for entry in top().join("sql").read_dir().unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let is_numbered = name.len() > 5 && name.as_bytes()[..4].iter().all(u8::is_ascii_digit);
        assert!(entry.file_type().unwrap().is_dir() || is_numbered, "{name} would run by itself");
    }
}

#[test]
fn the_build_sees_every_crate_and_what_they_compile_in() {
    let seen = read(".dockerignore");
    let manifest: Value = toml::from_str(&read("Cargo.toml")).unwrap();
    for part in
        texts(&manifest["workspace"]["members"]).into_iter().chain(["sql", "Cargo.toml", "Cargo.lock"])
    {
        assert!(seen.lines().any(|line| line == format!("!{part}")), "{part}");
    }
}

/// The script of the repository in a folder of its own, with these programs before all others.
fn dev(folder: &Path, words: &[&str]) -> Output {
    std::fs::copy(top().join("dev"), folder.join("dev")).unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", folder.join("bin").display());
    Command::new("sh").arg(folder.join("dev")).args(words).env("PATH", path).output().unwrap()
}

#[test]
fn missing_secret_files_are_named_with_the_command_that_makes_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let docker = folder.join("bin/docker");
    std::fs::create_dir(folder.join("bin")).unwrap();
    let answers =
        "#!/bin/sh\n[ \"$2\" = version ] && exec echo 2.40.0\necho \"[$COMPOSE_PROFILES]\" \"$@\"\n";
    std::fs::write(&docker, answers).unwrap();
    std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();

    let refused = dev(folder, &["up"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(said, "dev: secrets/postgres is missing; make it and try again: ./dev secrets\n");
    assert!(refused.stdout.is_empty(), "something was started");

    assert!(dev(folder, &["secrets"]).status.success());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.join("secrets")), 0o700);
    let mut values = BTreeSet::new();
    for name in compose()["secrets"].as_object().unwrap().keys() {
        let file = folder.join("secrets").join(name);
        let value = std::fs::read_to_string(&file).unwrap();
        assert!(value.len() == 48 && value.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
        assert_eq!(mode(&file), 0o644, "{name}: the container's user is another one");
        values.insert(value);
    }
    assert_eq!(values.len(), 5, "two secrets are the same");

    // What is there stays, and one that is missing is made.
    std::fs::remove_file(folder.join("secrets/mage")).unwrap();
    let again = dev(folder, &["secrets"]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), "made secrets/mage\n");
    let postgres = std::fs::read_to_string(folder.join("secrets/postgres")).unwrap();
    assert!(values.contains(&postgres), "a password was replaced");

    let started = dev(folder, &["up", "mage"]);
    assert_eq!(String::from_utf8(started.stdout).unwrap(), "[mage] compose up --detach --wait --build\n");
}

/// A copy of `dev` with its secrets, and a Docker that says this about its Compose (nothing: it has none).
fn up(compose: Option<&str>) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("dev", &read("dev"));
    for name in ["postgres", "pgadmin", "qbo-console-key", "mage", "mage-sessions"] {
        write(&format!("secrets/{name}"), "false");
    }
    let version = compose.map_or_else(|| "exit 1".to_owned(), |version| format!("echo {version}"));
    write("bin/docker", &format!("#!/bin/sh\ncase $2 in version) {version} ;; *) echo started ;; esac\n"));
    let path = format!("{}:/usr/bin:/bin", folder.path().join("bin").display());
    Command::new("sh").arg(folder.path().join("dev")).arg("up").env("PATH", path).output().unwrap()
}

#[test]
fn without_a_compose_that_knows_the_file_dev_up_says_so_in_one_line() {
    for (compose, part) in
        [(None, "no Compose plugin"), (Some("2.20.3"), "2.20.3 is too old"), (Some("v2.3.4"), "2.3.4")]
    {
        let ended = up(compose);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), said.lines().count()), (Some(1), 1), "{compose:?}: {said}");
        assert!(said.starts_with("dev: ") && said.contains(part) && said.contains("2.23.1"), "{said}");
    }
    for compose in ["2.23.1", "v2.29.7-desktop.1", "2.40.0+ds1", "5.0.0"] {
        let ended = up(Some(compose));
        assert_eq!(String::from_utf8(ended.stdout).unwrap().trim(), "started", "{compose}");
    }
}
