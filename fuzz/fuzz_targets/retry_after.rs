//! See `retry_after` in the library.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| qbo_backfill_fuzz::retry_after::target(data));

#[cfg(not(fuzzing))]
fn main() {}
