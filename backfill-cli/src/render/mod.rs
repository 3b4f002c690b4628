//! Results as text, Markdown or JSON. Only here is decided what anything looks like.

mod month;
mod report_json;
mod report_markdown;
mod report_text;
mod spoken;
mod table;
mod verification;
mod windows;

pub(crate) use month::{json as month_json, line as month_line};
pub(crate) use report_json::{
    json as report_json, line as line_json, run as run_json, totals as totals_json,
};
pub(crate) use report_markdown::markdown as report_markdown;
pub(crate) use report_text::text as report_text;
pub(crate) use spoken::spoken;
pub(crate) use table::Table;
pub(crate) use verification::{json as verification_json, text as verification_text};
pub(crate) use windows::windows;

use std::io::Write as _;

/// Writes a result to stdout. A reader that has gone away is no error.
pub(crate) fn out(text: &str) {
    let mut stdout = anstream::stdout().lock();
    drop(stdout.write_all(text.as_bytes()));
    if !text.ends_with('\n') {
        drop(stdout.write_all(b"\n"));
    }
    drop(stdout.flush());
}

/// Writes a result to stdout as indented JSON.
pub(crate) fn out_json(value: &serde_json::Value) {
    out(&format!("{value:#}"));
}

/// Says something to the person at the terminal: stderr. That nobody listens any more is no error.
pub(crate) fn say(text: &str) {
    drop(writeln!(anstream::stderr(), "{text}"));
}

/// Seconds with one decimal, or two below one second.
pub(crate) fn seconds(time: f64) -> String {
    if time < 1.0 { format!("{time:.2}") } else { format!("{time:.1}") }
}
