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
        Begun::New { unchanged, meddles } => {
            count_unchanged(&mut landing, &unchanged);
            point!("page.fenced");
            documents::land(&transaction, page, &mut landing, meddles).await?;
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
    /// The page is new; says which of its candidates are stored already, byte for byte, and whether something meddles with what
    /// is written to its table.
    New { unchanged: Vec<bool>, meddles: bool },
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
    let (held, claimed, (unchanged, altered), meddles) = try_join!(
        async {
            Ok(transaction
                .query_opt(&fence, &[&&*page.lease.entity_name, &page.lease.epoch])
                .await?
                .is_some())
        },
        pages::claim(transaction, &claim, page),
        async {
            if page.by_content {
                return Ok((vec![false; landing.candidates.len()], Altered::default()));
            }
            documents::unchanged(transaction, &look_up, &landing.candidates).await
        },
        documents::is_meddled(transaction, &meddled, &page.pipeline.table),
    )?;
    if !held {
        return Err(StoreErrorKind::LeaseLost(page.lease.entity_name.clone()));
    }
    if claimed {
        // The fingerprint is of what was sent, whatever was stored for it.
        let unchanged = if meddles { vec![false; unchanged.len()] } else { unchanged };
        return Ok((Begun::New { unchanged, meddles }, altered));
    }
    Ok((Begun::Known(pages::outcome(transaction, page).await?), altered))
}

fn count_unchanged(landing: &mut PreparedPage<'_>, unchanged: &[bool]) {
    let candidates = mem::take(&mut landing.candidates);
    for (candidate, unchanged) in candidates.into_iter().zip(unchanged) {
        if *unchanged {
            landing.tally.of(candidate.row).unchanged += 1;
        } else {
            landing.candidates.push(candidate);
        }
    }
}
