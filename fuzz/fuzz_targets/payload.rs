//! See `payload` in the library.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| qbo_backfill_fuzz::payload::target(data));

#[cfg(not(fuzzing))]
fn main() {}
