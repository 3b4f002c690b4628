//! Decides about rows whose transactions the reports do not have.
//!
//! A row of the range that neither the journal nor the list has is not wrong by itself: it may have been deleted since, or
//! moved to another date, or have no amount. QuickBooks is asked for it by id.

use raw_store::MemberRange;
use time::Date;

use super::label::is_reported;
use super::lookup::{Answer, Lookup};
use super::matching::Matching;
use super::outcome::DiscrepancyKind;
use super::request::ReconcileRequest;
use super::tally::{DATE, Seen, day};
use crate::engine::Engine;
use crate::error::RunError;

/// The number of ids read from the store at once.
const STORED_AT_ONCE: u32 = 1000;

/// Looks for rows of the range that the reports do not have.
pub(super) async fn account_for_unlisted(
    engine: &Engine,
    request: &ReconcileRequest,
    matching: &mut Matching<'_>,
    lookup: &mut Lookup<'_>,
    unread: &[Date],
) -> Result<(), RunError> {
    let range = MemberRange { member: DATE.into(), first: day(request.first), last: day(request.last) };
    for candidate in 0..matching.candidates.len() {
        if !is_reported(matching.candidates[candidate].spec.name().as_str()) {
            continue;
        }
        let mut after: Box<str> = "".into();
        loop {
            let pipeline = &matching.candidates[candidate].pipeline;
            let stored = engine.store.lookup.ids_between(pipeline, &range, &after, STORED_AT_ONCE).await;
            let stored = stored.map_err(RunError::general)?;
            let is_last = stored.len() < STORED_AT_ONCE as usize;
            if let Some(last) = stored.last() {
                after.clone_from(last);
            }
            let unmet = stored.into_iter().filter(|id| !matching.candidates[candidate].has_met(id));
            let unmet: Vec<Box<str>> = unmet.collect();
            explain(request, (matching, candidate), lookup, (unmet, unread)).await?;
            if is_last {
                break;
            }
        }
    }
    Ok(())
}

/// Decides about some rows of one entity.
async fn explain(
    request: &ReconcileRequest,
    (matching, candidate): (&mut Matching<'_>, usize),
    lookup: &mut Lookup<'_>,
    (unmet, unread): (Vec<Box<str>>, &[Date]),
) -> Result<(), RunError> {
    if unmet.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = unmet.iter().map(|id| &**id).collect();
    let answer = lookup.ask(&matching.candidates[candidate].spec, &ids).await?;
    for id in unmet {
        let result = &mut matching.candidates[candidate].result;
        let mut date = None;
        let kind = match &answer {
            Answer::Unavailable | Answer::Unanswered => DiscrepancyKind::Unresolved,
            Answer::Known(found) => match found.get(&id) {
                // The reports and the query agree.
                None => DiscrepancyKind::Gone,
                Some(found) => {
                    date = found.date;
                    let is_in_range = date.is_none_or(|date| (request.first..=request.last).contains(&date));
                    match date {
                        _ if !is_in_range => DiscrepancyKind::Changed,
                        Some(date) if unread.contains(&date) => DiscrepancyKind::Unresolved,
                        _ if found.is_zero => {
                            result.without_amount += 1;
                            continue;
                        }
                        _ => DiscrepancyKind::Unlisted,
                    }
                }
            },
        };
        match kind {
            DiscrepancyKind::Gone => result.gone += 1,
            DiscrepancyKind::Changed => result.changed += 1,
            DiscrepancyKind::Unlisted => result.unlisted += 1,
            _ => result.unresolved += 1,
        }
        let pipeline = Some(result.pipeline.clone());
        let seen = Seen { label: "".into(), id, date, number: "".into(), amount: None, posts: true };
        matching.tally.note(kind, pipeline, seen);
    }
    Ok(())
}
