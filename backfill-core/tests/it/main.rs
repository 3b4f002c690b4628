//! All tests of the engine in one program: whole backfills of the emulated company.
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic, and its numbers are small"
)]

mod backfill;
mod bench;
mod by_count;
mod drift;
mod entities;
mod forgotten;
mod odd;
mod reconcile;
mod refusals;
mod settle;
mod silence;
mod spoilt;
mod verify;
mod volumetry;
mod worker;
