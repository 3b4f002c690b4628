//! How fast each target goes through long inputs of one kind, in MB/s, at a quarter of a megabyte and at a whole one: what
//! is a fourth as fast at four times the length is quadratic. Shapes that a target refuses at once are fast.
//!
//! ```sh
//! cargo run --release --manifest-path fuzz/Cargo.toml --example speed
//! ```

use std::time::Instant;

use qbo_backfill_fuzz::TARGETS;

const LENGTHS: [usize; 2] = [1 << 18, 1 << 20];

fn main() {
    for target in TARGETS {
        for shape in target.shapes {
            let speeds = LENGTHS.map(|length| speed(target.run, &shape.of_bytes(length)));
            show(target.name, shape.name, speeds);
        }
    }
}

/// The best of three, in MB/s.
#[expect(clippy::disallowed_methods, reason = "here time is what is asked for")]
#[expect(clippy::cast_precision_loss, reason = "a megabyte is exact")]
fn speed(run: fn(&[u8]), input: &[u8]) -> f64 {
    let seconds = (0..3).map(|_| {
        let begun = Instant::now();
        run(input);
        begun.elapsed().as_secs_f64()
    });
    let best = seconds.fold(f64::INFINITY, f64::min);
    input.len() as f64 / best / 1e6
}

#[expect(clippy::print_stdout, reason = "this is what it is for")]
fn show(target: &str, shape: &str, [short, long]: [f64; 2]) {
    println!("{target:<12} {shape:<26} {short:>9.1} {long:>9.1} MB/s");
}
