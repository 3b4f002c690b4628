//! Text tables that fit the screen. A column's name decides its style.

mod column;
mod layout;

use std::fmt::{self, Write as _};

use self::column::Column;
use self::layout::{GAP, Layout, MARGIN, Measured, span};
use crate::fold::{fold, lines};
use crate::style::{Style, paint};
use crate::untrusted::Untrusted;
use crate::width::{Width, columns};

/// The narrowest space for a cell beside the name of its column, in a list.
const NARROWEST: usize = 12;

/// A table of text.
///
/// On a screen that is too narrow for it, long text is broken within its cell, then the columns that were named as
/// [`optional`](Self::optional), or that hold only zeros, are left out, and a line below the table names them. If the others still do not fit, each row
/// becomes a list with every column.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    /// The columns that a narrow screen leaves out, the first one first.
    optional: Vec<usize>,
}

impl Table {
    /// Creates a table with these columns. Columns whose name ends in `#` hold numbers and are right-aligned.
    pub fn new(columns: &[&str]) -> Self {
        let columns = columns.iter().map(|name| Column::of(name)).collect();
        Self { columns, rows: Vec::new(), optional: Vec::new() }
    }

    /// Names the columns that a narrow screen leaves out, in the order in which they are left out.
    #[must_use]
    pub fn optional(mut self, names: &[&str]) -> Self {
        let find = |name: &&str| self.columns.iter().position(|column| column.name == *name);
        self.optional = names.iter().filter_map(find).collect();
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // Many cells contain untrusted text.
        let cells = self.columns.iter().zip(cells).map(|(_, cell)| Untrusted(&cell).to_string());
        self.rows.push(cells.collect());
    }

    /// Renders the table so that no line is wider than the screen.
    #[must_use]
    pub fn fitted(&self, width: Width) -> String {
        let mut text = String::new();
        let measured: Vec<_> = (0..self.columns.len()).map(|at| self.measure(at)).collect();
        match Layout::choose(&measured, &self.optional, width) {
            Layout::Columns { shown, left_out } => {
                self.draw(&mut text, &shown);
                if !left_out.is_empty() {
                    text.push_str(&self.left_out(&left_out, width));
                }
            }
            Layout::List => self.list(&mut text, width),
        }
        text
    }

    fn measure(&self, at: usize) -> Measured {
        let column = &self.columns[at];
        let cells = self.rows.iter().filter_map(|row| row.get(at));
        let widest = cells.map(|cell| columns(cell)).chain([columns(&column.name)]).max();
        Measured {
            width: widest.unwrap_or_default(),
            is_prose: column.is_prose,
            is_blank: self.rows.iter().all(|row| row.get(at).is_none_or(String::is_empty)),
            is_zero: self.is_zero(at),
        }
    }

    /// Whether a column of numbers has only zeros.
    fn is_zero(&self, at: usize) -> bool {
        let is_zero = |row: &Vec<String>| row.get(at).is_some_and(|cell| cell == "0");
        self.columns[at].is_number && !self.rows.is_empty() && self.rows.iter().all(is_zero)
    }

    /// The line that names the columns that are left out.
    fn left_out(&self, columns: &[usize], width: Width) -> String {
        let name = |at: &usize| {
            let zeros = if self.is_zero(*at) { " (all 0)" } else { "" };
            format!("{}{zeros}", self.columns[*at].name)
        };
        let names: Vec<_> = columns.iter().map(name).collect();
        let note = format!("  not shown at this width: {}", names.join(", "));
        format!("{}\n", paint(Style::Aside, fold(&note, width)))
    }

    /// Draws these columns, each with its width.
    fn draw(&self, text: &mut String, shown: &[(usize, usize)]) {
        let heads = |at: usize| (self.columns[at].name.clone(), Some(Style::Heading));
        self.draw_row(text, shown, heads);
        let _ = writeln!(text, "{}", paint(Style::Aside, "─".repeat(span(shown))));
        for row in &self.rows {
            self.draw_row(text, shown, |at| {
                let cell = row.get(at).cloned().unwrap_or_default();
                let style = self.columns[at].style(&cell);
                (cell, style)
            });
        }
    }

