//! The real binary against the emulated company and a real PostgreSQL.
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test may panic, and its numbers are small"
)]

mod again;
mod attachments;
mod canary;
mod certificate;
mod colours;
mod completions;
mod console;
mod console_questions;
mod console_truth;
mod console_without;
mod consent;
mod demo;
mod doctor;
mod entities;
mod files;
mod grants;
mod house;
mod inputs;
#[cfg(feature = "keyring")]
mod keyring;
mod kills;
mod output;
mod reconcile;
mod report;
mod ledger;
mod lifeline;
mod mage;
mod probe;
mod programs;
mod prompts;
mod psql;
mod running_console;
mod runs;
mod secrecy;
mod settle;
mod shared;
mod terminal;
mod tls;
mod together;
mod triggers;
mod vaults;
mod verify;
mod views;
mod widths;
