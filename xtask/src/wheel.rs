//! The wheel: `pip install` brings the program and the bridge to Mage, and needs neither Rust nor a path.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::Result;
use crate::layout::Program;
use crate::release::Release;
use crate::tree::Tree;

/// The name of the wheel, and its bytes.
pub(crate) fn wheel(release: &Release, program: &Program) -> Result<(String, Vec<u8>)> {
    let version = &release.version;
    let tag = format!("py3-none-{}", platform(release, program)?);
    let mut files = Tree::default();
    for entry in std::fs::read_dir(release.top.join("mage/qbo_backfill_mage"))? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "py") {
            let name = file.file_name().and_then(std::ffi::OsStr::to_str).ok_or("a name is not UTF-8")?;
            files.add(format!("qbo_backfill_mage/{name}"), std::fs::read(&file)?);
        }
    }
    // What pip puts beside the interpreter, on the PATH.
    files.add_program(format!("qbo_backfill-{version}.data/scripts/qbo-backfill"), program.binary.clone());
    let info = format!("qbo_backfill-{version}.dist-info");
    let readme = std::fs::read_to_string(release.top.join("mage/README.md"))?;
    files.add(
        format!("{info}/METADATA"),
        format!(
            "Metadata-Version: 2.4\nName: qbo-backfill\nVersion: {version}\n\
             Summary: Copies the history of a QuickBooks Online company into PostgreSQL; with a bridge to Mage\n\
             License-Expression: MIT OR Apache-2.0\nRequires-Python: >=3.8\n\
             Description-Content-Type: text/markdown\n\n{readme}"
        ),
    );
    files.add(
        format!("{info}/WHEEL"),
        format!("Wheel-Version: 1.0\nGenerator: qbo-backfill xtask\nRoot-Is-Purelib: false\nTag: {tag}\n"),
    );
    files.add(format!("{info}/licenses/THIRD-PARTY-LICENSES.txt"), program.notices.as_bytes());
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        files.add_file(format!("{info}/licenses/{name}"), &release.top.join(name))?;
    }
    let record = record(&files, &info)?;
    files.add(format!("{info}/RECORD"), record);
    Ok((format!("qbo_backfill-{version}-{tag}.whl"), zipped(&files, release.time)?))
}

/// The platform, as Python's packages name it: which C library a wheel needs is part of its name.
fn platform(release: &Release, program: &Program) -> Result<String> {
    let architecture = release.architecture();
    match (release.target.contains("-linux-"), program.oldest_glibc) {
        (true, Some((major, minor))) => Ok(format!("manylinux_{major}_{minor}_{architecture}")),
        (true, None) => Ok(format!("musllinux_1_2_{architecture}")),
        (false, _) => Err(format!("wheels for {} are not made", release.target).into()),
    }
}

/// The list of all files with their digests, which has no digest of itself.
fn record(files: &Tree, info: &str) -> Result<String> {
    let mut text = String::new();
    for (path, file) in files.files() {
        writeln!(text, "{path},sha256={},{}", base64(&Sha256::digest(&file.bytes)), file.bytes.len())?;
    }
    writeln!(text, "{info}/RECORD,,")?;
    Ok(text)
}

/// Base64 for addresses, without padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number =
            three.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            text.push(char::from(LETTERS[(number >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

fn zipped(files: &Tree, time: u64) -> Result<Vec<u8>> {
    let time = time::OffsetDateTime::from_unix_timestamp(i64::try_from(time)?)?;
    let (year, month) = (u16::try_from(time.year())?, u8::from(time.month()));
    let time = DateTime::from_date_and_time(
        year,
        month,
        time.day(),
        time.hour(),
        time.minute(),
        time.second() & !1,
    )?;
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, file) in files.files() {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(time)
            .unix_permissions(file.mode);
        archive.start_file(path, options)?;
        archive.write_all(&file.bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn digests_are_written_as_wheels_want_them() {
        for (bytes, text) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("\u{3ff}", "z78")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
