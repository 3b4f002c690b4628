//! Killed at every named point, at its first and at its second pass, alone and two at once: the same command again ends
//! well, and nothing is missing, doubled or left behind.

use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use fixtures::{
    CallKind, Enforce, Fault, Gate, OauthOptions, QuotaOptions, Rotation, Rule, SandboxOptions, Shape,
};

use crate::house::{Ended, House, wait};
use crate::oracle::{self, ALL, Entity, ITEM};
use crate::repro::Repro;
use crate::steps::{STEPS, Scene, Step};

/// Pages of ten over quarters: several pages for each pipeline, and windows that pages end in the middle of.
const RANGE: [&str; 8] =
    ["--from", "2024-01-01", "--to", "2025-01-01", "--chunk", "quarter", "--page-size", "20"];

const FURTHER: [Entity; 3] = [
    ("Vendor", "qb_vendors", "vendors"),
    ("Account", "qb_accounts", "accounts"),
    ("Class", "qb_classes", "classes"),
];

/// Three triggers that are due, in the words of Mage.
const TRIGGERS: &str = "
triggers:
- {name: invoices, pipeline_uuid: qb_invoices_backfill, schedule_type: time, schedule_interval: '@once', start_time: 2026-02-01 05:00:00, status: active, variables: {fecha_inicio: '2024-01-01', fecha_fin: '2025-01-01'}}
- {name: customers, pipeline_uuid: qb_customers_backfill, schedule_type: time, schedule_interval: '@once', start_time: 2026-02-01 05:00:00, status: active, variables: {fecha_inicio: '2024-01-01', fecha_fin: '2025-01-01'}}
- {name: items, pipeline_uuid: qb_items_backfill, schedule_type: time, schedule_interval: '@once', start_time: 2026-02-01 05:00:00, status: active, variables: {fecha_inicio: '2024-01-01', fecha_fin: '2025-01-01'}}
";

/// One way to die.
#[derive(Clone, Copy, Debug)]
struct Case {
    step: &'static Step,
    pass: u32,
    processes: u32,
}

fn cases(scene: Scene) -> VecDeque<Case> {
    let mut cases = VecDeque::new();
    for step in STEPS.iter().filter(|step| step.scene == scene) {
        for processes in [1, 2] {
            // Two share what is to be refreshed: one of them may be left with a single time.
            let passes = if scene == Scene::Refresh { step.passes / processes } else { step.passes };
            cases.extend((1..=passes).map(|pass| Case { step, pass, processes }));
        }
    }
    cases
}

fn entities(scene: Scene) -> &'static [Entity] {
    match scene {
        Scene::Refresh => &[ITEM],
        Scene::Migration => &FURTHER,
        Scene::Run | Scene::Worker | Scene::Report => &ALL,
    }
}

/// What is killed, and then run again.
fn words(scene: Scene) -> Vec<&'static str> {
    match scene {
        Scene::Worker => vec!["worker", "--once"],
        Scene::Report => vec!["report", "--format", "json", "--out", "report.json"],
        Scene::Refresh | Scene::Run | Scene::Migration => run_words(scene),
    }
}

fn run_words(scene: Scene) -> Vec<&'static str> {
    let names = entities(scene).iter().map(|(entity, _, _)| *entity);
    ["run"].into_iter().chain(names).chain(RANGE).collect()
}

async fn house(scene: Scene) -> House {
    let shape = match scene {
        Scene::Refresh => Shape::default().with_counts(1, 1, 70),
        Scene::Migration => {
            let shape = Shape::empty();
            FURTHER.iter().fold(shape, |shape, (entity, _, _)| shape.with_count(entity, 5))
        }
        Scene::Run | Scene::Worker | Scene::Report => {
            Shape::default().with_counts(70, 45, 45).with_bulk_import(25)
        }
    };
    // A kill between the answer and the disk ends a consent whose old token is refused.
    let oauth = OauthOptions {
        previous_stays_valid: true,
        rotation: Rotation::EveryRefresh,
        ..OauthOptions::default()
    };
    // Each case has a schema of its own, which does not know of the calls before.
    let quota = QuotaOptions::new(Enforce::Off);
    let house = House::with(&shape, SandboxOptions { oauth, quota, ..SandboxOptions::default() }).await;
    std::fs::write(house.home().join("triggers.yaml"), TRIGGERS).unwrap();
    house
}

/// Kills in every way that a scene has, two of them at a time.
async fn killed_at_every_point_of(scene: Scene) {
    let _repro = Repro::new();
    let cases = Mutex::new(cases(scene));
    let next = || cases.lock().unwrap().pop_front();
    let lane = async || {
        let house = house(scene).await;
        while let Some(case) = next() {
            Trial { house: &house, case }.hold().await;
        }
    };
    tokio::join!(lane(), lane());
}

struct Trial<'h> {
    house: &'h House,
    case: Case,
}

