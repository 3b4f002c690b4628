//! Writes a document of a command, such as a report, to stdout or into a file.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use backfill_report::style::Colours;
use backfill_report::untrusted;
use clap::ValueEnum as _;
use failpoint::point;
use serde_json::{Value, json};

use crate::args::{Output, ReportFormat};
use crate::output::exit::{Exit, unwritten};
use crate::output::print::{out, out_document, out_json, say};

/// A document in the requested format.
pub(super) struct Document<'a> {
    /// What it is, as in "the report".
    pub(super) noun: &'a str,
    /// The members that name it in JSON.
    pub(super) named: Value,
    pub(super) format: ReportFormat,
    pub(super) content: Content,
}

/// The contents of a document.
pub(super) enum Content {
    /// Text with marks of style.
    Styled(String),
    Text(String),
    Json(Value),
}

impl Document<'_> {
    /// Writes the document to a file, or to stdout.
    pub(super) fn deliver(self, file: Option<&Path>, output: Output) -> Result<(), Exit> {
        // As in other programs, `-` means stdout.
        let Some(file) = file.filter(|file| *file != Path::new("-")) else {
            self.show(output);
            return Ok(());
        };
        let text = match &self.content {
            Content::Styled(text) => Colours::Dropped.apply(text).into_owned(),
            Content::Text(text) => text.clone(),
            Content::Json(value) => untrusted::in_json(&format!("{value:#}\n")).into_owned(),
        };
        point!("report.write");
        write(file, &text).map_err(|error| unwritten(file, &error))?;
        point!("report.written");
        if output == Output::Json {
            out_json(&self.named_with("file", &file.display().to_string()));
        } else {
            say(&format!("the {} is in {}", self.noun, file.display()));
        }
        Ok(())
    }

    fn show(&self, output: Output) {
        match (&self.content, output) {
            (Content::Json(value), _) => out_json(value),
            (Content::Styled(text) | Content::Text(text), Output::Json) => {
                let text = Colours::Dropped.apply(text);
                out_json(&self.named_with("text", &text));
            }
            (Content::Styled(text), Output::Text) => out(text),
            (Content::Text(text), Output::Text) => out_document(text),
        }
    }

    /// The members that name the document, with its format and another one.
    fn named_with(&self, key: &str, value: &str) -> Value {
        let mut named = self.named.clone();
        named["format"] = word(self.format).into();
        named[key] = json!(value);
        named
    }
}

/// The format as `--format` spells it.
fn word(format: ReportFormat) -> String {
    format.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Writes a file and waits until it is on disk, because some systems report a full disk only then.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let mut opened = File::create(file)?;
    opened.write_all(text.as_bytes())?;
    // A pipe or a terminal cannot be synchronised to disk.
    if opened.metadata()?.is_file() { opened.sync_all() } else { Ok(()) }
}
