//! The entries that a probe adds to the catalogue file of the profile.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use backfill_core::Catalog;
use tempfile::NamedTempFile;
use time::Date;

use crate::config::settings::Settings;
use crate::config::trusted::read_settings;
use crate::output::exit::{Exit, unwritten};
use crate::output::print::say;

/// The catalogue file if the profile names none.
const DEFAULT: &str = "qbo-catalog.toml";

/// The catalogue file that is extended.
#[derive(Debug)]
pub(super) struct CatalogFile {
    pub(super) path: PathBuf,
    /// Whether the profile names it already.
    pub(super) is_in_use: bool,
}

impl CatalogFile {
    /// The file that the profile names, or else one beside the settings file.
    pub(super) fn of(settings: &Settings) -> Self {
        match (&settings.catalog_file, &settings.file) {
            (Some(path), _) => Self { path: path.clone(), is_in_use: true },
            (None, Some(file)) => Self { path: file.with_file_name(DEFAULT), is_in_use: false },
            (None, None) => Self { path: DEFAULT.into(), is_in_use: false },
        }
    }

    /// The text of the file; empty if there is none.
    pub(super) fn read(&self) -> Result<String, Exit> {
        if !self.path.exists() {
            return Ok(String::new());
        }
        let text = read_settings(&self.path).map_err(|error| {
            Exit::usage(
                format!("{}: {error}; nothing was changed", self.path.display()),
                error.remedy(&self.path),
            )
        })?;
        Ok(text.to_string())
    }

    /// A catalogue with the entries of this text of the file.
    pub(super) fn extends(&self, catalog: &Catalog, text: &str) -> Result<Catalog, Exit> {
        catalog.clone().extended(text).map_err(|error| {
            Exit::usage(
                format!("{}: {error}; nothing was changed", self.path.display()),
                "correct the catalogue file",
            )
        })
    }

    /// Appends entries to the text of the file. A later entry of the same entity changes only the keys that it gives, so what a user
    /// wrote stays, and so do the permissions of the file.
    pub(super) fn append(&self, before: &str, entries: &str, day: Date) -> Result<(), Exit> {
        let failed = |error: &std::io::Error| unwritten(&self.path, error);
        let text = format!(
            "{before}\n# Parts of requests that QuickBooks refused on {day}, as `qbo-backfill probe --apply` found out.\n{entries}"
        );
        self.extends(&Catalog::bundled(), &text)?;
        // A symbolic link stays; the file behind it is replaced.
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let mut file = NamedTempFile::new_in(folder(&path)).map_err(|error| failed(&error))?;
        if let Ok(old) = path.metadata() {
            file.as_file().set_permissions(old.permissions()).map_err(|error| failed(&error))?;
        }
        file.write_all(text.as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(|error| failed(&error))?;
        file.persist(&path).map_err(|error| failed(&error.error))?;
        Ok(())
    }

    /// Says how the file comes to use, unless it is in use.
    pub(super) fn tell_use(&self) {
        if !self.is_in_use {
            say(&format!(
                "to use it, add this line to the profile of the settings file: catalog = \"{}\"",
                self.path.display()
            ));
        }
    }
}

/// The folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
