//! Runs cargo and other programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::release::Release;

/// What a program writes to stdout. Its stderr is shown; an exit code other than 0 is an error.
pub(crate) fn said(program: &str, words: &[&str]) -> Result<String> {
    let output = Command::new(program).args(words).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program} {} ended with {}", words.join(" "), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Where cargo writes.
pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

/// Builds the program: without symbols, and without the paths of this machine.
///
/// The C library is not linked in: a static glibc loads the modules that `/etc/nsswitch.conf` names, and crashes where they
/// are of another version.
pub(crate) fn build(release: &Release) -> Result<PathBuf> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cargo_home = cargo_home.unwrap_or_else(|| home.join(".cargo"));
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let flags = [
        std::env::var("RUSTFLAGS").unwrap_or_default(),
        "-Cstrip=symbols".to_owned(),
        remap(&cargo_home, "/cargo"),
        remap(&release.top, "/qbo-backfill"),
    ];
    // With a target of its own, the flags do not reach the programs that run during the build.
    let mut command = Command::new("cargo");
    command.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "backfill-cli",
        "--target",
        &release.target,
    ]);
    // What C files say with __FILE__.
    let c_flags = format!(
        "-ffile-prefix-map={}=/cargo -ffile-prefix-map={}=/qbo-backfill",
        cargo_home.display(),
        release.top.display()
    );
    let status = command
        .env("RUSTFLAGS", flags.join(" ").trim())
        .env("CFLAGS", c_flags)
        // One time for all versions: nothing compiled says a time, and a new one would compile the C sources once more.
        .env("SOURCE_DATE_EPOCH", "0")
        .status()?;
    if !status.success() {
        return Err(format!("cargo build ended with {status}").into());
    }
    Ok(target_folder().join(&release.target).join("release/qbo-backfill"))
}
