//! The database as one process sees it: the store in memory behind a connection that can be cut at every step, with leases that
//! hang on heartbeats.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use raw_store::{
    BackfillLog, Bytes, CallAdmission, CallEnd, CallLedger, CallLimits, CallMonth, CallSlot, DueTriggers,
    GoneMarks, GoneRecord, KeptReport, Lease, Leases, LogFilter, LogLine, MemberRange, NewTrigger,
    OpenWindow, Owner, PageCommit, PageComparison, PageOutcome, PageSink, Pipeline, Presence, Quarantine,
    Quarantined, RawInspection, Reopen, ReportArchive, RowLookup, RunEnd, RunId, RunRecord, RunStart,
    SourceRefusal, SourceRefusals, StoreError, StoreErrorKind, StoreIdentity, TableName, Tables, Trigger,
    TriggerEnd, TriggerEvent, TriggerName, TriggerQueue, VerificationLog, VerificationRecord, Window,
    WindowUpdate, WorkerBeat, WorkerLog,
};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::ledger;
use crate::process::{Fate, Process};
use crate::world::LEASE;

const BEAT: Duration = Duration::from_secs(15);

pub(crate) struct Connection {
    process: Arc<Process>,
    keeping: Arc<Keeping>,
    heart: JoinHandle<()>,
}

/// The leases that a process believes to have.
#[derive(Default)]
struct Keeping {
    held: Mutex<BTreeMap<Box<str>, Lease>>,
    /// What is not renewed any more, and since when: it runs out by itself.
    forgotten: Mutex<Vec<(Lease, Duration)>>,
    changed: Notify,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.heart.abort();
    }
}

impl Connection {
    pub(crate) fn new(process: Arc<Process>) -> Self {
        let keeping = Arc::new(Keeping::default());
        let heart = tokio::spawn(beat(Arc::clone(&process), Arc::clone(&keeping)));
        Self { process, keeping, heart }
    }

    /// One statement, or one transaction.
    async fn step<T>(
        &self,
        step: &'static str,
        effect: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let (fate, result) = self.begin(step, effect).await?;
        self.process.leave(fate).await.map_err(|_| cut(step))?;
        result
    }

    async fn begin<T>(
        &self,
        step: &'static str,
        effect: impl Future<Output = T>,
    ) -> Result<(Fate, T), StoreError> {
        let fate = self.process.enter(step).await.map_err(|_| cut(step))?;
        let world = &self.process.world;
        world.let_leases_run_out();
        self.process.memory.stand_at(world.database_time());
        world.may_forget(self.process.id, &self.process.memory);
        Ok((fate, effect.await))
    }

    /// As the database does it: what this process has without knowing of it, it takes again.
    async fn lease(
        &self,
        step: &'static str,
        name: &str,
        effect: impl Future<Output = Result<Lease, StoreError>>,
    ) -> Result<Lease, StoreError> {
        let known = self.keeping.held.lock().unwrap().contains_key(name);
        let memory = &self.process.memory;
        let (fate, result) = self
            .begin(step, async {
                if !known {
                    memory.disown(name);
                }
                effect.await
            })
            .await?;
        let world = &self.process.world;
        if let Ok(lease) = &result {
            ledger::granted(world, lease);
            let now = world.elapsed();
            if let Some((_, last)) = world.state().beats.get_mut(&self.process.id) {
                *last = now;
            }
        }
        if self.process.leave(fate).await.is_err() {
            self.keeping.forget(result.ok().as_ref(), world.elapsed());
            return Err(cut(step));
        }
        if let Ok(lease) = &result {
            world.note(self.process.id, "owns", &format!("{name} {}", lease.epoch));
            self.keeping.held.lock().unwrap().insert(name.into(), lease.clone());
        }
        result
    }
}

impl Keeping {
    fn forget(&self, lease: Option<&Lease>, now: Duration) {
        self.forgotten.lock().unwrap().extend(lease.map(|lease| (lease.clone(), now)));
    }

    /// Those whose time has passed.
    fn run_out(&self, now: Duration) -> Vec<Lease> {
        let mut forgotten = self.forgotten.lock().unwrap();
        let out = forgotten.iter().filter(|(_, since)| *since + LEASE < now);
        let out = out.map(|(lease, _)| lease.clone()).collect();
        forgotten.retain(|(_, since)| *since + LEASE >= now);
        out
    }
}

fn cut(step: &'static str) -> StoreError {
    StoreError::new(step, StoreErrorKind::Unavailable("the connection was cut".into()))
}

