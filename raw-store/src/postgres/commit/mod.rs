//! Commits one page: rows, quarantine, windows and totals, in one transaction.

pub(super) mod documents;
pub(super) mod jsonb;
pub(super) mod pages;
pub(super) mod quarantine;
mod window_totals;

use std::mem;

use deadpool_postgres::{Object, Transaction};
use failpoint::point;
use futures_util::try_join;

use self::documents::Work;
use super::lease;
use crate::prepare::PreparedPage;
use crate::{Altered, PageCommit, PageOutcome, StoreErrorKind};

/// Commits one page in one transaction.
///
/// Locks are taken in the order lease, page, rows by id, quarantine, windows by time, totals; so two pages cannot deadlock.
pub(super) async fn commit(client: &mut Object, page: &PageCommit) -> Result<PageOutcome, StoreErrorKind> {
    let mut landing = PreparedPage::of(page)?;
    let transaction = client.transaction().await?;
    point!("page.begun");
    let (begun, altered) = begin(&transaction, page, &landing).await?;
    match begun {
        Begun::Known(outcome) => {
            transaction.rollback().await?;
            return Ok(PageOutcome { altered, ..outcome });
        }
        Begun::New { work, meddles } => {
            let marked = take_unchanged(&mut landing, &work);
            point!("page.fenced");
            documents::land(&transaction, page, &mut landing, (&marked, meddles)).await?;
        }
    }
    point!("page.written");
    let kept = landing.take_kept();
    let outcome = PageOutcome { altered, ..landing.tally.outcome() };
    try_join!(
        quarantine::keep(&transaction, page, &kept),
        window_totals::advance(&transaction, page, &outcome),
        pages::conclude(&transaction, page, &outcome),
    )?;
    point!("page.accounted");
    point!("page.commit", transaction.commit()).await?;
    point!("page.committed");
    Ok(outcome)
}

/// Whether a page is new or was committed before.
enum Begun {
    /// The page was committed before.
    Known(PageOutcome),
    /// The page is new; says what has to be done about each of its candidates, and whether something meddles with what is
    /// written to its table.
    New { work: Vec<Work>, meddles: bool },
}

/// Checks the lease, claims the page's identity and reads which documents are stored already, in one round trip. Rows that were
/// changed by hand are reported for a known page, too: all of it is stored.
async fn begin(
    transaction: &Transaction<'_>,
    page: &PageCommit,
    landing: &PreparedPage<'_>,
) -> Result<(Begun, Altered), StoreErrorKind> {
    let fence = transaction.prepare_cached(lease::FENCE).await?;
    let claim = transaction.prepare_cached(pages::CLAIM).await?;
    let look_up = documents::prepare_look_up(transaction, page).await?;
    let meddled = transaction.prepare_cached(documents::MEDDLED).await?;
    // Polled in this order, so they reach the server in this order.
    let (held, claimed, (mut work, altered), meddles) = try_join!(
        async {
            Ok(transaction
                .query_opt(&fence, &[&&*page.lease.entity_name, &page.lease.epoch])
                .await?
                .is_some())
        },
        pages::claim(transaction, &claim, page),
        documents::work(transaction, &look_up, &landing.candidates, page.by_content),
        documents::is_meddled(transaction, &meddled, &page.pipeline.table),
    )?;
    if !held {
        return Err(StoreErrorKind::LeaseLost(page.lease.entity_name.clone()));
    }
    if claimed {
        // The fingerprint is of what was sent, whatever was stored for it.
        if meddles {
            work.iter_mut().filter(|work| **work == Work::Nothing).for_each(|work| *work = Work::Write);
        }
        return Ok((Begun::New { work, meddles }, altered));
    }
    Ok((Begun::Known(pages::outcome(transaction, page).await?), altered))
}

/// Counts the candidates that need no work, and takes them out. Returns the ids of those whose rows are marked as gone, in
/// ascending order, as the candidates are.
fn take_unchanged<'p>(landing: &mut PreparedPage<'p>, work: &[Work]) -> Vec<&'p str> {
    let candidates = mem::take(&mut landing.candidates);
    let mut marked = Vec::new();
    for (candidate, work) in candidates.into_iter().zip(work) {
        if *work == Work::Nothing {
            landing.tally.of(candidate.row).unchanged += 1;
            continue;
        }
        if *work == Work::WriteAndUnmark {
            marked.push(&*candidate.row.id);
        }
        landing.candidates.push(candidate);
    }
    marked
}