impl Trial<'_> {
    async fn hold(self) {
        let Case { step, pass, processes } = self.case;
        let context = format!("{}@{pass}, {processes} at once", step.name);
        let gate = self.prepare().await;
        let started: Vec<_> = (0..processes).map(|_| self.start(pass)).collect();
        let mut ended = Vec::new();
        for child in started {
            ended.push(wait(child).await);
        }
        assert!(ended.iter().any(has_died), "{context}: never reached, {}", told(&ended));
        assert!(ended.iter().all(|ended| has_died(ended) || ended.code == 0), "{context}: {}", told(&ended));
        if step.passes == 1 {
            // The second time is the next process's, if there still is one.
            let next = wait(self.start(1)).await;
            assert!(has_died(&next) || next.code == 0, "{context}, next: {}", told(&[next]));
        }
        self.house.sandbox.faults().clear();
        if let Some(gate) = gate {
            gate.open();
        }
        let again = self.house.at(&words(step.scene)).await;
        assert!(again.code == 0, "{context}, again: {}", told(&[again]));
        self.assert_sound(&context).await;
    }

    /// An empty database, and whatever the scene is about. Returns the gate before which all stand, if there is one.
    async fn prepare(&self) -> Option<Gate> {
        let (house, step) = (self.house, self.case.step);
        house.sandbox.faults().clear();
        house.client().await.batch_execute("DROP SCHEMA IF EXISTS raw CASCADE").await.unwrap();
        match step.scene {
            Scene::Refresh => {
                // The first page is refused for the token's sake, and the closing count again.
                house.sandbox.expire_access_tokens();
                let refused = Fault::Gateway { status: 401, code: "3200".into() };
                house.sandbox.faults().push(Rule::on(CallKind::Count, refused));
            }
            Scene::Worker => {
                house.at(&["trigger", "apply", "-f", "triggers.yaml", "--now"]).await.expect(0);
            }
            Scene::Report => {
                house.at(&run_words(Scene::Report)).await.expect(0);
            }
            Scene::Run | Scene::Migration => {}
        }
        (step.row == "A19").then(|| {
            let gate = Gate::new();
            let held = Rule::on(CallKind::Query, Fault::Held(gate.clone())).always();
            house.sandbox.faults().push(held);
            gate
        })
    }

    fn start(&self, pass: u32) -> Child {
        let step = self.case.step;
        let mut command: Command = self.house.command(&words(step.scene));
        command.args(self.house.addresses());
        command.env("QBO_BACKFILL_POINT", format!("{}@{pass}=abort", step.name));
        if step.row == "A19" {
            command.env("QBO_BACKFILL_LEASE_SECONDS", "1");
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    async fn assert_sound(&self, context: &str) {
        let (house, scene) = (self.house, self.case.step.scene);
        let entities = entities(scene);
        if scene == Scene::Refresh {
            // A half file of the vault, sealed as the vault is, goes with the next refresh; the token that is there may do.
            house.at(&["auth", "refresh"]).await.expect(0);
        }
        oracle::assert_equal(house, entities, context).await;
        oracle::assert_recounts(house, entities, context).await;
        oracle::assert_closed_once(house, context).await;
        oracle::assert_nothing_leaked(house, context).await;
        match scene {
            Scene::Worker => {
                let not_once =
                    "SELECT count(*) FROM raw.backfill_trigger AS one WHERE status <> 'done' OR 1 <> (
                    SELECT count(*) FROM raw.backfill_trigger_history AS past
                    WHERE past.trigger_name = one.trigger_name AND event = 'fired')";
                assert_eq!(house.number(not_once).await, 0, "{context}: not fired once and done");
                assert_eq!(house.number("SELECT count(*) FROM raw.backfill_run").await, 3, "{context}");
            }
            Scene::Report => {
                let report = std::fs::read(house.home().join("report.json")).unwrap();
                let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
                assert_eq!(report["status"], "completed", "{context}");
            }
            Scene::Refresh | Scene::Run | Scene::Migration => {}
        }
        if self.case.pass == 1 && self.case.processes == 1 {
            oracle::assert_reported(house, context).await;
            let forced = [&run_words(scene)[..], &["--force"]].concat();
            oracle::assert_unchanged_by(house, &forced, context).await;
        }
    }
}

fn has_died(ended: &Ended) -> bool {
    ended.code == -1
}

fn told(all: &[Ended]) -> String {
    all.iter().map(|one| format!("[{}] {}", one.code, one.stderr)).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_a_refresh_costs_no_consent_that_can_be_kept() {
    killed_at_every_point_of(Scene::Refresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_a_run_costs_no_record() {
    killed_at_every_point_of(Scene::Run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_a_migration_leaves_the_old_schema_or_the_new_one() {
    killed_at_every_point_of(Scene::Migration).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_a_worker_leaves_each_trigger_one_run() {
    killed_at_every_point_of(Scene::Worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_a_report_leaves_what_it_is_made_of() {
    killed_at_every_point_of(Scene::Report).await;
}

/// A2 and A7 to the letter: the server has the request, and nobody hears the answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_request_is_under_way_costs_nothing() {
    let _repro = Repro::new();
    for kind in [CallKind::Token, CallKind::Query] {
        let house = house(Scene::Run).await;
        let gate = Gate::new();
        let after = u32::from(kind == CallKind::Query);
        house.sandbox.faults().push(Rule::on(kind, Fault::Held(gate.clone())).after(after));
        let mut command = house.command(&words(Scene::Run));
        command.args(house.addresses()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        gate.arrived().await;
        child.kill().unwrap();
        child.wait().unwrap();
        gate.open();
        house.at(&words(Scene::Run)).await.expect(0);
        let context = format!("{kind:?}");
        oracle::assert_equal(&house, &ALL, &context).await;
        oracle::assert_recounts(&house, &ALL, &context).await;
        oracle::assert_nothing_leaked(&house, &context).await;
    }
}