/// Renews what is held, and gives it up before somebody else may have it.
async fn beat(process: Arc<Process>, keeping: Arc<Keeping>) {
    let world = Arc::clone(&process.world);
    let mut heard = world.elapsed();
    loop {
        tokio::time::sleep(BEAT).await;
        process.alive().await;
        let asked = world.elapsed();
        for lease in keeping.run_out(asked) {
            let _ = process.memory.release(&lease).await;
        }
        let renewed = match process.enter("heartbeat").await {
            Err(_) => None,
            Ok(fate) => {
                world.let_leases_run_out();
                process.memory.stand_at(world.database_time());
                let held = keeping.held.lock().unwrap().clone();
                let kept: BTreeMap<_, _> =
                    held.into_iter().filter(|(_, lease)| process.memory.renew(lease)).collect();
                if let Some((_, last)) = world.state().beats.get_mut(&process.id) {
                    *last = world.elapsed();
                }
                process.leave(fate).await.ok().map(|()| kept)
            }
        };
        let mut held = keeping.held.lock().unwrap();
        match renewed {
            Some(kept) => {
                heard = asked;
                held.retain(|name, lease| {
                    kept.get(name).is_none_or(|kept| kept.epoch == lease.epoch)
                        && (kept.contains_key(name) || process.memory.is_current(lease))
                });
            }
            None if heard + LEASE * 3 / 4 <= world.elapsed() => held.clear(),
            None => {}
        }
        drop(held);
        keeping.changed.notify_waiters();
    }
}

#[async_trait]
impl Tables for Connection {
    async fn bind(&self, identity: &StoreIdentity) -> Result<(), StoreError> {
        self.step("bind", self.process.memory.bind(identity)).await
    }

    async fn identity(&self) -> Result<Option<StoreIdentity>, StoreError> {
        self.step("identity", self.process.memory.identity()).await
    }

    async fn prepare(&self, pipeline: &Pipeline) -> Result<(), StoreError> {
        self.step("prepare", self.process.memory.prepare(pipeline)).await
    }

    async fn count_rows(&self, pipeline: &Pipeline) -> Result<u64, StoreError> {
        self.step("count rows", self.process.memory.count_rows(pipeline)).await
    }
}

#[async_trait]
impl Leases for Connection {
    async fn acquire(&self, pipeline: &Pipeline, holder: &str) -> Result<Lease, StoreError> {
        self.lease("acquire", &pipeline.entity_name, self.process.memory.acquire(pipeline, holder)).await
    }

    async fn lost(&self, lease: &Lease) -> StoreError {
        loop {
            let changed = self.keeping.changed.notified();
            let is_held = self.keeping.held.lock().unwrap().values().any(|held| held == lease);
            if !is_held {
                let kind = StoreErrorKind::LeaseLost(lease.entity_name.clone());
                return StoreError::new("keeping a pipeline", kind);
            }
            changed.await;
        }
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.keeping.held.lock().unwrap().retain(|_, held| held != lease);
        self.keeping.forget(Some(lease), self.process.world.elapsed());
        self.step("release", self.process.memory.release(lease)).await
    }
}

#[async_trait]
impl PageSink for Connection {
    async fn commit_page(&self, page: &PageCommit) -> Result<PageOutcome, StoreError> {
        let process = &self.process;
        self.step("commit", async {
            let before = ledger::before(process, page);
            let landed = process.memory.commit_page(page).await;
            if let Ok(outcome) = &landed {
                ledger::committed(process, page, outcome, &before);
            }
            landed
        })
        .await
    }
}

#[async_trait]
impl RawInspection for Connection {
    async fn clock(&self) -> Result<OffsetDateTime, StoreError> {
        self.step("clock", self.process.memory.clock()).await
    }

    async fn compare(&self, page: &PageCommit) -> Result<PageComparison, StoreError> {
        self.step("compare", self.process.memory.compare(page)).await
    }

    async fn stored_ids(
        &self,
        pipeline: &Pipeline,
        span: Option<Window>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Box<str>>, StoreError> {
        self.step("stored ids", self.process.memory.stored_ids(pipeline, span, after, limit)).await
    }

    async fn count_live(&self, pipeline: &Pipeline, windows: &[Window]) -> Result<Vec<u64>, StoreError> {
        self.step("count live", self.process.memory.count_live(pipeline, windows)).await
    }
}

#[async_trait]
impl GoneMarks for Connection {
    async fn mark_gone(
        &self,
        pipeline: &Pipeline,
        lease: &Lease,
        gone: &[GoneRecord],
        found_at: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        self.step("gone", self.process.memory.mark_gone(pipeline, lease, gone, found_at)).await
    }
}

#[async_trait]
impl VerificationLog for Connection {
    async fn keep_verifications(&self, records: &[VerificationRecord]) -> Result<(), StoreError> {
        self.step("verified", self.process.memory.keep_verifications(records)).await
    }

