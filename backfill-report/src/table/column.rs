//! A column of a table: its name decides how its cells look.

use crate::style::Style;
use crate::untrusted::Untrusted;

/// The name, alignment and style of a column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) is_number: bool,
    /// Whether its cells are sentences, which may be broken into several lines.
    pub(super) is_prose: bool,
    shown: Shown,
}

/// The style of a cell.
#[derive(Debug)]
enum Shown {
    Plainly,
    /// In the style of the state that it names.
    AsState,
    /// In this style, unless it is zero.
    Unless0(Style),
}

impl Column {
    pub(super) fn of(name: &str) -> Self {
        let is_number = name.ends_with('#');
        let name = name.trim_end_matches('#');
        let shown = match name {
            "status" | "severity" | "it is" => Shown::AsState,
            "failed" | "missing" | "changed" => Shown::Unless0(Style::Bad),
            "prov." | "unavail." | "quarant." | "quarantined" | "open" | "gone" | "unknown"
            | "unread windows" => Shown::Unless0(Style::Doubtful),
            _ => Shown::Plainly,
        };
        // The columns whose name is empty hold sentences, too.
        let is_prose = matches!(
            name,
            "message" | "detail" | "notes" | "note" | "reason" | "pipelines" | "from .. to" | "window" | ""
        );
        Self { name: Untrusted(name).to_string(), is_number, is_prose, shown }
    }

    /// The style of a cell with this text.
    pub(super) fn style(&self, text: &str) -> Option<Style> {
        match self.shown {
            Shown::Plainly => None,
            Shown::AsState => Style::of_state(text.trim()),
            Shown::Unless0(style) => (text != "0" && !text.is_empty()).then_some(style),
        }
    }
}
