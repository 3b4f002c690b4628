//! What the observer has seen committed, and what must be true of it at every commit and at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use backfill_core::{Catalog, Report, RunOutcome, Thresholds, Verification};
use fixtures::Record;
use raw_store::{
    BackfillLog as _, CallAdmission, Lease, LogFilter, MemoryStore, PageCommit, PageOutcome, Quarantine as _,
    RunEnd, RunId, RunStart, RunStatus, Severity, StoredRow, TableName, Trigger, TriggerQueue as _,
    TriggerState, Window, WindowCounts, WindowState,
};
use time::OffsetDateTime;

use crate::process::Process;
use crate::profile::Scenario;
use crate::source::{ENTITY, REALM, span};
use crate::world::World;

/// How far before the source's clock a window must end to be complete (invariant I1).
const MARGIN: time::Duration = time::Duration::minutes(5);

#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pages: BTreeSet<(RunId, Box<str>, u32)>,
    /// Each answer that was landed: the run, the question, and when it was taken in.
    answers: BTreeSet<(RunId, Box<str>, OffsetDateTime)>,
    /// The newest lease of each name that anybody was given.
    granted: BTreeMap<Box<str>, i64>,
    totals: BTreeMap<RunId, (WindowCounts, u64)>,
    /// Rows that somebody changed by hand.
    by_hand: BTreeSet<Box<str>>,
    /// The longest pause that anybody asked for.
    longest_pause: Duration,
}

impl Ledger {
    /// The database has forgotten what came since; who was given a lease is another matter.
    pub(crate) fn fall_back_to(&mut self, before: Self) {
        *self = Self { granted: std::mem::take(&mut self.granted), ..before };
    }
}

/// Read once: ten thousands of processes begin in a minute.
pub(crate) fn catalog() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::bundled);
    &CATALOG
}

pub(crate) fn table() -> TableName {
    catalog().find(ENTITY).unwrap().table().clone()
}

/// The rows that a page is about to land on.
pub(crate) fn before(process: &Process, page: &PageCommit) -> Vec<Option<StoredRow>> {
    page.rows.iter().map(|row| process.memory.row(&page.pipeline.table, &row.id)).collect()
}

/// A page was committed, now or before.
pub(crate) fn committed(
    process: &Arc<Process>,
    page: &PageCommit,
    outcome: &PageOutcome,
    before: &[Option<StoredRow>],
) {
    let world = &process.world;
    let name = (page.run.clone(), page.pipeline.entity_name.clone(), page.page_number);
    if !world.state().ledger.pages.insert(name) {
        return;
    }
    world.note(process.id, "lands", &format!("page {} of {}", page.page_number, page.run));
    let breaks = |invariant, how: String| world.breaks(invariant, how);
    if is_superseded(world, &page.lease) {
        breaks(
            "I10",
            format!("page {} of {} was committed under a lease that another has", page.page_number, page.run),
        );
    }
    let read = outcome.total.read();
    let sent = (page.rows.len() + page.rejected.len()) as u64;
    if read != sent {
        breaks("I4", format!("{sent} documents were landed, {read} are in the log"));
    }
    let answer = (page.run.clone(), page.request.clone(), page.ingested_at);
    let again = !page.rows.is_empty() && !world.state().ledger.answers.insert(answer);
    if again {
        breaks("I4", format!("one answer was landed twice in {}", page.run));
    }
    for (row, before) in page.rows.iter().zip(before) {
        let after = process.memory.row(&page.pipeline.table, &row.id);
        let version = |row: &StoredRow| (row.updated_at, row.sync_token);
        match (before, &after) {
            (Some(before), Some(after))
                if version(after) < version(before) && !world.state().ledger.by_hand.contains(&row.id) =>
            {
                breaks(
                    "I2",
                    format!("record {} went back from {:?} to {:?}", row.id, version(before), version(after)),
                );
            }
            // A mark is taken away from the row of a record that came back.
            (Some(before), Some(after))
                if before.payload == after.payload && before != after && before.gone_found_at.is_none() =>
            {
                breaks("I5", format!("record {} was written again unchanged", row.id));
            }
            (Some(_), None) => breaks("I2", format!("record {} is gone", row.id)),
            _ => {}
        }
        if let Some(after) = &after {
            if !after.updated_at.is_some_and(|at| after.window.contains(at)) {
                breaks("I15", format!("record {} lies in a window that does not contain it", row.id));
            }
            if !std::str::from_utf8(&after.payload).is_ok_and(|payload| payload.contains(REALM)) {
                breaks("I14", format!("record {} is another company's", row.id));
            }
        }
    }
    {
        let mut state = world.state();
        let totals = state.ledger.totals.entry(page.run.clone()).or_default();
        totals.0 += outcome.total;
        totals.1 += 1;
    }
    let completed = page.windows.iter().filter(|change| change.state == WindowState::Completed);
    closed(process, &completed.map(|change| change.window).collect::<Vec<_>>());
}

