//! Writes the tables of the HTML report, which become one card per row on a narrow screen.

use std::fmt::Write as _;

use super::escaped::Escaped;

/// Writes a table whose first column names the row.
pub(crate) fn push_table(page: &mut String, class: &str, columns: &[&str], rows: &[(String, Vec<String>)]) {
    let _ = write!(page, "<div class=\"frame\"><table class=\"{class}\"><thead><tr>");
    let number = |column: &str| if column == "message" || column == "status" { "" } else { " class=\"n\"" };
    for (at, column) in columns.iter().enumerate() {
        let _ = write!(page, "<th scope=\"col\"{}>{column}</th>", if at == 0 { "" } else { number(column) });
    }
    page.push_str("</tr></thead><tbody>");
    for (name, cells) in rows {
        let sum = if name == "all" { " class=\"sum\"" } else { "" };
        let _ = write!(page, "<tr{sum}><th scope=\"row\">{}</th>", Escaped(name));
        for (column, cell) in columns.iter().skip(1).zip(cells) {
            let class = if *column == "message" { " class=\"wide\"" } else { number(column) };
            let _ = write!(page, "<td{class} data-label=\"{column}\">{}</td>", Escaped(cell));
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div>\n");
}
