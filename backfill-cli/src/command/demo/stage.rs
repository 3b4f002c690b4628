//! The output of the demo: a sequence of headed scenes as text, or one JSON object at the end.

use backfill_report::style::{Style, paint};
use serde_json::{Map, Value};

use crate::args::Output;
use crate::output::print::{out, out_json};

/// Shows the demo scene by scene to people, or as one value at the end to programs.
#[derive(Debug)]
pub(super) struct Stage {
    form: Output,
    facts: Map<String, Value>,
}

impl Stage {
    pub(super) fn new(form: Output) -> Self {
        Self { form, facts: Map::new() }
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