    /// Draws one row, in as many lines as its longest cell needs.
    fn draw_row(
        &self,
        text: &mut String,
        shown: &[(usize, usize)],
        cell: impl Fn(usize) -> (String, Option<Style>),
    ) {
        let broken = |(at, width): &(usize, usize)| {
            let (cell, style) = cell(*at);
            let lines = if columns(&cell) > *width { lines(&cell, *width) } else { vec![cell] };
            (*at, *width, style, lines)
        };
        let cells: Vec<_> = shown.iter().map(broken).collect();
        let height = cells.iter().map(|(.., lines)| lines.len()).max().unwrap_or_default();
        for number in 0..height {
            let mut line = String::new();
            // Padding is only written before a cell, because at the end of a line it would only be copied with it.
            let mut pending = MARGIN;
            for (at, width, style, lines) in &cells {
                let part = lines.get(number).map_or("", String::as_str);
                let padding = width.saturating_sub(columns(part));
                let is_number = self.columns[*at].is_number;
                pending += if is_number { padding } else { 0 };
                if !part.is_empty() {
                    line.extend(std::iter::repeat_n(' ', pending));
                    pending = 0;
                    let _ = match style {
                        Some(style) => write!(line, "{}", paint(*style, part)),
                        None => write!(line, "{part}"),
                    };
                }
                pending += GAP + if is_number { 0 } else { padding };
            }
            let _ = writeln!(text, "{line}");
        }
    }

    /// Writes every row as a list of its columns, and leaves out those in which it says nothing.
    fn list(&self, text: &mut String, width: Width) {
        let label = self.columns.iter().map(|column| columns(&column.name)).max().unwrap_or_default();
        let limit = width.limit().unwrap_or(usize::MAX);
        let start = MARGIN + label + GAP;
        // Beside a long name there may be no room for a word.
        let (start, is_beside) =
            if start + NARROWEST <= limit { (start, true) } else { (MARGIN + GAP, false) };
        for (number, row) in self.rows.iter().enumerate() {
            if number > 0 {
                text.push('\n');
            }
            for (column, cell) in self.columns.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
                for name in lines(&column.name, limit - MARGIN) {
                    let _ = write!(text, "{:MARGIN$}{}", "", paint(Style::Heading, name));
                    text.push_str(if is_beside { "" } else { "\n" });
                }
                let mut indent = if is_beside { start - MARGIN - columns(&column.name) } else { start };
                for line in lines(cell, limit - start) {
                    let _ = match column.style(cell) {
                        Some(style) => writeln!(text, "{:indent$}{}", "", paint(style, line)),
                        None => writeln!(text, "{:indent$}{line}", ""),
                    };
                    indent = start;
                }
            }
        }
    }
}

impl fmt::Display for Table {
    /// Renders the table without a limit of width.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fitted(Width::UNLIMITED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Colours;

    fn plain(table: &Table, columns: usize) -> String {
        Colours::Dropped.apply(&table.fitted(Width::of_screen(columns))).into_owned()
    }

    fn runs() -> Table {
        let mut table = Table::new(&["run", "status", "failed#", "calls#", "note", "message"])
            .optional(&["note", "calls"]);
        let message = "QuickBooks refused the company: its subscription has ended";
        table.row(["20260101T000000Z-1a2b", "failed", "12", "345", "", message].map(str::to_owned));
        table.row(["20260102T000000Z-1a2b", "completed", "0", "7", "", ""].map(str::to_owned));
        table
    }

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

    #[test]
    fn a_message_is_broken_before_a_column_is_left_out() {
        let expected = "  run                     status      failed   calls   message
────────────────────────────────────────────────────────────────────────────────
  20260101T000000Z-1a2b   failed          12     345   QuickBooks refused the
                                                       company: its subscription
                                                       has ended
  20260102T000000Z-1a2b   completed        0       7
";
        assert_eq!(plain(&runs(), 80), expected);
    }

    #[test]
    fn columns_are_left_out_by_name_before_rows_become_lists() {
        let narrow = plain(&runs(), 72);
        assert!(narrow.ends_with("  not shown at this width: calls\n"), "{narrow}");
        let list = plain(&runs(), 40);
        assert!(list.starts_with("  run       20260101T000000Z-1a2b\n  status    failed\n"), "{list}");
        assert!(list.contains("\n  message   QuickBooks refused the\n            company: its"), "{list}");
        assert!(list.contains("\n\n  run       20260102T000000Z-1a2b\n  status    completed\n"), "{list}");
        assert!(list.contains("calls     345"), "{list}");
    }

    #[test]
    fn no_line_is_wider_than_any_screen() {
        let mut wide = Table::new(&["pipeline", "windows#", "status", "from .. to", "notes", "reason"])
            .optional(&["from .. to", "notes"]);
        for number in 0..20_usize {
            let words = "a record of the past whose 中文 bytes PostgreSQL refused ".repeat(number);
            let long = "x".repeat(number * 5);
            let name = format!("qb_{}_backfill", "recurring_transactions".repeat(1 + number / 12));
            wide.row([name, "9".repeat(number), "failed".into(), "2025".into(), words, long]);
        }
        for columns_of_screen in (20..=200).chain([1000]) {
            let text = plain(&wide, columns_of_screen);
            let widest = text.lines().map(columns).max().unwrap();
            assert!(widest <= columns_of_screen, "{columns_of_screen}: {widest}\n{text}");
        }
    }
}
