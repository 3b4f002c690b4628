//! What every artefact states: version, platform and time.

use std::path::PathBuf;

use serde_json::Value;

use crate::{Result, cargo};

#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) version: String,
    /// The platform, as rustc names it.
    pub(crate) target: String,
    /// The one time of all files, in seconds since 1970.
    pub(crate) time: u64,
    /// What `cargo metadata` says for this platform.
    pub(crate) metadata: Value,
    pub(crate) top: PathBuf,
}

impl Release {
    /// Reads the repository that contains the working folder.
    pub(crate) fn of_repository() -> Result<Self> {
        let about = cargo::said("rustc", &["-vV"])?;
        let target =
            about.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
        let words = ["metadata", "--format-version", "1", "--locked", "--filter-platform", target];
        let metadata: Value = serde_json::from_str(&cargo::said("cargo", &words)?)?;
        let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
        let command = packages.iter().find(|package| package["name"] == "backfill-cli");
        let version = command.and_then(|package| package["version"].as_str());
        let version = version.ok_or("there is no package backfill-cli here")?.to_owned();
        let top = metadata["workspace_root"].as_str().ok_or("cargo metadata names no workspace")?.into();
        let time = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(seconds) => seconds.parse()?,
            Err(_) => cargo::said("git", &["log", "-1", "--format=%ct"])?.trim().parse()?,
        };
        Ok(Self { version, target: target.to_owned(), time, metadata, top })
    }

    /// The architecture, as rustc names it.
    pub(crate) fn architecture(&self) -> &str {
        self.target.split('-').next().unwrap_or_default()
    }
}
