//! Every file of the corpus through its target, mutations of each, and long inputs of one kind.
//!
//! A failure prints what to call its target with again, and the seed of its mutation: `FUZZ_SEED=n cargo test`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a corpus that cannot be read fails, and says what failed"
)]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use fastrand::Rng;
use qbo_backfill_fuzz::mutation::mutated;
use qbo_backfill_fuzz::{TARGETS, Target};

/// Mutations of each target, over all files of its corpus.
const MUTATIONS: usize = 2000;

/// The seed where none is given.
const SEED: u64 = 4711;

/// Long enough for what grows with the square of its input to be a hundred times too large.
const LONG: usize = 1 << 20;

/// The files of a target's corpus in the order of their names.
fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    assert!(!paths.is_empty(), "{} has no corpus", target.name);
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Runs a target; a panic says on what.
fn run(target: &Target, input: &[u8], origin: &str) {
    let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    if let Err(panic) = ran {
        let shown: String =
            input.iter().take(4096).flat_map(|byte| byte.escape_ascii()).map(char::from).collect();
        println!("{} panicked on {origin}: b\"{shown}\"", target.name);
        resume_unwind(panic);
    }
}

fn seed() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test is told its seed by the environment")]
    let given = std::env::var("FUZZ_SEED");
    given.map_or(SEED, |seed| seed.parse().expect("FUZZ_SEED is a number"))
}

#[test]
fn what_is_in_the_corpus_and_what_is_nearly_in_it_is_understood_or_refused() {
    for target in TARGETS {
        let corpus = corpus(&target);
        for (path, input) in &corpus {
            run(&target, input, &path.display().to_string());
        }
        let mut rng = Rng::with_seed(seed());
        for round in 0..MUTATIONS {
            let (path, origin) = &corpus[round % corpus.len()];
            let (_, other) = &corpus[rng.usize(..corpus.len())];
            let input = mutated(&mut rng, origin, other);
            run(&target, &input, &format!("mutation {round} of {} with seed {}", path.display(), seed()));
        }
    }
}

#[test]
fn what_is_a_megabyte_of_one_thing_is_understood_or_refused_in_little_memory() {
    for target in TARGETS {
        for shape in target.shapes {
            run(&target, &shape.of_bytes(LONG), shape.name);
        }
    }
}

#[test]
fn the_corpus_stays_small() {
    for target in TARGETS {
        let corpus = corpus(&target);
        assert!(corpus.len() <= 100, "{} has {} files", target.name, corpus.len());
        let bytes: usize = corpus.iter().map(|(_, input)| input.len()).sum();
        assert!(bytes <= 100 << 10, "{} has {bytes} bytes", target.name);
    }
}
