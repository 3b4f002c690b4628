//! The whole log, summed up: what costs most of all that pages show, and what several of them begin with.

use std::sync::Arc;

use raw_store::{CoverageMonth, CoverageStretch, RunRecord};
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

/// Returns the overview that all pages and tabs share. After the end of a run there is a new one: beside the end of a run, what the run had
/// still to read would look as if it were missing.
pub(crate) async fn log_overview(
    visit: &CompanyVisit,
    runs: &[RunRecord],
) -> Result<Arc<LogOverview>, Trouble> {
    let ended = runs.iter().filter(|run| run.finished_at.is_some()).max_by_key(|run| run.finished_at);
    let address = format!("log overview {}", ended.map_or("", |run| run.id.as_str()));
    let compute = async |open: Arc<OpenCompany>| sum_up(visit, &open).await;
    let seen = visit.paced_view(&address, Pace::LEISURELY, compute).await?;
    match seen.stale {
        Some(trouble) => Err(trouble),
        None => Ok(seen.value),
    }
}

async fn sum_up(visit: &CompanyVisit, open: &OpenCompany) -> Result<LogOverview, Trouble> {
    let months = open.months(&visit.company.zone).await?;
    let stretches = open.store.stretches().await?.value;
    Ok(LogOverview { now: months.now, months: months.value, stretches })
}
