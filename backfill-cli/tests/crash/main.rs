//! The real binary, killed, frozen, cut off and refused; and what it leaves behind. Failure model, section 3 A.
//!
//! A failure prints how to repeat it. What costs time has its number in the environment, see CONTRIBUTING.md.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says how often what happened"
)]

#[path = "../e2e/house.rs"]
#[expect(dead_code, reason = "shared with the stories end to end")]
mod house;

mod freezes;
mod kills;
mod network;
mod oracle;
mod points;
mod repro;
mod server;
mod steps;
mod tokens;
