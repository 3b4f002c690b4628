//! Reconciliation with reports that QuickBooks cuts off somewhere: a row that is missing is told, wherever the cut is.

use std::sync::Arc;
use std::time::Duration;

use backfill_core::{CancellationToken, DiscrepancyKind, ReconcileRequest, Reconciliation, RunError};
use fastrand::Rng;
use fixtures::{Notice, ReportOptions, ReportStyle};
use qbo_client::report::{Basis, ReportRequest};
use raw_store::MemoryStore;
use time::Date;
use time::format_description::well_known::Iso8601;

use crate::ledger;
use crate::process::Process;
use crate::schedule::{house, identity, next_run};
use crate::source::REALM;
use crate::world::World;

/// How often a reconciliation is tried that ends with an error.
const TRIES: u32 = 20;

/// What the source makes of a report: a small part of what QuickBooks shows, so that reports of a few records are cut.
pub(crate) fn options(rng: &mut Rng) -> ReportOptions {
    ReportOptions {
        style: if rng.bool() { ReportStyle::Old } else { ReportStyle::New },
        most_cells: rng.usize(40..1_500),
        cuts_rows: rng.bool(),
        notice: [Notice::Row, Notice::Summary, Notice::SectionHeader, Notice::Header, Notice::Nowhere]
            [rng.usize(0..5)],
        ..ReportOptions::default()
    }
}

/// The source's answer to a report.
pub(crate) fn answer(world: &World, request: &ReportRequest) -> (u16, Option<String>, Vec<u8>) {
    let mut options = options(&mut Rng::with_seed(world.profile.seed));
    let state = world.state();
    if !state.quiet {
        options.most_cells = ReportOptions::default().most_cells;
    }
    let (status, body) = fixtures::report(&state.source.company, &options, &request.text());
    (status, None, body)
}

/// Takes one row away, and reconciles: it has to be told, unless QuickBooks never shows its day whole.
pub(crate) async fn reconciled(world: &Arc<World>, store: &Arc<MemoryStore>) -> bool {
    let Some((id, day)) = posted(world, store) else { return false };
    store.remove_row(&ledger::table(), &id);
    let Some(found) = until_answered(world, store, day).await else {
        world.breaks("I9", "no reconciliation comes to its end though nothing disturbs it".into());
        return true;
    };
    let is_told =
        found.discrepancies.iter().any(|one| *one.id == *id && one.kind == DiscrepancyKind::Missing);
    // Of a day alone, whose report ends between two transactions and says nothing of it, no other report shows that it is cut; the rows
    // that it lacks do, so that it does not tie out.
    let is_announced = options(&mut Rng::with_seed(world.profile.seed)).notice != Notice::Nowhere;
    let is_known = is_told || found.unread_days.contains(&day) || !is_announced;
    if found.ties_out() || !is_known {
        let how = format!("the row {id} of {day} is missing, and reports were read without a word of it");
        world.breaks("I26", how);
    }
    true
}

/// A stored invoice that the journal of its day has, and that day.
fn posted(world: &World, store: &MemoryStore) -> Option<(String, Date)> {
    let state = world.state();
    let rows = store.rows(&ledger::table());
    let all: Vec<_> = rows.iter().filter(|(_, row)| row.gone_found_at.is_none()).collect();
    let (id, row) = all.get(usize::try_from(world.profile.seed).ok()? % all.len().max(1))?;
    let document: serde_json::Value = serde_json::from_slice(&row.payload).ok()?;
    let day = Date::parse(document["TxnDate"].as_str()?, &Iso8601::DATE).ok()?;
    let question = format!("JournalReport?start_date={day}&end_date={day}&columns=tx_date,txn_type");
    let (status, journal) = fixtures::report(&state.source.company, &ReportOptions::default(), &question);
    let is_posted = status == 200 && String::from_utf8_lossy(&journal).contains(&format!("\"id\":\"{id}\""));
    is_posted.then(|| ((*id).clone(), day))
}

async fn until_answered(world: &Arc<World>, store: &Arc<MemoryStore>, day: Date) -> Option<Reconciliation> {
    for _ in 0..TRIES {
        let process = Process::new(world, store);
        let result = reconcile(&process, day).await;
        process.exits();
        match result {
            Ok(found) if found.failure.is_none() => return Some(found),
            Ok(Reconciliation { failure: Some(error), .. }) | Err(error) => {
                world.note(process.id, "ends with", &error.to_string());
            }
            Ok(_) => {}
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    None
}

async fn reconcile(process: &Arc<Process>, day: Date) -> Result<Reconciliation, RunError> {
    let house = house(process, REALM).await?;
    let request = ReconcileRequest {
        id: next_run(&process.world, "reconcile"),
        identity: identity(REALM),
        first: day - time::Duration::days(20),
        last: day + time::Duration::days(20),
        basis: Basis::Accrual,
        entities: ledger::catalog().entities().to_vec(),
    };
    let result = house.engine().reconcile(request, CancellationToken::new()).await;
    house.provider.shutdown().await;
    result
}
