//! How a failure is repeated.

use fastrand::Rng;

/// What chance begins with unless `CRASH_SEED` says otherwise.
const SEED: u64 = 4711;

/// The chance of one test. If the test fails, it says how to have the same chance again.
pub(crate) struct Repro {
    pub(crate) seed: u64,
}

impl Repro {
    pub(crate) fn new() -> Self {
        Self { seed: number("CRASH_SEED", SEED) }
    }

    pub(crate) fn rng(&self) -> Rng {
        Rng::with_seed(self.seed)
    }
}

impl Drop for Repro {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or_default();
            #[expect(clippy::print_stderr, reason = "beside what the test harness says of the failure")]
            {
                eprintln!(
                    "REPRO: CRASH_SEED={} cargo test -p backfill-cli --features points --test crash {test}",
                    self.seed
                );
            }
        }
    }
}

/// A number from the environment, or what it is otherwise.
pub(crate) fn number(name: &str, otherwise: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "how much a test does is no setting")]
    let given = std::env::var(name);
    given.map_or(otherwise, |given| given.parse().expect("a number"))
}
