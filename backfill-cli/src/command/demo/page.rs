//! Writes the demo's report as a page for a browser, which stays when the demo ends.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::own::OwnDatabase;
use super::stage::Stage;
use crate::args::DemoArgs;
use crate::command::document::STDOUT;
use crate::output::exit::{Exit, unwritten};
use crate::output::print::out_document;

/// Where the page is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The file that the command line names.
    Named(PathBuf),
    Stdout,
    /// Beside the data of a demo that is kept, and replaced by the demo that replaces the data.
    Beside(PathBuf),
    /// A new file in the system's temporary folder.
    Temporary,
    /// Nowhere: the files of this image's container end with it.
    Image(String),
}

impl Place {
    /// What the command line says, or else the place for a demo that keeps this database, or none.
    pub(super) fn of(arguments: &DemoArgs, own: Option<&OwnDatabase>) -> Self {
        match (&arguments.out, own, &arguments.image) {
            (Some(file), _, _) if file == Path::new(STDOUT) => Self::Stdout,
            (Some(file), _, _) => Self::Named(file.clone()),
            (None, Some(own), _) => Self::Beside(own.page()),
            (None, None, Some(image)) => Self::Image(image.clone()),
            (None, None, None) => Self::Temporary,
        }
    }

    /// Writes the page that the stage holds.
    pub(super) fn write(self, stage: &mut Stage) -> Result<(), Exit> {
        let Some(page) = stage.page.take() else { return Ok(()) };
        let file = match self {
            Self::Stdout => {
                out_document(&page);
                return Ok(());
            }
            Self::Image(image) => {
                stage.image = Some(image);
                return Ok(());
            }
            Self::Named(file) | Self::Beside(file) => {
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
