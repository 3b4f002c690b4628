//! Renders log lines as a table with one window per row.

use raw_store::LogLine;

use crate::instant::short;
use crate::table::Table;
use crate::width::Width;

/// Renders the windows of the log, one line each.
pub fn windows<'a>(lines: impl IntoIterator<Item = &'a LogLine>, width: Width) -> String {
    let mut table = Table::new(&["entity", "window", "status", "read#", "attempts#", "message"])
        .optional(&["attempts", "read"]);
    for line in lines {
        table.row([
            line.entity_name.to_string(),
            format!("{} .. {}", short(line.window.start()), short(line.window.end())),
            line.state.to_string(),
            line.metrics.records_read.to_string(),
            line.attempts.to_string(),
            line.error_message.as_deref().unwrap_or_default().to_owned(),
        ]);
    }
    table.fitted(width)
}
