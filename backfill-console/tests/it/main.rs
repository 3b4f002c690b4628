//! The console over loopback, with invented data.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod browser;
mod door;
mod invented;
mod pages;
mod served;