/// Windows were completed, with a page or behind the last one.
pub(crate) fn closed(process: &Arc<Process>, closed: &[Window]) {
    let world = &process.world;
    let breaks = |invariant, how: String| world.breaks(invariant, how);
    let unsettled = closed.iter().find(|window| window.end() > world.now() - MARGIN);
    if let Some(window) = unsettled {
        breaks("I1", format!("a window was completed that ends at {}, too near to now", window.end()));
    }
    for id in missing(world, &process.memory, |at| closed.iter().any(|window| window.contains(at))) {
        breaks("I1", format!("record {id} is not there when its window is completed"));
    }
}

/// Records of some time that are not stored as they are, and that nothing excuses.
fn missing(world: &World, store: &MemoryStore, within: impl Fn(OffsetDateTime) -> bool) -> Vec<String> {
    let table = table();
    let state = world.state();
    let records = state.source.company.records(ENTITY).filter(|record| within(record.last_updated));
    let expected = |record: &Record| {
        if world.profile.no_include { record.payload.clone() } else { record.full_payload() }
    };
    records
        .filter(|record| record.hostile.is_none() && !record.poisoned && !state.source.is_odd(&record.id))
        .filter(|record| store.row(&table, &record.id).is_none_or(|row| row.payload != expected(record)))
        .map(|record| record.id.clone())
        .collect()
}

/// Records of some time that no row can hold, and that are not put aside either: with their bytes, or with their place if
/// they cannot be delivered.
async fn unaccounted(
    world: &World,
    store: &MemoryStore,
    within: impl Fn(OffsetDateTime) -> bool,
) -> Vec<String> {
    let mut aside = Vec::new();
    for one in store.quarantine().into_iter().filter(|one| one.resolved_at.is_none()) {
        let bytes = store.quarantined_bytes(&one.entity_name, &one.digest).await.unwrap();
        aside.push((one, bytes.unwrap_or_default()));
    }
    let state = world.state();
    let records = state.source.company.records(ENTITY).filter(|record| within(record.last_updated));
    let is_aside = |record: &Record| {
        aside.iter().any(|(one, bytes)| {
            if record.poisoned {
                one.record_id.is_none() && one.window.contains(record.last_updated)
            } else {
                *bytes == record.payload
            }
        })
    };
    let apart = records.filter(|record| record.hostile.is_some() || record.poisoned);
    let mut lost: Vec<_> = apart.filter(|record| !is_aside(record)).map(|record| record.id.clone()).collect();
    if let Some(odd) = &state.source.odd
        && state.source.company.record(ENTITY, &odd.id).is_some_and(|record| within(record.last_updated))
    {
        let row = store.row(&table(), &odd.id);
        let is_row =
            row.is_some_and(|row| [&odd.sound, &odd.odd].iter().any(|text| row.payload == text.as_bytes()));
        if !is_row && !aside.iter().any(|(_, bytes)| *bytes == odd.odd.as_bytes()) {
            lost.push(odd.id.clone());
        }
    }
    lost
}

