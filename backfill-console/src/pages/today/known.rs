//! Everything that Today is computed from, read from the store at once.

use std::collections::HashMap;
use std::sync::Arc;

use raw_store::{
    CallBudget, HeldLease, LineFilter, LogLine, NewestFinding, QuarantineFilter, Quarantined, RunFilter,
    RunId, RunProgress, RunRecord, RunStatus, Severity, Trigger, VerificationRecord, VerifyResult,
    WindowState,
};
use time::OffsetDateTime;

use crate::company::OpenCompany;
use crate::consents::ConsentStatus;
use crate::facts::{Due, Known, PipelineFacts, Verdict, due, is_present, pipelines, verdict};
use crate::pages::log_overview::log_overview;
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;

/// How many runs are looked at, the newest first.
const RUNS: u32 = 20;

/// How many runs in progress are shown.
const LIVE: usize = 6;

/// How many failed windows are looked at; a page does not need the reasons of more.
pub(crate) const FAILED: u32 = 200;

/// How many documents of the quarantine are counted.
const QUARANTINE: u32 = 100;

/// How many findings are looked at.
const FINDINGS: u32 = 100;

/// How many workers are looked at.
const WORKERS: u32 = 50;

/// Everything that Today is computed from.
#[derive(Debug)]
pub(crate) struct Today {
    /// The store's time.
    pub(crate) now: OffsetDateTime,
    /// The store's time when the log was summed up, which may be some seconds earlier.
    pub(crate) summed_up_at: OffsetDateTime,
    pub(crate) verdict: Verdict,
    pub(crate) pipelines: Vec<PipelineFacts>,
    /// Rows by pipeline.
    pub(crate) rows: HashMap<Box<str>, u64>,
    /// The newest runs.
    pub(crate) runs: Vec<RunRecord>,
    /// The runs that a process works on.
    pub(crate) live: Vec<RunProgress>,
    pub(crate) triggers: Vec<Trigger>,
    /// When each trigger fires, in the same order.
    pub(crate) dues: Vec<Due>,
    /// Whether a worker was seen lately.
    pub(crate) is_worked: bool,
    pub(crate) budget: CallBudget,
    pub(crate) failed: Vec<LogLine>,
    pub(crate) quarantine: Vec<Quarantined>,
    /// Warnings and errors of the newest validations.
    pub(crate) findings: Vec<NewestFinding>,
    pub(crate) consent: Option<ConsentStatus>,
}

impl Today {
    /// Whether nothing was ever read or planned.
    pub(crate) fn is_first(&self) -> bool {
        self.pipelines.is_empty() && self.runs.is_empty()
    }

    /// The newest run that has ended.
    pub(crate) fn last_ended(&self) -> Option<&RunRecord> {
        self.runs.iter().filter(|run| run.finished_at.is_some()).max_by_key(|run| run.finished_at)
    }
}

/// Reads everything that Today is computed from.
pub(crate) async fn today(visit: CompanyVisit, open: Arc<OpenCompany>) -> Result<Today, Trouble> {
    let store = &open.store;
    let runs = store.page_of_runs(&RunFilter::default(), None, RUNS).await?.value;
    let overview = log_overview(&visit, &runs).await?;
    let mut pipelines = pipelines(&overview.months, &overview.stretches);
    let live = live(&open).await?;
    for facts in &mut pipelines {
        facts.is_read_now = live.iter().flat_map(|run| &run.pipelines).any(|pipeline| {
            pipeline.windows_left > 0
                && pipeline.totals.entity_name == facts.entity_name
                && pipeline.time_axis == facts.time_axis
        });
    }
    let triggers = store.triggers().await?.0;
    let workers = store.workers(WORKERS).await?;
    let (now, workers) = (workers.now, workers.value);
    let is_worked = workers.iter().any(|worker| is_present(worker, now));
    let dues: Vec<Due> =
        triggers.iter().map(|trigger| due(trigger, &triggers, &workers, is_worked, now)).collect();
    let budget = store.call_budget().await?.value;
    let failed = LineFilter { state: Some(WindowState::Failed), ..LineFilter::default() };
    let consent = match &visit.company.consents {
        Some(consents) => consents.status().await.ok(),
        None => None,
    };
    let open_quarantine = QuarantineFilter { open: true, ..QuarantineFilter::default() };
    let quarantine = store.page_of_quarantine(&open_quarantine, None, QUARANTINE).await?.value;
    let findings = store.newest_findings(FINDINGS).await?.value;
    let errors = findings.iter().filter(|one| one.finding.severity == Severity::Error).count();
    let differing = differing(&store.last_verifications().await?);
    let known = Known {
        open_points: (quarantine.len() + errors + differing) as u64,
        pipelines: &pipelines,
        dues: &dues,
        is_running: !live.is_empty(),
        consent,
        used_up: visit.company.monthly_calls.filter(|most| budget.used >= *most).map(|_| budget.until),
        now,
    };
    Ok(Today {
        now,
        summed_up_at: overview.now,
        verdict: verdict(known),
        rows: store.inserted_rows().await?.value.into_iter().map(|one| (one.entity_name, one.rows)).collect(),
        failed: store.page_of_lines(&failed, None, FAILED).await?.value,
        quarantine,
        findings: findings.into_iter().filter(|one| one.finding.severity != Severity::Info).collect(),
        pipelines,
        runs,
        live,
        triggers,
        dues,
        is_worked,
        budget,
        consent,
    })
}

/// The number of pipelines whose newest verification, by whatever method, found a difference.
fn differing(verifications: &[VerificationRecord]) -> usize {
    let mut newest: HashMap<&str, &VerificationRecord> = HashMap::new();
    for one in verifications {
        let kept = newest.entry(&one.entity_name).or_insert(one);
        if one.at > kept.at {
            *kept = one;
        }
    }
    newest.values().filter(|one| one.result == VerifyResult::Differs).count()
}

/// The runs in progress that a process works on. One that was killed keeps its state in the log, but its leases are free.
async fn live(open: &OpenCompany) -> Result<Vec<RunProgress>, Trouble> {
    // Of the newest runs none may be the one that still runs.
    let running = RunFilter { status: Some(RunStatus::Running), ..RunFilter::default() };
    let runs = open.store.page_of_runs(&running, None, RUNS).await?.value;
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let leases = open.store.held_leases().await?.value;
    let mut live = Vec::new();
    for run in held(&runs, &leases) {
        live.extend(open.store.progress(&run).await?.value);
    }
    Ok(live)
}

/// The runs in progress of whose pipelines a process holds one.
fn held(runs: &[RunRecord], leases: &[HeldLease]) -> Vec<RunId> {
    let is_held = |run: &&RunRecord| {
        let mut names = run.pipelines.iter().map(|pipeline| &pipeline.entity_name);
        names.any(|name| leases.iter().any(|lease| lease.entity_name.as_ref() == Some(name)))
    };
    let in_progress = runs.iter().filter(|run| run.status == RunStatus::Running);
    in_progress.filter(is_held).take(LIVE).map(|run| run.id.clone()).collect()
}
