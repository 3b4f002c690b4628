//! The licences of everything that is compiled into the program.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Result;
use crate::release::Release;

/// How the files begin that hold a package's licence.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT"];

/// The packages that the program is compiled of, the project's own left out, sorted by name and version.
pub(crate) fn dependencies(release: &Release) -> Result<Vec<&Value>> {
    let words = [
        "tree",
        "--locked",
        "--package",
        "backfill-cli",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let tree = crate::cargo::said("cargo", &[&words[..], &["--target", &release.target]].concat())?;
    let used: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?.strip_prefix('v')?))
        })
        .collect();
    let packages = release.metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let mut found: Vec<&Value> = packages
        .iter()
        .filter(|package| !package["source"].is_null())
        .filter(|package| used.contains(&(text(package, "name").as_str(), text(package, "version").as_str())))
        .collect();
    found.sort_by_key(|package| (text(package, "name"), text(package, "version")));
    Ok(found)
}

/// One text: each package with its licence in a word, then the texts that it brings.
pub(crate) fn text(release: &Release) -> Result<String> {
    let mut all =
        String::from("What qbo-backfill is compiled of, besides its own sources, and the licence of each.\n");
    for package in dependencies(release)? {
        let of = |key: &str| package[key].as_str().unwrap_or("not stated");
        write!(all, "\n{}\n{} {}\nlicence: {}\n", "=".repeat(80), of("name"), of("version"), of("license"))?;
        if let Some(authors) = package["authors"].as_array().filter(|authors| !authors.is_empty()) {
            let names: Vec<_> = authors.iter().filter_map(Value::as_str).collect();
            writeln!(all, "authors: {}", names.join(", "))?;
        }
        let folder = Path::new(of("manifest_path")).parent().ok_or("a manifest is in no folder")?;
        let mut files: Vec<_> = fs::read_dir(folder)?.filter_map(std::result::Result::ok).collect();
        files.sort_by_key(fs::DirEntry::file_name);
        for file in files {
            let name = file.file_name().to_string_lossy().to_uppercase();
            if NAMES.iter().any(|start| name.starts_with(start)) && file.file_type()?.is_file() {
                write!(
                    all,
                    "{}\n\n{}\n",
                    "-".repeat(80),
                    String::from_utf8_lossy(&fs::read(file.path())?).trim()
                )?;
            }
        }
    }
    Ok(all)
}
