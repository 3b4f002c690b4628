//! The folders where container engines and systemd mount secrets.

use std::path::{Path, PathBuf};

use crate::config::settings::Settings;

/// The folder where container engines mount secrets.
const CONTAINER_SECRETS: &str = "/run/secrets";

/// The folders of mounted secrets, systemd's first.
fn folders(settings: &Settings) -> impl Iterator<Item = &Path> {
    [settings.credentials.as_deref(), Some(Path::new(CONTAINER_SECRETS))].into_iter().flatten()
}

/// The mounted file of this name: a Docker secret or a systemd credential.
pub(crate) fn mounted(settings: &Settings, name: &str) -> Option<PathBuf> {
    folders(settings).map(|folder| folder.join(name)).find(|file| file.exists())
}

/// Whether a file lies in a folder of mounted secrets.
pub(crate) fn is_mounted(settings: &Settings, file: &Path) -> bool {
    folders(settings).any(|folder| file.starts_with(folder))
}
