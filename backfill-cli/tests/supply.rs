//! What comes along with the command, and what is said about it, as tests: how many packages, of what, for which Rust.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Packages that are compiled into the command on Linux, its own six included.
///
/// Each one is trusted with a company's books. A change that needs more of them raises this number, in a commit that says
/// what for.
const MOST_PACKAGES: usize = 271;

/// The platform that they are counted for.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// One of each is enough, and these are the others.
const SECOND_ONES: [(&str, &[&str]); 3] = [
    ("TLS is rustls with aws-lc", &["openssl", "openssl-sys", "native-tls", "boring", "ring", "mbedtls"]),
    (
        "the runtime is tokio",
        &["async-std", "smol", "async-executor", "async-io", "async-global-executor", "monoio"],
    ),
    ("the HTTP client is reqwest", &["ureq", "isahc", "curl", "surf", "attohttpc"]),
];

#[test]
fn the_command_is_made_of_no_more_packages_than_were_agreed_on() {
    let packages = packages();
    let count = packages.len();
    assert!(count <= MOST_PACKAGES, "{count} packages, and {MOST_PACKAGES} were agreed on");
    assert!(count + 10 > MOST_PACKAGES, "{count} packages: lower the number that was agreed on");
}

#[test]
fn there_is_one_tls_one_runtime_and_one_http_client() {
    let packages = packages();
    let names: Vec<_> = packages.iter().filter_map(|package| package.split(' ').next()).collect();
    for (reason, unwanted) in SECOND_ONES {
        for name in unwanted {
            assert!(!names.contains(name), "{name} is in the tree, and {reason}");
        }
    }
    for single in ["rustls", "tokio", "hyper", "reqwest", "tokio-postgres", "serde", "time"] {
        assert_eq!(names.iter().filter(|name| **name == single).count(), 1, "{single}");
    }
}

#[test]
fn no_dependency_asks_for_a_newer_rust_than_we_do_and_everybody_is_told_the_same() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let ours = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", PLATFORM];
    let metadata: Value = serde_json::from_str(&cargo(&arguments)).unwrap();
    for package in metadata["packages"].as_array().unwrap() {
        if let Some(theirs) = package["rust_version"].as_str() {
            let name = &package["name"];
            assert!(version(theirs) <= version(ours), "{name} needs Rust {theirs}, and we say {ours}");
        }
    }
    for (file, words) in [
        ("README.md", format!("({ours} or newer)")),
        ("README.es.md", format!("({ours} o más nuevo)")),
        ("CONTRIBUTING.md", format!("Rust {ours}")),
        ("examples/fleet/Cargo.toml", format!("rust-version = \"{ours}\"")),
        ("fuzz/Cargo.toml", format!("rust-version = \"{ours}\"")),
    ] {
        assert!(read(file).contains(&words), "{file} does not say {words:?}");
    }
    let dockerfile = read("Dockerfile");
    let theirs = dockerfile.split("FROM rust:").nth(1).and_then(|rest| rest.split('-').next()).unwrap();
    assert!(version(theirs) >= version(ours), "Dockerfile builds with Rust {theirs}, and we need {ours}");
}

#[test]
fn whoever_finds_a_hole_is_told_where_to_say_it_and_what_is_promised() {
    let security = read("SECURITY.md");
    for heading in [
        "## Report a problem",
        "## Supported versions",
        "## What is promised",
        "## What is not promised",
        "## How secrets are kept",
    ] {
        assert!(security.contains(heading), "SECURITY.md has no section {heading:?}");
    }
    let version = env!("CARGO_PKG_VERSION").rsplit_once('.').expect("a version has three parts").0;
    assert!(security.contains(&format!("| {version}.x |")), "SECURITY.md does not speak of {version}.x");
}

/// `1.91` and `1.91.0` are the same.
fn version(text: &str) -> [u32; 3] {
    let mut parts = text.split('.').map(|part| part.parse().expect("a number"));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// Name and version of all that is compiled into the command.
fn packages() -> BTreeSet<String> {
    let tree = cargo(&[
        "tree",
        "--locked",
        "--package",
        "backfill-cli",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--target",
        PLATFORM,
        "--format",
        "{p}",
    ]);
    let package = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    tree.lines().filter(|line| !line.is_empty()).map(package).collect()
}

fn read(file: &str) -> String {
    let path = top().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(top()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}
