//! Results as text, Markdown or JSON. Only here is decided what anything looks like.

mod alike;
mod findings;
mod html;
mod month;
mod report_html;
mod report_json;
mod report_markdown;
mod report_text;
mod duration;
mod table;
mod verification;
mod windows;

pub(crate) use duration::spoken;
pub(crate) use findings::{json as findings_json, lines as findings_lines};
pub(crate) use month::{json as month_json, line as month_line};
pub(crate) use report_html::html as report_html;
pub(crate) use report_json::{
    json as report_json, line as line_json, run as run_json, totals as totals_json,
};
pub(crate) use report_markdown::markdown as report_markdown;
pub(crate) use report_text::text as report_text;
pub(crate) use table::Table;
pub(crate) use verification::{json as verification_json, text as verification_text};
pub(crate) use windows::windows;

use backfill_core::Report;

use crate::output;
use crate::output::foreign::Foreign;
use crate::output::paint::{self, Style, paint};

/// A report, and what it is measured by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) report: &'a Report,
    /// Calls a month; `None` for any number.
    pub(crate) allowance: Option<u64>,
}

impl Shown<'_> {
    /// The share of a month's calls that the run has made, in percent.
    fn percent_of_allowance(self) -> Option<f64> {
        let calls = real(self.report.run.calls);
        self.allowance.map(|allowance| 100.0 * calls / real(allowance.max(1)))
    }

    /// From the run's start to its end, in seconds.
    fn seconds(self) -> Option<f64> {
        let run = &self.report.run;
        run.finished_at.map(|end| (end - run.started_at).as_seconds_f64())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn real(number: u64) -> f64 {
    number as f64
}

/// A share for people: as many decimals as it takes to tell it from nothing.
pub(crate) fn percent(share: f64) -> String {
    match share {
        0.0 => "0".to_owned(),
        ..0.01 => format!("{share:.4}"),
        ..1.0 => format!("{share:.2}"),
        _ => format!("{share:.1}"),
    }
}

/// Writes a result to stdout.
pub(crate) fn out(text: &str) {
    output::result(text);
}

/// Writes a result to stdout as indented JSON.
pub(crate) fn out_json(value: &serde_json::Value) {
    output::json(&format!("{value:#}"));
}

/// Writes a document to stdout: it has a form of its own, and no styles.
pub(crate) fn out_document(text: &str) {
    output::document(text);
}

/// Says something to the person at the terminal, in one line of stderr, whatever it was made of.
pub(crate) fn say(text: &str) {
    output::note(&paint::line(&Foreign(text).to_string()));
}

/// As [`say`], with the line in a style.
pub(crate) fn say_as(style: Option<Style>, text: &str) {
    match style {
        Some(style) => output::note(&paint(style, Foreign(text)).to_string()),
        None => say(text),
    }
}

/// Says something of our own to the person at the terminal, in as many lines as it has.
#[cfg_attr(
    not(feature = "demo"),
    expect(dead_code, reason = "only the demo has something to say in paragraphs")
)]
pub(crate) fn say_lines(text: &str) {
    output::note(text);
}

/// `1 record is`, `2 records are`.
pub(crate) fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// Seconds with one decimal, or two below one second.
pub(crate) fn seconds(time: f64) -> String {
    if time < 1.0 { format!("{time:.2}") } else { format!("{time:.1}") }
}
