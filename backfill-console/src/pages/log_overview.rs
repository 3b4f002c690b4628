//! The whole log, summed up: what costs most of all that pages show, and what several of them begin with.

use std::sync::Arc;

use raw_store::{CoverageMonth, CoverageStretch};
use time::OffsetDateTime;

use crate::company::OpenCompany;
use crate::trouble::Trouble;
use crate::views::Pace;
use crate::visit::CompanyVisit;

/// The log by month, and what it covers without a gap.
#[derive(Debug)]
pub(crate) struct LogOverview {
    /// The store's time when it was summed up.
    pub(crate) now: OffsetDateTime,
    pub(crate) months: Vec<CoverageMonth>,
    pub(crate) stretches: Vec<CoverageStretch>,
}

/// Returns the overview that all pages and tabs share, unless a run has ended since it was summed up: beside the end of a run, what the
/// run had still to read would look as if it were missing.
pub(crate) async fn log_overview(
    visit: &CompanyVisit,
    open: &OpenCompany,
    run_ended_at: Option<OffsetDateTime>,
) -> Result<Arc<LogOverview>, Trouble> {
    let seen =
        visit.paced_view("log overview", Pace::LEISURELY, async |open| sum_up(visit, &open).await).await?;
    match seen.stale {
        Some(trouble) => Err(trouble),
        None if run_ended_at.is_some_and(|ended_at| seen.value.now <= ended_at) => {
            Ok(Arc::new(sum_up(visit, open).await?))
        }
        None => Ok(seen.value),
    }
}

async fn sum_up(visit: &CompanyVisit, open: &OpenCompany) -> Result<LogOverview, Trouble> {
    let months = open.months(&visit.company.zone).await?;
    let stretches = open.store.stretches().await?.value;
    Ok(LogOverview { now: months.now, months: months.value, stretches })
}
