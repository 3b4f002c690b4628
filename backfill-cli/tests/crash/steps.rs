//! Every named point of the program, the rows of the failure model (section 3 A) that it stands for, and what passes it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A command that passes a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// A run that refreshes its token twice.
    Refresh,
    /// A run of three pipelines of several pages each.
    Run,
    /// A run that makes the schema, and tables of further pipelines.
    Migration,
    /// A worker with three triggers that are due.
    Worker,
    /// The report of a run, written to a file.
    Report,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) row: &'static str,
    pub(crate) scene: Scene,
    /// How often one process passes it, as far as is looked at.
    pub(crate) passes: u32,
}

const fn step(name: &'static str, row: &'static str, scene: Scene, passes: u32) -> Step {
    Step { name, row, scene, passes }
}

/// The vault is written twice for each refresh: the note that it begins, then the token.
pub(crate) const STEPS: [Step; 53] = [
    step("refresh.lock", "A1", Scene::Refresh, 2),
    step("refresh.locked", "A1", Scene::Refresh, 2),
    step("refresh.intended", "A1", Scene::Refresh, 2),
    step("refresh.call", "A1", Scene::Refresh, 2),
    step("refresh.sent", "A2", Scene::Refresh, 2),
    step("refresh.answered", "A3", Scene::Refresh, 2),
    step("vault.write", "A3", Scene::Refresh, 4),
    step("vault.written", "A4", Scene::Refresh, 4),
    step("vault.rename", "A4", Scene::Refresh, 4),
    step("vault.renamed", "A5", Scene::Refresh, 4),
    step("vault.durable", "A6", Scene::Refresh, 4),
    step("refresh.stored", "A6", Scene::Refresh, 2),
    step("run.begun", "A7", Scene::Worker, 2),
    step("lease.taken", "A7", Scene::Run, 2),
    step("windows.opened", "A7", Scene::Run, 2),
    step("call.leaves", "A7", Scene::Run, 2),
    step("call.answered", "A8", Scene::Run, 2),
    step("call.noted", "A8", Scene::Run, 2),
    step("scan.taken", "A8", Scene::Run, 2),
    step("page.begun", "A9", Scene::Run, 2),
    step("page.fenced", "A9", Scene::Run, 2),
    step("page.written", "A9", Scene::Run, 2),
    step("page.accounted", "A9", Scene::Run, 2),
    step("page.commit", "A10", Scene::Run, 2),
    step("page.committed", "A11", Scene::Run, 2),
    step("scan.landed", "A11", Scene::Run, 2),
    step("proof.due", "A12", Scene::Run, 2),
    step("proof.counted", "A13", Scene::Run, 2),
    step("count.noted", "A13", Scene::Run, 2),
    step("quarantine.resolved", "A13", Scene::Run, 2),
    step("run.ended", "A13", Scene::Worker, 2),
    step("run.commit", "A13", Scene::Worker, 2),
    step("count.committed", "A14", Scene::Run, 2),
    step("lease.released", "A14", Scene::Run, 2),
    step("run.committed", "A14", Scene::Worker, 2),
    step("trigger.taken", "A15", Scene::Worker, 2),
    step("trigger.spent", "A15", Scene::Worker, 2),
    step("trigger.fire", "A15", Scene::Worker, 2),
    step("trigger.fired", "A16", Scene::Worker, 2),
    step("trigger.concluding", "A16", Scene::Worker, 2),
    step("trigger.concluded", "A16", Scene::Worker, 2),
    step("migrate.locked", "A17", Scene::Migration, 2),
    step("migrate.script", "A17", Scene::Migration, 2),
    step("migrate.commit", "A17", Scene::Migration, 1),
    step("migrate.committed", "A17", Scene::Migration, 1),
    step("migrate.table", "A17", Scene::Migration, 2),
    step("report.examined", "A18", Scene::Worker, 2),
    step("report.kept", "A18", Scene::Worker, 2),
    step("report.built", "A18", Scene::Run, 1),
    step("report.write", "A18", Scene::Report, 1),
    step("report.written", "A18", Scene::Report, 1),
    step("lease.beat", "A19", Scene::Run, 2),
    step("lease.renewed", "A19", Scene::Run, 2),
];

/// The names that the production code passes.
fn in_the_source() -> BTreeSet<String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut names = BTreeSet::new();
    let crates = ["qbo-auth", "qbo-client", "raw-store", "backfill-core", "backfill-cli"];
    let mut folders: Vec<_> = crates.iter().map(|name| workspace.join(name).join("src")).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).unwrap();
                let named = text.split("point!(\"").skip(1).filter_map(|rest| rest.split('"').next());
                names.extend(named.map(str::to_owned));
            }
        }
    }
    names
}

#[test]
fn every_row_of_the_failure_model_has_a_point_and_every_point_a_row() {
    let listed: BTreeSet<_> = STEPS.iter().map(|step| step.name.to_owned()).collect();
    assert_eq!(listed.len(), STEPS.len(), "a name stands twice");
    assert_eq!(listed, in_the_source());
    let rows: BTreeSet<_> = STEPS.iter().map(|step| step.row.to_owned()).collect();
    assert_eq!(rows, (1..=19).map(|row| format!("A{row}")).collect());
}
