//! Writes a document of a command, such as a report, to stdout or into a file.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use backfill_report::style::Colours;
use backfill_report::untrusted;
use backfill_report::width::Width;
use clap::ValueEnum as _;
use failpoint::point;
use serde_json::{Value, json};

use crate::args::{Output, ReportArgs, ReportFormat};
use crate::output::exit::{Exit, unwritten};
use crate::output::print::{out, out_document, out_json, say};
use crate::output::screen_width;

/// The name of a file that means stdout, as in other programs.
pub(super) const STDOUT: &str = "-";

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
        let Some(file) = file.filter(|file| *file != Path::new(STDOUT)) else {
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

/// The format that the arguments of `report` ask for: `--format`, or else the end of the file's name; `None` if neither says
/// one. A name that ends in another format is refused, because the file would not be what its name says.
pub(super) fn wanted_format(arguments: &ReportArgs) -> Result<Option<ReportFormat>, Exit> {
    if arguments.format.is_some() {
        return Ok(arguments.format);
    }
    let Some(extension) = arguments.out.as_deref().and_then(Path::extension) else { return Ok(None) };
    match extension.to_string_lossy().to_ascii_lowercase().as_str() {
        "md" | "markdown" => Ok(Some(ReportFormat::Md)),
        "json" => Ok(Some(ReportFormat::Json)),
        "html" | "htm" => Ok(Some(ReportFormat::Html)),
        "txt" | "text" => Ok(Some(ReportFormat::Text)),
        other => Err(Exit::usage(
            format!("a report cannot be written as .{other}; nothing was written"),
            "end the name in .md, .json, .html or .txt, or say with --format what the file is to hold",
        )),
    }
}

/// The width of text in this file: a file's text does not depend on a screen.
pub(super) fn width_of(file: Option<&Path>) -> Width {
    match file {
        Some(file) if file != Path::new(STDOUT) => Width::UNLIMITED,
        _ => screen_width::of_stdout(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(out: Option<&str>, format: Option<ReportFormat>) -> Result<Option<ReportFormat>, Exit> {
        wanted_format(&ReportArgs { run: None, format, out: out.map(Into::into), certificate: false })
    }

    #[test]
    fn a_file_holds_what_its_name_says_unless_a_format_is_named() {
        for (name, format) in [
            ("report.md", ReportFormat::Md),
            ("a.b/year.JSON", ReportFormat::Json),
            ("report.html", ReportFormat::Html),
            ("report.htm", ReportFormat::Html),
            ("report.txt", ReportFormat::Text),
        ] {
            assert_eq!(wanted(Some(name), None).unwrap(), Some(format), "{name}");
            assert_eq!(wanted(Some(name), Some(ReportFormat::Md)).unwrap(), Some(ReportFormat::Md), "{name}");
        }
        for nameless in [None, Some("-"), Some("report"), Some("/dev/stdout"), Some(".html")] {
            assert_eq!(wanted(nameless, None).unwrap(), None, "{nameless:?}");
        }
        let refused = wanted(Some("report.pdf"), None).unwrap_err();
        assert!(refused.what.contains(".pdf") && refused.next.contains(".html"), "{refused:?}");
        assert!(wanted(Some("report.pdf"), Some(ReportFormat::Text)).is_ok());
    }
}
