//! The package for Debian and its relatives: an `ar` archive of two tar archives, written here.

use std::fmt::Write as _;

use serde_json::Value;

use crate::layout::Program;
use crate::release::Release;
use crate::tree::Tree;
use crate::{Result, archive};

/// The holder of the licence, with an address that says that there is none.
const NOBODY_YET: &str = "The qbo-backfill authors <nobody@qbo-backfill.invalid>";

/// The name of the package's file, and its bytes.
pub(crate) fn package(release: &Release, program: &Program, files: &Tree) -> Result<(String, Vec<u8>)> {
    let architecture = match release.architecture() {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => return Err(format!("no name of Debian is known for {other}").into()),
    };
    let mut control = Tree::default();
    control.add("control", control_file(release, program, files, architecture)?);
    let parts = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", archive::gz(&archive::tar(&control, release.time)?)?),
        ("data.tar.gz", archive::gz(&archive::tar(files, release.time)?)?),
    ];
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, part) in parts {
        let head =
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", release.time, 0, 0, "100644", part.len());
        bytes.extend(head.into_bytes());
        bytes.extend(&part);
        // Every part begins at an even place.
        if part.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    Ok((format!("qbo-backfill_{}_{architecture}.deb", release.version), bytes))
}

fn control_file(release: &Release, program: &Program, files: &Tree, architecture: &str) -> Result<String> {
    let size: usize = files.files().map(|(_, file)| file.bytes.len().div_ceil(1024)).sum();
    let mut text = format!(
        "Package: qbo-backfill\nVersion: {}\nArchitecture: {architecture}\nMaintainer: {}\n\
         Section: database\nPriority: optional\nInstalled-Size: {size}\n",
        release.version,
        maintainer(&release.metadata)
    );
    if let Some((major, minor)) = program.oldest_glibc {
        writeln!(text, "Depends: libc6 (>= {major}.{minor}), libgcc-s1")?;
    }
    text.push_str(
        "Recommends: ca-certificates\nSuggests: postgresql\n\
         Description: copies the history of a QuickBooks Online company into PostgreSQL\n \
         Every record as QuickBooks sent it, and a log that states for each window of time what was read and\n \
         whether it is complete. Without a configured database it starts a private PostgreSQL from the installed\n \
         server programs. A unit for systemd is included, and not enabled.\n",
    );
    Ok(text)
}

/// Who is named as the maintainer: the first author that the command's manifest names with an address, or else the holder of the
/// licence. That one has no address, and RFC 2606 reserves `.invalid` for what must never resolve; the field wants one by its form
/// (Debian Policy 5.6.2). Problems are reported where `SECURITY.md` says, which the package contains.
fn maintainer(metadata: &Value) -> &str {
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let command = packages.iter().find(|package| package["name"] == "backfill-cli");
    let authors = command.and_then(|package| package["authors"].as_array()).map_or(&[][..], Vec::as_slice);
    let with_address = |author: &&str| author.ends_with('>') && author.contains(" <");
    authors.iter().filter_map(Value::as_str).find(with_address).unwrap_or(NOBODY_YET)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::maintainer;

    #[test]
    fn the_maintainer_is_an_author_of_the_manifest_or_has_an_address_that_cannot_exist() {
        let of = |authors| json!({"packages": [{"name": "backfill-cli", "authors": authors}]});
        assert_eq!(maintainer(&of(json!(["One", "Two <two@host.test>"]))), "Two <two@host.test>");
        for authors in [json!([]), json!(["One"])] {
            let named = of(authors);
            let (name, address) = maintainer(&named).split_once(" <").unwrap();
            assert!(address.ends_with(".invalid>"), "{address}");
            assert!(include_str!("../../LICENSE-MIT").contains(name), "{name}");
        }
    }
}
