//! A schedule that fails, told as simply as it still fails.

use crate::profile::Profile;
use crate::schedule;
use crate::world::Broken;

/// How often something is left out before the rest is taken for simple enough.
const MOST_STEPS: usize = 60;

/// Leaves out what the failure does not need, and panics with the rest and its timeline.
pub(crate) fn tell(seed: u64, broken: &Broken) -> ! {
    let mut simplest = Profile::draw(seed);
    'simpler: for _ in 0..MOST_STEPS {
        for candidate in simplest.simpler() {
            let still = schedule::run(candidate.clone(), false).broken;
            if still.is_some_and(|still| still.invariant == broken.invariant) {
                simplest = candidate;
                continue 'simpler;
            }
        }
        break;
    }
    let ended = schedule::run(simplest.clone(), true);
    let how = ended.broken.as_ref().map_or("", |broken| &broken.how);
    println!("{simplest:#?}\n{}", ended.timeline);
    panic!(
        "seed {seed}: {} does not hold: {}\nshrunk: {how}\nREPRO: SIM_SEED={seed} cargo test --release -p backfill-core --test simulation a_hundred -- --nocapture",
        broken.invariant, broken.how
    );
}
