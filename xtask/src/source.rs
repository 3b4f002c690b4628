//! The sources with every crate that they need, so that they build without a network.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::release::Release;
use crate::tree::Tree;
use crate::{Result, cargo};

pub(crate) fn files(release: &Release) -> Result<Tree> {
    let mut tree = Tree::default();
    let listed = cargo::said("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let path = release.top.join(name);
        if path.is_file() {
            tree.add_file(name, &path)?;
        } else if path.is_dir() {
            // A link to a folder of the repository, such as raw-store/sql.
            add_folder(&mut tree, name, &path)?;
        }
    }
    let vendor = cargo::target_folder().join("vendor");
    if vendor.exists() {
        std::fs::remove_dir_all(&vendor)?;
    }
    let mut command = Command::new("cargo");
    command.args(["vendor", "--locked", "--quiet", "--versioned-dirs"]).arg(&vendor).stdout(Stdio::null());
    if !command.status()?.success() {
        return Err("cargo vendor failed".into());
    }
    add_folder(&mut tree, "vendor", &vendor)?;
    let settings = std::fs::read_to_string(release.top.join(".cargo/config.toml"))?;
    let vendored =
        "\n[source.crates-io]\nreplace-with = \"vendored\"\n\n[source.vendored]\ndirectory = \"vendor\"\n";
    tree.add(".cargo/config.toml", format!("{settings}{vendored}"));
    Ok(tree)
}

fn add_folder(tree: &mut Tree, name: &str, folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let below = format!("{name}/{}", entry.file_name().to_str().ok_or("a file's name is not UTF-8")?);
        if entry.path().is_dir() {
            add_folder(tree, &below, &entry.path())?;
        } else {
            tree.add_file(below, &entry.path())?;
        }
    }
    Ok(())
}
