//! Writes the demo's report as a page for a browser, which stays when the demo ends.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use super::own::OwnDatabase;
use super::stage::Stage;
use crate::output::exit::{Exit, unwritten};

/// Where the page is written.
#[derive(Debug)]
pub(super) enum Place {
    /// Beside the data of a demo that is kept, and replaced by the demo that replaces the data.
    Beside(PathBuf),
    /// A new file in the system's temporary folder.
    Temporary,
}

impl Place {
    /// The place for a demo that keeps this database, or none.
    pub(super) fn of(own: Option<&OwnDatabase>) -> Self {
        own.map_or(Self::Temporary, |own| Self::Beside(own.page()))
    }

    /// Writes the page that the stage holds.
    pub(super) fn write(self, stage: &mut Stage) -> Result<(), Exit> {
        let Some(page) = stage.page.take() else { return Ok(()) };
        let file = match self {
            Self::Beside(file) => {
                fs::write(&file, page).map_err(|error| unwritten(&file, &error)).map(|()| file)
            }
            Self::Temporary => temporary(&page).map_err(|error| unwritten(&std::env::temp_dir(), &error)),
        }?;
        stage.wrote_page(file);
        Ok(())
    }
}

fn temporary(page: &str) -> io::Result<PathBuf> {
    let mut file = tempfile::Builder::new().prefix("qbo-demo-").suffix(".html").tempfile()?;
    file.write_all(page.as_bytes())?;
    let (_, path) = file.keep()?;
    Ok(path)
}
