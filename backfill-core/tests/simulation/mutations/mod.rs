//! Mutations: faults in a copy of the sources, and the test that the simulation catches each of them.
//!
//! Every patch of this folder puts one fault where the code would be wrong, behind a switch of the patch's name; where a second
//! safeguard makes up for it, the patch takes that away as well. The script `run` makes the copy, applies all patches and adds
//! this module to the simulation: the real sources have neither faults nor switches.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::process::Process;
use crate::profile::Profile;
use crate::world::Broken;
use crate::{on_all_cores, schedule, setting};

/// Each mutation has to be caught within this number of schedules.
const CAUGHT_WITHIN: u64 = 20_000;

/// The names of all patches, or the one that `SIM_MUTATION` asks for.
fn names() -> Vec<&'static str> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulation/mutations");
    let mut names = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned().leak() as &str;
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(
                text.contains(&format!("mutation::is_on(\"{name}\")")),
                "{name}.patch does not ask for its name"
            );
            names.push(name);
        }
    }
    if let Ok(only) = std::env::var("SIM_MUTATION") {
        names.retain(|name| *name == only);
        assert!(!names.is_empty(), "there is no {only}.patch");
    }
    names.sort_unstable();
    names
}

#[test]
fn every_mutation_is_caught() {
    if let Some(seed) = setting("SIM_SEED") {
        for name in names() {
            mutation::switch(Some(name));
            let ended = schedule::run(Profile::draw(seed), true);
            println!("{name}\n{}\n{:?}", ended.timeline, ended.broken);
        }
        return;
    }
    let mut missed = Vec::new();
    let mut needed = Vec::new();
    for name in names() {
        let caught = Mutex::new(None::<(u64, Broken)>);
        on_all_cores(CAUGHT_WITHIN, |seed| {
            mutation::switch(Some(name));
            let Some(broken) = schedule::run(Profile::draw(seed), false).broken else { return false };
            caught.lock().unwrap().get_or_insert((seed, broken));
            true
        });
        if let Some((seed, broken)) = caught.into_inner().unwrap() {
            println!("{name:<34} {seed:>6}  {} {}", broken.invariant, broken.how);
            needed.push(seed);
        } else {
            println!("{name:<34} missed");
            missed.push(name);
        }
    }
    needed.sort_unstable();
    println!("median: schedule {}", needed.get(needed.len() / 2).copied().unwrap_or_default());
    assert!(missed.is_empty(), "not caught within {CAUGHT_WITHIN} schedules: {missed:?}");
}

/// What may happen to a process between two steps that a mutation has torn apart.
pub(crate) async fn gap(process: &Arc<Process>) {
    let world = &process.world;
    if let Ok(fate) = process.enter("gap").await {
        let _ = process.leave(fate).await;
    }
    // Another session holds a lock for a while.
    if world.random(0..4) == 0 {
        let time = Duration::from_millis(world.random(1..5000));
        tokio::time::sleep(time).await;
        process.alive().await;
    }
    world.let_leases_run_out();
    process.memory.stand_at(world.database_time());
}