/// Somebody changes a row, which claims from now on to be newer than anything that the source has.
pub(crate) fn change_by_hand(world: &World, store: &MemoryStore) {
    // One that the source still delivers: what was edited since lies behind the range, and is not read again.
    let (start, end) = crate::source::span(&world.profile);
    let is_delivered = |row: &StoredRow| {
        let state = world.state();
        let mut records = state.source.company.records(ENTITY);
        records.any(|one| *one.id == *row.id && one.last_updated >= start && one.last_updated < end)
            && !state.source.is_odd(&row.id)
    };
    let Some(row) = store.rows(&table()).into_values().find(is_delivered) else { return };
    let payload = [&row.payload[..row.payload.len() - 1], br#","ByHand":true}"#].concat();
    let updated_at = Some(world.now() + time::Duration::days(1));
    world.state().ledger.by_hand.insert(row.id.clone());
    store.put_row(&table(), StoredRow { payload: payload.into(), updated_at, ..row });
}

/// A lease was given to somebody.
pub(crate) fn granted(world: &World, lease: &Lease) {
    world.state().ledger.granted.insert(lease.entity_name.clone(), lease.epoch);
}

/// Whether a later one was given to anybody since, whatever the store says now.
fn is_superseded(world: &World, lease: &Lease) -> bool {
    world.state().ledger.granted.get(&lease.entity_name).is_some_and(|newest| *newest > lease.epoch)
}

/// A trigger was fired, or its run is gone on with.
pub(crate) fn fired(process: &Arc<Process>, lease: &Lease, fired: &Trigger, run: &RunStart) {
    let world = &process.world;
    if is_superseded(world, lease) {
        world.breaks("I10", format!("trigger {} was fired under a lease that another has", fired.asked.name));
    }
    if fired.run.as_ref() != Some(&run.id) {
        return;
    }
    world.note(process.id, "fires", fired.asked.name.as_str());
    if fired.asked.fire_at > world.database_time() {
        world.breaks("I12", format!("trigger {} was fired before its time", fired.asked.name));
    }
}

/// Somebody asks for a pause of all calls.
pub(crate) fn pauses(world: &World, pause: Duration) {
    let mut state = world.state();
    state.ledger.longest_pause = state.ledger.longest_pause.max(pause);
}

/// A call has to wait: for a place in a minute, or for a pause, and never for what a clock says that was set back.
pub(crate) fn waits(world: &World, admission: &CallAdmission) {
    let CallAdmission::Wait(time) = admission else { return };
    let longest = world.state().ledger.longest_pause.max(Duration::from_secs(100));
    if *time > longest {
        world.breaks("I28", format!("a call is made to wait for {} s", time.as_secs()));
    }
}

/// A run says that it is complete: so does the log, unless the database has forgotten something since the run last looked, or
/// another run has begun.
pub(crate) async fn claims(process: &Arc<Process>, run: &RunId, end: &RunEnd) {
    let world = &process.world;
    if end.status != RunStatus::Completed || process.looked_at() != world.state().forgets {
        return;
    }
    let (start, end) = span(&world.profile);
    let lines = process.memory.lines(&LogFilter::default()).await.unwrap();
    let whole = lines.first().is_some_and(|line| line.window.start() <= start)
        && lines.last().is_some_and(|line| line.window.end() >= end);
    let own = lines.iter().filter(|line| line.run.as_ref() == Some(run));
    let open = own.filter(|line| line.state != WindowState::Completed).map(|line| line.window.start());
    let open: Vec<_> = open.collect();
    let is_whole = whole || world.profile.scenario == Scenario::Triggers;
    if !is_whole || !open.is_empty() {
        world.breaks("I27", format!("run {run} says that it is complete, and the log does not: {open:?}"));
    }
}

/// A run that has read a range that ends now says that it is complete, unless something else than the time keeps it from that.
pub(crate) fn has_settled(world: &World, outcome: &RunOutcome) {
    let is_sound = outcome.totals().windows_failed == 0 && outcome.open_quarantine == 0;
    if world.profile.settles_all() && is_sound && outcome.status() != RunStatus::Completed {
        let (run, status) = (outcome.run(), outcome.status());
        world.breaks("I29", format!("run {run} was to settle its windows, and is {status:?}"));
    }
}

/// A row of a completed window is marked as gone if the source no longer has its record, and no other row is.
pub(crate) async fn marks_are_true(world: &World, store: &MemoryStore) {
    let lines = store.lines(&LogFilter::default()).await.unwrap();
    let is_done = |at| {
        let mut lines = lines.iter();
        lines.any(|line| line.state == WindowState::Completed && line.window.contains(at))
    };
    for row in store.rows(&table()).into_values() {
        let (is_there, is_marked) =
            (world.state().source.company.record(ENTITY, &row.id).is_some(), row.gone_found_at.is_some());
        if is_marked && is_there {
            world.breaks("I30", format!("record {} is marked as gone, and the source has it", row.id));
        }
        if !is_marked && !is_there && row.updated_at.is_some_and(is_done) {
            world.breaks("I30", format!("record {} is gone, and its row is not marked", row.id));
        }
    }
}

/// What a verification has just found to agree, another one confirms by counting alone.
pub(crate) fn nothing_was_read(world: &World, store: &MemoryStore, again: &Verification) {
    // A record that was edited since has left the window of its row, or the range: its time has to be explained anew.
    let is_as_read = |row: &StoredRow| {
        let state = world.state();
        let record = state.source.company.record(ENTITY, &row.id);
        row.gone_found_at.is_some()
            || record.is_some_and(|record| row.updated_at == Some(record.last_updated))
    };
    if world.profile.unstorable || !store.rows(&table()).values().all(is_as_read) {
        return;
    }
    for one in &again.pipelines {
        if one.same + one.missing + one.changed + one.gone > 0 {
            world.breaks(
                "I31",
                format!("{} was read again, though nothing has changed: {one:?}", one.pipeline),
            );
        }
    }
}

/// A record that was deleted comes back as it was. Returns whether one does.
pub(crate) fn one_comes_back(world: &World, store: &MemoryStore) -> bool {
    let mut rows = store.rows(&table()).into_values();
    let Some(row) = rows.find(|row| row.gone_found_at.is_some()) else { return false };
    let record = Record::from_payload(row.payload);
    world.state().source.company.insert(ENTITY, record.expect("a sound record"));
    true
}

/// What must be true when everything has come to its end.
pub(crate) async fn at_the_end(world: &Arc<World>, store: &MemoryStore) {
    let breaks = |invariant, how: String| world.breaks(invariant, how);
    let now = world.now();
    let lines = store.lines(&LogFilter::default()).await.unwrap();
    let (start, end) = span(&world.profile);
    let mut next = start;
    for line in &lines {
        if line.window.start() != next {
            breaks("I15", format!("the windows have a gap before {}", line.window.start()));
        }
        next = line.window.end();
        // Nothing is completed by a clock that another one contradicts.
        let earliest = now.min(world.host_time()).min(world.database_time());
        let is_of_triggers = world.profile.scenario == Scenario::Triggers;
        let settled = line.window.end() <= earliest - MARGIN - time::Duration::minutes(1);
        let open = match line.state {
            WindowState::Completed => false,
            // A trigger fires once: what it read while the source's clock lay behind stays provisional, and its note says so.
            WindowState::Provisional => settled && (world.profile.lies == 0 || !is_of_triggers),
            // Whatever of it can be read was read again and again.
            _ => true,
        };
        if open {
            let (state, why) = (line.state, line.error_message.clone().unwrap_or_default());
            breaks("I9", format!("window {} is {state} at the end ({why})", line.window.start()));
        }
    }
    if next != end && !lines.is_empty() {
        breaks("I15", "the windows do not reach to the end of the range".into());
    }
    let done = |at| lines.iter().any(|line| line.state == WindowState::Completed && line.window.contains(at));
    for id in missing(world, store, done) {
        breaks("I1", format!("record {id} is missing at the end"));
    }
    for id in unaccounted(world, store, done).await {
        breaks("I13", format!("record {id} is neither stored nor put aside"));
    }
    for run in store.runs(u32::MAX).await.unwrap() {
        let (counts, pages) = world.state().ledger.totals.get(&run.id).copied().unwrap_or_default();
        let totals = run.pipelines.iter().fold((WindowCounts::default(), 0), |(mut sum, pages), one| {
            sum += one.counts;
            (sum, pages + one.pages)
        });
        if totals != (counts, pages) {
            breaks("I4", format!("run {} says {totals:?}, committed were {:?}", run.id, (counts, pages)));
        }
    }
    for name in store.owned() {
        breaks("I24", format!("{name} is still owned"));
    }
    if world.state().disk.is_locked() {
        breaks("I24", "the vault is still locked".into());
    }
    report_agrees(world, store).await;
    triggers_fired_once(world, store).await;
}

/// What a report says is what the rows and the log hold.
async fn report_agrees(world: &Arc<World>, store: &MemoryStore) {
    let breaks = |how: String| world.breaks("I21", how);
    let Ok(report) = Report::build(store, catalog(), None).await else {
        return;
    };
    match report.validate(store, &Thresholds::default(), report.run.started_at).await {
        Ok(validated) => {
            let mut findings: Vec<_> = validated.into_iter().flat_map(|one| one.findings).collect();
            findings.retain(|finding| finding.severity == Severity::Error);
            if !findings.is_empty() && !world.profile.unstorable {
                breaks(format!("a look over the rows contradicts the log: {findings:?}"));
            }
        }
        Err(error) => breaks(format!("the rows cannot be looked over: {error}")),
    }
    for pipeline in &report.pipelines {
        for (said, state) in [
            (pipeline.totals.windows_completed, WindowState::Completed),
            (pipeline.totals.windows_provisional, WindowState::Provisional),
        ] {
            let lines = pipeline.windows.iter().filter(|line| line.run.as_ref() == Some(&report.run.id));
            let counted = lines.filter(|line| line.state == state).count() as u64;
            if said != counted {
                breaks(format!("the report says {said} windows {state}, the log has {counted}"));
            }
        }
    }
}

async fn triggers_fired_once(world: &Arc<World>, store: &MemoryStore) {
    let (triggers, _) = store.triggers().await.unwrap();
    if triggers.is_empty() {
        return;
    }
    let breaks = |how: String| world.breaks("I12", how);
    let mut of_triggers = BTreeSet::new();
    for trigger in &triggers {
        let history = store.trigger_history(&trigger.asked.name).await.unwrap();
        let fired = history.iter().filter(|event| &*event.event == "fired").count();
        if fired > trigger.armings as usize {
            breaks(format!("trigger {} was fired {fired} times", trigger.asked.name));
        }
        if trigger.state == TriggerState::Armed || trigger.state == TriggerState::Running {
            world.breaks(
                "I9",
                format!("trigger {} is {} at the end", trigger.asked.name, trigger.state.as_str()),
            );
        }
        of_triggers.extend(history.into_iter().filter_map(|event| event.run));
    }
    for run in store.runs(u32::MAX).await.unwrap() {
        // A database that forgot that a trigger fired has it fire again; the run under way goes on all the same.
        let knows = of_triggers.contains(&run.id) || world.state().forgets > 0;
        if !knows && run.id.as_str().starts_with("triggered") {
            breaks(format!("run {} was begun and no trigger knows of it", run.id));
        }
    }
}
