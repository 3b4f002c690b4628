//! The output of the demo: a sequence of headed scenes as text, or one JSON object at the end.

use std::path::PathBuf;

use backfill_report::ReportView;
use backfill_report::style::{Style, paint};
use backfill_report::untrusted::Untrusted;
use serde_json::{Map, Value};

use crate::args::Output;
use crate::output::print::{out, out_json, say_lines};
use crate::output::screen_width;

/// Shows the demo scene by scene to people, or as one value at the end to programs.
#[derive(Debug)]
pub(super) struct Stage {
    form: Output,
    /// Whether people are shown the tables of the report.
    details: bool,
    /// Whether stdout is for the page alone, and people are shown the scenes on stderr.
    on_stderr: bool,
    facts: Map<String, Value>,
    /// The report as a page, until it is written.
    pub(super) page: Option<String>,
    /// The file that the page was written to.
    file: Option<PathBuf>,
    /// The image whose container would take the page with it.
    pub(super) image: Option<String>,
}

impl Stage {
    pub(super) fn new(form: Output, details: bool, on_stderr: bool) -> Self {
        Self { form, details, on_stderr, facts: Map::new(), page: None, file: None, image: None }
    }

    /// What people are told of a run.
    pub(super) fn told(&self, report: ReportView<'_>) -> String {
        let width = if self.on_stderr { screen_width::of_stderr() } else { screen_width::of_stdout() };
        if self.details { report.to_text(width) } else { report.to_paragraph() }
    }

    /// Remembers the file with the report as a page.
    pub(super) fn wrote_page(&mut self, file: PathBuf) {
        self.note("html_report", file.display().to_string());
        self.file = Some(file);
    }

    /// Names the file with the report as a page, or the command that writes one outside of the container.
    pub(super) fn name_page(&self) {
        if let Some(image) = &self.image {
            self.headline("The report, for a browser, as a file that does not end with the container:");
            let line = format!("docker run --rm {} demo --out - >report.html", Untrusted(image));
            self.show(&format!("  {}", paint(Style::Command, line)));
        }
        if let Some(file) = &self.file {
            self.headline("The report, for a browser:");
            self.show(&format!("  {}", Untrusted(&file.display().to_string())));
        }
    }

    /// Whether a person watches, who can be prompted.
    pub(super) fn is_for_people(&self) -> bool {
        self.form == Output::Text
    }

    /// Shows a line to people.
    pub(super) fn show(&self, text: &str) {
        if self.is_for_people() {
            if self.on_stderr { say_lines(text) } else { out(text) }
        }
    }

    /// Begins a scene.
    pub(super) fn headline(&self, text: &str) {
        self.show(&format!("\n{}", paint(Style::Heading, text)));
    }

    /// Keeps a fact for programs.
    pub(super) fn note(&mut self, name: &str, fact: impl Into<Value>) {
        self.facts.insert(name.to_owned(), fact.into());
    }

    /// Ends the demo, and writes the value for programs.
    pub(super) fn close(self) {
        if self.form == Output::Json {
            out_json(&Value::Object(self.facts));
        }
    }
}
