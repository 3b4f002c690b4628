//! Text tables for the terminal. A column's name decides its style.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, TableStyle};

use crate::style::{Style, paint, state};
use crate::untrusted::Untrusted;

/// A line under the header, and no other lines.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));

/// A table of text.
#[derive(Debug)]
pub struct Table {
    table: comfy_table::Table,
    columns: Vec<Column>,
}

/// The alignment and style of a column, derived from its name.
#[derive(Debug)]
struct Column {
    is_number: bool,
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
    fn of(name: &str) -> Self {
        let shown = match name.trim_end_matches('#') {
            "status" | "severity" | "it is" => Shown::AsState,
            "failed" | "missing" | "changed" => Shown::Unless0(Style::Bad),
            "prov." | "unavail." | "quarant." | "quarantined" | "open" | "gone" | "unknown"
            | "unread windows" => Shown::Unless0(Style::Doubtful),
            _ => Shown::Plainly,
        };
        Self { is_number: name.ends_with('#'), shown }
    }

    fn cell(&self, text: &str) -> String {
        // Many cells contain untrusted text.
        let text = Untrusted(text).to_string();
        match &self.shown {
            Shown::AsState => state(&text).to_string(),
            Shown::Unless0(style) if text != "0" && !text.is_empty() => paint(*style, text).to_string(),
            _ => text,
        }
    }
}

impl Table {
    /// Creates a table with these columns. Columns whose name ends in `#` hold numbers and are right-aligned.
    pub fn new(columns: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
        let head = |column: &&str| paint(Style::Heading, Untrusted(column.trim_end_matches('#'))).to_string();
        table.set_header(columns.iter().map(head));
        Self { table, columns: columns.iter().map(|name| Column::of(name)).collect() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = self.columns.iter().zip(cells);
        let cells: Vec<_> = cells.map(|(column, cell)| column.cell(&cell)).collect();
        self.table.add_row(cells);
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut table = self.table.clone();
        let numbers = self.columns.iter().enumerate().filter(|(_, column)| column.is_number);
        for (number, _) in numbers {
            if let Some(column) = table.column_mut(number) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in table.to_string().lines() {
            // Padding at the end of a line would only be copied with it.
            let line = line.trim_end();
            if line.starts_with('─') {
                writeln!(f, "{}", paint(Style::Aside, line))?;
            } else {
                writeln!(f, "{line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Colours;

    #[test]
    fn styles_change_no_width() {
        let mut table = Table::new(&["window", "status", "failed#", "message"]);
        table.row(["a", "completed", "0", "x"].map(str::to_owned));
        table.row(["b", "failed", "12", "y\u{1b}[31m\u{2064}"].map(str::to_owned));
        let text = table.to_string();
        let plain = Colours::Dropped.apply(&text);
        let lines: Vec<_> = plain.lines().collect();
        assert_eq!(lines[0], "  window   status      failed   message");
        assert_eq!(lines[2], "  a        completed        0   x");
        assert_eq!(lines[3], "  b        failed          12   y?[31m?");
        let colours = Colours::Shown.apply(&text);
        assert!(colours.contains("\u{1b}[32mcompleted\u{1b}[0m        0"), "{colours:?}");
        assert!(colours.contains("\u{1b}[1m\u{1b}[31m12\u{1b}[0m"), "{colours:?}");
        assert_eq!(anstream::adapter::strip_str(&colours).to_string(), plain);
    }
}