    async fn last_verifications(&self) -> Result<Vec<VerificationRecord>, StoreError> {
        self.step("verifications", self.process.memory.last_verifications()).await
    }
}

#[async_trait]
impl RowLookup for Connection {
    async fn presence(
        &self,
        pipeline: &Pipeline,
        ids: &[Box<str>],
        member: &str,
    ) -> Result<Vec<Presence>, StoreError> {
        self.step("presence", self.process.memory.presence(pipeline, ids, member)).await
    }

    async fn ids_between(
        &self,
        pipeline: &Pipeline,
        between: &MemberRange,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Box<str>>, StoreError> {
        self.step("ids between", self.process.memory.ids_between(pipeline, between, after, limit)).await
    }
}

#[async_trait]
impl ReportArchive for Connection {
    async fn keep_report(&self, table: &TableName, report: &KeptReport) -> Result<(), StoreError> {
        self.step("report", self.process.memory.keep_report(table, report)).await
    }

    async fn kept_report(&self, table: &TableName, question: &str) -> Result<Option<KeptReport>, StoreError> {
        self.step("kept report", self.process.memory.kept_report(table, question)).await
    }
}

#[async_trait]
impl BackfillLog for Connection {
    async fn begin_run(&self, run: &RunStart) -> Result<(), StoreError> {
        self.step("begin run", self.process.memory.begin_run(run)).await
    }

    async fn finish_run(&self, run: &RunId, end: &RunEnd) -> Result<(), StoreError> {
        self.step("finish run", async {
            ledger::claims(&self.process, run, end).await;
            self.process.memory.finish_run(run, end).await
        })
        .await
    }

    async fn open_windows<'a>(
        &self,
        owner: Owner<'a>,
        windows: &[Window],
        reopen: Reopen,
    ) -> Result<Vec<OpenWindow>, StoreError> {
        self.step("open windows", self.process.memory.open_windows(owner, windows, reopen)).await
    }

    async fn update_windows<'a>(
        &self,
        owner: Owner<'a>,
        windows: &[Window],
        update: WindowUpdate<'a>,
    ) -> Result<(), StoreError> {
        let (step, closes) = match update {
            WindowUpdate::Reopen => ("reopen windows", false),
            WindowUpdate::Counted(_) => ("note counted", true),
            WindowUpdate::Confirmed(_) => ("windows closed", true),
            WindowUpdate::Failed(_) => ("fail windows", false),
            WindowUpdate::Unavailable(_) => ("mark unavailable", false),
        };
        self.step(step, async {
            let updated = self.process.memory.update_windows(owner, windows, update).await;
            if updated.is_ok() && closes {
                ledger::closed(&self.process, windows);
            }
            updated
        })
        .await
    }

    async fn lines(&self, filter: &LogFilter) -> Result<Vec<LogLine>, StoreError> {
        self.step("lines", async {
            self.process.looks();
            self.process.memory.lines(filter).await
        })
        .await
    }

    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        self.step("runs", self.process.memory.runs(limit)).await
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>, StoreError> {
        self.step("run", self.process.memory.run(run)).await
    }

    async fn request_stop(&self, run: &RunId, by: &str) -> Result<bool, StoreError> {
        self.step("request stop", self.process.memory.request_stop(run, by)).await
    }

    async fn stop_requested(&self, run: &RunId) -> Result<bool, StoreError> {
        self.step("stop requested", self.process.memory.stop_requested(run)).await
    }

    async fn last_page(&self, run: &RunId, entity_name: &str) -> Result<u32, StoreError> {
        self.step("last page", self.process.memory.last_page(run, entity_name)).await
    }
}

