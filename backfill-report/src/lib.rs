//! Renders what a backfill has done: a run's [`Report`](backfill_core::Report) as text, Markdown, JSON or one HTML page,
//! and the results of the other commands as tables and JSON.
//!
//! Start with [`ReportView`]: it combines a report, which `backfill_core` rebuilds from the log, with the monthly limit
//! of calls, and has a method for each format.
//!
//! Text for a terminal carries its styles as zero-width marks ([`style`]); [`style::Colours::apply`] turns them into
//! ANSI escape sequences or drops them. [`untrusted::Untrusted`] shows text from a database, a file or a server, so
//! that it cannot move the cursor or forge a line.
//!
//! ```no_run
//! # async fn show(report: &backfill_core::Report) {
//! use backfill_report::ReportView;
//! use backfill_report::style::Colours;
//! use backfill_report::width::Width;
//!
//! let view = ReportView { report, monthly_calls: Some(500_000) };
//! println!("{}", Colours::Dropped.apply(&view.to_text(Width::UNLIMITED)));
//! std::fs::write("report.html", view.to_html()).expect("the folder can be written to");
//! # }
//! ```

mod view;
mod text;
mod paragraph;
mod markdown;
pub mod json;
mod html;
mod certificate;
pub mod confirmation;
mod summary;
pub mod attachments;
pub mod findings;
pub mod probe;
pub mod reconciliation;
pub mod verification;
pub mod windows;
mod window_group;
pub mod call_month;
pub mod table;
pub mod fold;
pub mod width;
pub mod style;
pub mod untrusted;
pub mod calendar;
pub mod days;
pub mod instant;
pub mod number;
mod hex;

pub use certificate::CertificateView;
pub use hex::hex;
pub use html::COLOURS;
pub use summary::custom_fields_line;
pub use view::ReportView;
