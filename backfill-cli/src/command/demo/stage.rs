//! The output of the demo: a sequence of headed scenes as text, or one JSON object at the end.

use std::path::PathBuf;

use backfill_report::ReportView;
use backfill_report::style::{Style, paint};
use backfill_report::untrusted::Untrusted;
use serde_json::{Map, Value};

use crate::args::Output;
use crate::output::print::{out, out_json};
use crate::output::screen_width;

/// Shows the demo scene by scene to people, or as one value at the end to programs.
#[derive(Debug)]
pub(super) struct Stage {
    form: Output,
    /// Whether people are shown the tables of the report.
    details: bool,
    facts: Map<String, Value>,
    /// The report as a page, until it is written.
    pub(super) page: Option<String>,
    /// The file that the page was written to.
    file: Option<PathBuf>,
}

impl Stage {
    pub(super) fn new(form: Output, details: bool) -> Self {
        Self { form, details, facts: Map::new(), page: None, file: None }
    }

    /// What people are told of a run.
    pub(super) fn told(&self, report: ReportView<'_>) -> String {
        if self.details { report.to_text(screen_width::of_stdout()) } else { report.to_paragraph() }
    }

    /// Remembers the file with the report as a page.
    pub(super) fn wrote_page(&mut self, file: PathBuf) {
        self.note("html_report", file.display().to_string());
        self.file = Some(file);
    }

    /// Names the file with the report as a page.
    pub(super) fn name_page(&self) {
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
            out(text);
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
