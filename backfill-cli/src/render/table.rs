use crate::foreign::Foreign;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, TableStyle};

/// One line under the header; everything else is done by columns.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));

/// A table of text.
#[derive(Debug)]
pub(crate) struct Table {
    table: comfy_table::Table,
    numbers: Vec<usize>,
}

impl Table {
    /// A table with these columns; those that end in `#` hold numbers, and stand right.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(columns.iter().map(|column| column.trim_end_matches('#')));
        let numbers = columns.iter().enumerate().filter(|(_, column)| column.ends_with('#'));
        Self { table, numbers: numbers.map(|(n, _)| n).collect() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // Much of what stands in tables was named by somebody else.
        self.table.add_row(cells.into_iter().map(|cell| Foreign(&cell).to_string()));
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut table = self.table.clone();
        for number in &self.numbers {
            if let Some(column) = table.column_mut(*number) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        // Padding at the end of a line serves nobody who copies it.
        for line in table.to_string().lines() {
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
