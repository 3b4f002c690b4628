//! The shape of the workspace, as tests: which crate may know which, and what the tree must not hold.

mod modules;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use self::modules::Crate;

/// The heading in ARCHITECTURE.md above the table of allowed arrows.
const TABLE: &str = "## Who may know whom";

/// Longer than this, nobody reads it before opening the code.
const MOST_LINES: usize = 199;

#[test]
fn every_arrow_between_crates_is_in_the_table_of_the_architecture() {
    let allowed = allowed();
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps", "--locked"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let crates: Vec<_> = packages.iter().map(name).collect();
    assert_eq!(crates.len(), allowed.len(), "the table has a line for every crate and for nothing else");

    for package in packages {
        let from = name(package);
        let may = allowed.get(&from).unwrap_or_else(|| panic!("the table has no line for {from}"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = name(dependency);
            // A test may use the emulator and the throwaway database, whatever crate it tests.
            // And it may switch on a feature of the crate itself.
            let free = dependency["kind"] == "dev" && (to == "fixtures" || to == from);
            if crates.contains(&to) && !free {
                assert!(may.contains(&to), "{from} must not know {to}");
            }
        }
    }
}

#[test]
fn the_core_without_features_knows_no_http_client_and_no_database_driver() {
    let tree = cargo(&[
        "tree",
        "-p",
        "backfill-core",
        "-e",
        "normal",
        "--no-default-features",
        "--locked",
        "--prefix",
        "none",
    ]);
    let names: Vec<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"qbo-client") && names.contains(&"raw-store"), "not a tree of the core:\n{tree}");
    for unwanted in ["reqwest", "hyper", "tokio-postgres", "rustls"] {
        assert!(!names.contains(&unwanted), "backfill-core without features depends on {unwanted}");
    }
}

#[test]
fn there_is_one_http_client_and_no_openssl() {
    let lock = read("Cargo.lock");
    let count = |name: &str| lock.lines().filter(|line| *line == format!("name = \"{name}\"")).count();
    assert_eq!(count("reqwest"), 1);
    assert_eq!(count("rustls"), 1);
    for unwanted in ["openssl", "openssl-sys", "native-tls"] {
        assert_eq!(count(unwanted), 0, "{unwanted} is in the tree");
    }
}

/// Crates whose files still use each other in circles. The line of a crate goes with its last circle.
const FILES_NOT_YET: [&str; 1] = ["fixtures"];

#[test]
fn no_two_files_of_a_crate_use_each_other() {
    check(&FILES_NOT_YET, Crate::circles);
}

/// The same for the folders and files directly below `src`.
#[test]
fn no_two_rooms_of_a_crate_use_each_other() {
    check(&[], Crate::circles_of_rooms);
}

/// Looks for circles in every crate, and for crates that are named as not being free of them although they are.
fn check(not_yet: &[&str], circles: fn(&Crate) -> Vec<String>) {
    let mut wrong = Vec::new();
    for name in allowed().into_keys() {
        let circles = circles(&Crate::read(&top().join(&name).join("src")));
        let found = circles.iter().map(|circle| format!("{name}: {circle}"));
        if !not_yet.contains(&&*name) {
            wrong.extend(found);
        } else if circles.is_empty() {
            wrong.push(format!("{name} is free of circles: take it off the list"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_architecture_can_be_read_in_one_sitting() {
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines <= MOST_LINES, "ARCHITECTURE.md has {lines} lines");
}

/// The table of ARCHITECTURE.md: a crate, and the crates of the workspace that it may depend on.
fn allowed() -> BTreeMap<String, Vec<String>> {
    let text = read("ARCHITECTURE.md");
    let (_, section) = text.split_once(TABLE).expect("the architecture has the table");
    let rows = section.lines().skip(1).take_while(|line| !line.starts_with("## "));
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    rows.filter_map(|row| {
        let (crate_cell, may_cell) = row.strip_prefix("| `")?.split_once("` |")?;
        Some((crate_cell.to_owned(), quoted(may_cell)))
    })
    .collect()
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    let path = top().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(top()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}
