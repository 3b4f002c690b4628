//! The console over loopback, with invented data.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod acts;
mod browser;
mod door;
mod hostile_company;
mod invented;
mod log;
mod looks;
mod pages;
mod records;
mod served;
mod untrusted;
