//! The manual for man(1): a page for each command, made of the same texts as its help.

use std::path::Path;

use clap::CommandFactory as _;
use serde_json::json;

use crate::args::{Cli, Output};
use crate::output::exit::{DONE, Exit};
use crate::output::print::{out, out_json};

/// Writes the pages into a folder, and creates the folder if it is missing.
pub(crate) fn manual(folder: &Path, form: Output) -> Result<u8, Exit> {
    let refused = |error: std::io::Error| {
        let what = format!("the manual cannot be written into {}: {error}", folder.display());
        Exit::usage(what, "choose a folder that you may write to")
    };
    std::fs::create_dir_all(folder).map_err(refused)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(refused)?;
    let folder = folder.display().to_string();
    match form {
        Output::Text => out(&format!("the manual is in {folder}: man {folder}/qbo-backfill.1\n")),
        Output::Json => out_json(&json!({"folder": folder})),
    }
    Ok(DONE)
}
