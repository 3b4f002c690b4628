//! Shows people what the store in memory holds, and keeps what is only for them.

mod activity;
mod coverage;
mod entries;
mod event;
mod history;
mod issues;
mod rows;
mod runs;
