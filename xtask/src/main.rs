//! `cargo xtask dist`: makes everything that is handed out of this repository, from one build of the program.
//!
//! ```text
//! cargo xtask dist [--out FOLDER] [--binary FILE] [tar] [deb] [rpm] [wheel] [source] [sbom]
//! ```
//!
//! Without formats it makes all of them. The same sources, toolchain and paths give the same bytes: names are sorted, owners
//! are root, and every time is `SOURCE_DATE_EPOCH`, or that of the last commit.

#![expect(clippy::disallowed_methods, reason = "cargo and SOURCE_DATE_EPOCH speak through the environment")]

mod archive;
mod cargo;
mod deb;
mod dist;
mod layout;
mod notices;
mod release;
mod rpm_package;
mod sbom;
mod source;
mod tree;
mod wheel;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((task, more)) if task == "dist" => dist::dist(more),
        _ => Err("usage: cargo xtask dist [--out FOLDER] [--binary FILE] [FORMAT…]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What goes wrong here ends the task with one line.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
