//! The report as one HTML page.

mod bars;
mod calendar;
pub(crate) mod escaped;
mod page;
pub(crate) mod table;

/// The style sheet of every page. It loads no file, font or picture.
pub(crate) const STYLE: &str = include_str!("report.css");

/// The content security policy: a browser may load nothing.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