#[async_trait]
impl Quarantine for Connection {
    async fn quarantined<'a>(&self, entity_name: Option<&'a str>) -> Result<Vec<Quarantined>, StoreError> {
        self.step("quarantined", self.process.memory.quarantined(entity_name)).await
    }

    async fn quarantined_bytes(&self, entity_name: &str, digest: &str) -> Result<Option<Bytes>, StoreError> {
        self.step("quarantined bytes", self.process.memory.quarantined_bytes(entity_name, digest)).await
    }

    async fn open_quarantine(&self, pipelines: &[Pipeline], span: Option<Window>) -> Result<u64, StoreError> {
        self.step("open quarantine", self.process.memory.open_quarantine(pipelines, span)).await
    }

    async fn accept_quarantined(
        &self,
        entity_name: &str,
        digest: &str,
        by: &str,
        reason: &str,
    ) -> Result<Option<Quarantined>, StoreError> {
        let accepted = self.process.memory.accept_quarantined(entity_name, digest, by, reason);
        self.step("accept quarantined", accepted).await
    }

    async fn resolve_quarantine<'a>(&self, owner: Owner<'a>) -> Result<u64, StoreError> {
        self.step("resolve quarantine", self.process.memory.resolve_quarantine(owner)).await
    }
}

#[async_trait]
impl SourceRefusals for Connection {
    async fn refusals(&self) -> Result<Vec<SourceRefusal>, StoreError> {
        self.step("refusals", self.process.memory.refusals()).await
    }

    async fn keep_refusals(&self, refusals: &[SourceRefusal]) -> Result<(), StoreError> {
        self.step("keep refusals", self.process.memory.keep_refusals(refusals)).await
    }
}

#[async_trait]
impl CallLedger for Connection {
    async fn admit(&self, limits: &CallLimits, good_for: Duration) -> Result<CallAdmission, StoreError> {
        let admission = self.step("admit", self.process.memory.admit(limits, good_for)).await?;
        ledger::waits(&self.process.world, &admission);
        Ok(admission)
    }

    async fn conclude(&self, slot: &CallSlot, end: CallEnd) -> Result<(), StoreError> {
        self.step("conclude", CallLedger::conclude(&*self.process.memory, slot, end)).await
    }

    async fn failing(&self, apart: Duration) -> Result<(), StoreError> {
        self.step("failing", self.process.memory.failing(apart)).await
    }

    async fn pause(&self, limits: &CallLimits, pause: Duration) -> Result<Duration, StoreError> {
        ledger::pauses(&self.process.world, pause);
        self.step("pause", self.process.memory.pause(limits, pause)).await
    }

    async fn month(&self) -> Result<CallMonth, StoreError> {
        self.step("month", self.process.memory.month()).await
    }
}

#[async_trait]
impl TriggerQueue for Connection {
    async fn add(&self, triggers: &[NewTrigger], by: &str) -> Result<(), StoreError> {
        self.step("add triggers", self.process.memory.add(triggers, by)).await
    }

    async fn triggers(&self) -> Result<(Vec<Trigger>, OffsetDateTime), StoreError> {
        self.step("triggers", self.process.memory.triggers()).await
    }

    async fn trigger_history(&self, name: &TriggerName) -> Result<Vec<TriggerEvent>, StoreError> {
        self.step("trigger history", self.process.memory.trigger_history(name)).await
    }

    async fn poll(&self, missed_after: Duration) -> Result<DueTriggers, StoreError> {
        self.step("look", self.process.memory.poll(missed_after)).await
    }

    async fn claim(&self, name: &TriggerName, holder: &str) -> Result<Lease, StoreError> {
        let lease = format!("trigger {name}");
        self.lease("take", &lease, self.process.memory.claim(name, holder)).await
    }

    async fn fire(
        &self,
        lease: &Lease,
        name: &TriggerName,
        run: &RunStart,
    ) -> Result<Option<Trigger>, StoreError> {
        let process = &self.process;
        self.step("fire", async {
            let fired = process.memory.fire(lease, name, run).await;
            if let Ok(Some(fired)) = &fired {
                ledger::fired(process, lease, fired, run);
            }
            fired
        })
        .await
    }

    async fn finish(&self, lease: &Lease, name: &TriggerName, end: &TriggerEnd) -> Result<(), StoreError> {
        self.step("conclude trigger", TriggerQueue::finish(&*self.process.memory, lease, name, end)).await
    }

    async fn cancel(&self, name: &TriggerName, by: &str) -> Result<Trigger, StoreError> {
        self.step("cancel", self.process.memory.cancel(name, by)).await
    }

    async fn rearm(
        &self,
        name: &TriggerName,
        fire_at: OffsetDateTime,
        seen: Option<u32>,
        by: &str,
    ) -> Result<Trigger, StoreError> {
        self.step("rearm", self.process.memory.rearm(name, fire_at, seen, by)).await
    }
}

#[async_trait]
impl WorkerLog for Connection {
    async fn heartbeat(&self, beat: &WorkerBeat) -> Result<(), StoreError> {
        self.step("heartbeat", self.process.memory.heartbeat(beat)).await
    }
}
