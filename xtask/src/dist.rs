//! The task `dist`: builds the program once, and writes each format, then the checksums of all.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::release::Release;
use crate::{Result, archive, cargo, deb, layout, rpm_package, sbom, source, wheel};

/// What can be made.
const FORMATS: [&str; 6] = ["tar", "deb", "rpm", "wheel", "source", "sbom"];

/// What the command line asks for.
struct Wish {
    out: PathBuf,
    /// A program that is built already.
    binary: Option<PathBuf>,
    formats: Vec<String>,
}

pub(crate) fn dist(words: &[String]) -> Result<()> {
    let wish = read(words)?;
    let release = Release::of_repository()?;
    fs::create_dir_all(&wish.out)?;
    let wants = |format: &str| wish.formats.iter().any(|one| one == format);
    if FORMATS[..4].iter().any(|format| wants(format)) {
        let binary = match &wish.binary {
            Some(binary) => binary.clone(),
            None => cargo::build(&release)?,
        };
        let program = layout::Program::of(&release, &binary)?;
        let name = format!("qbo-backfill-{}-{}", release.version, release.target);
        if wants("tar") {
            let files = layout::portable(&program).below(&name);
            write(&wish.out, &format!("{name}.tar.gz"), &archive::tar_gz(&files, release.time)?)?;
        }
        let installed = layout::installed(&program);
        if wants("deb") {
            let (name, bytes) = deb::package(&release, &program, &installed)?;
            write(&wish.out, &name, &bytes)?;
        }
        if wants("rpm") {
            let (name, bytes) = rpm_package::package(&release, &program, &installed)?;
            write(&wish.out, &name, &bytes)?;
        }
        if wants("wheel") {
            let (name, bytes) = wheel::wheel(&release, &program)?;
            write(&wish.out, &name, &bytes)?;
        }
    }
    if wants("sbom") {
        let name = format!("qbo-backfill-{}.cdx.json", release.version);
        write(&wish.out, &name, sbom::document(&release)?.as_bytes())?;
    }
    if wants("source") {
        let name = format!("qbo-backfill-{}-source", release.version);
        let files = source::files(&release)?.below(&name);
        write(&wish.out, &format!("{name}.tar.gz"), &archive::tar_gz(&files, release.time)?)?;
    }
    let page = page(&release.version, &fs::read_to_string(release.top.join("CHANGELOG.md"))?)?;
    fs::write(wish.out.join("RELEASE.md"), page)?;
    checksums(&wish.out)
}

/// The text of the release's page: how to install, and what `CHANGELOG.md` says of this version.
fn page(version: &str, changes: &str) -> Result<String> {
    let named = |heading: &str| heading.split([' ', ':']).any(|word| word == version);
    let sections = changes.split("\n## ").skip(1);
    let section = sections.filter_map(|section| section.split_once('\n')).find(|(heading, _)| named(heading));
    let (_, section) = section.ok_or_else(|| format!("CHANGELOG.md has no section on {version}"))?;
    let text = include_str!("../files/release.md").replace("VERSION", version);
    Ok(text.replace("CHANGES", section.trim()))
}

fn read(words: &[String]) -> Result<Wish> {
    let mut wish = Wish { out: cargo::target_folder().join("dist"), binary: None, formats: Vec::new() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--out" => wish.out = value()?.into(),
            "--binary" => wish.binary = Some(value()?.into()),
            format if FORMATS.contains(&format) => wish.formats.push(format.to_owned()),
            other => return Err(format!("unknown word {other}; formats are {}", FORMATS.join(", ")).into()),
        }
    }
    if wish.formats.is_empty() {
        wish.formats = FORMATS.map(str::to_owned).to_vec();
    }
    Ok(wish)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    fs::write(folder.join(name), bytes)?;
    println!("{name}  {} KiB", bytes.len() / 1024);
    Ok(())
}

/// Writes `SHA256SUMS` over every file of the folder, in the form that `sha256sum --check` reads.
fn checksums(folder: &Path) -> Result<()> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "SHA256SUMS" && name != "RELEASE.md" && entry.file_type()?.is_file() {
            lines.push(format!("{}  {name}\n", hex(&Sha256::digest(fs::read(entry.path())?))));
        }
    }
    lines.sort_by(|one, other| one[64..].cmp(&other[64..]));
    fs::write(folder.join("SHA256SUMS"), lines.concat())?;
    println!("SHA256SUMS");
    Ok(())
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn the_page_has_the_changes_of_its_version_alone() {
        let changes = "# Changes\n\n## Unreleased: 0.2.0\n\nNew.\n\n## 0.1.0\n\nOld.\n";
        let (new, old) = (page("0.2.0", changes).unwrap(), page("0.1.0", changes).unwrap());
        assert!(
            new.contains("New.") && !new.contains("Old.") && new.starts_with("# qbo-backfill 0.2.0\n"),
            "{new}"
        );
        assert!(old.contains("Old.") && !old.contains("New."), "{old}");
        assert!(page("0.3.0", changes).is_err());
    }
}
