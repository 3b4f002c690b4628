//! Everything that a coverage page is computed from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use backfill_core::EntitySpec;
use backfill_report::calendar::{DayCell, Mark, calendar};
use backfill_report::days::days_of;
use raw_store::{LineFilter, LogLine, NewestFinding, RunFilter, VerificationRecord, Window, WindowState};
use time::{Date, Duration, Month, OffsetDateTime};

use crate::company::OpenCompany;
use crate::facts::{PipelineFacts, pipelines};
use crate::pages::coverage::asked::Asked;
use crate::pages::log_overview::log_overview;
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;

/// The most windows of a year that are looked at: one for each hour, and some.
const MOST_LINES: u32 = 9_000;

/// How many failed windows the price is computed from.
pub(super) const MOST_FAILED: u32 = 500;

/// How many runs are looked at for the one that ended last.
const RUNS: u32 = 20;

/// How many findings are looked at.
const FINDINGS: u32 = 500;

/// Everything that a coverage page is computed from.
#[derive(Debug)]
pub(crate) struct Coverage {
    pub(crate) now: OffsetDateTime,
    /// The store's time when the log was summed up, which may be some seconds earlier.
    pub(crate) summed_up_at: OffsetDateTime,
    pub(crate) entity: String,
    pub(crate) axis: Box<str>,
    /// The axes by which the pipeline was read, the one that is shown included.
    pub(crate) axes: Vec<Box<str>>,
    /// `None` if the pipeline was never planned by this axis.
    pub(crate) facts: Option<PipelineFacts>,
    pub(crate) year: i32,
    /// The years with windows, and the most important mark of each.
    pub(crate) years: BTreeMap<i32, Mark>,
    /// The windows of the year.
    pub(crate) lines: Vec<LogLine>,
    pub(crate) cells: BTreeMap<Date, DayCell>,
    pub(crate) failed: Vec<LogLine>,
    pub(crate) findings: Vec<NewestFinding>,
    /// The days that a finding is about.
    pub(crate) marked: BTreeSet<Date>,
    pub(crate) verifications: Vec<VerificationRecord>,
    pub(crate) is_running: bool,
}

/// Reads what a coverage page shows.
pub(crate) async fn coverage(
    visit: CompanyVisit,
    spec: EntitySpec,
    asked: Asked,
    open: Arc<OpenCompany>,
) -> Result<Coverage, Trouble> {
    let store = &open.store;
    let entity = spec.entity_name();
    let newest = store.page_of_runs(&RunFilter::default(), None, RUNS).await?.value;
    let overview = log_overview(&visit, &newest).await?;
    let months: Vec<_> =
        overview.months.iter().filter(|month| &*month.entity_name == entity).cloned().collect();
    let all = pipelines(&months, &overview.stretches);
    let findings = store.newest_findings(FINDINGS).await?;
    let (now, findings) = (findings.now, findings.value);
    let first = || all.first().map(|facts| facts.time_axis.clone());
    let usual = || spec.axes().first().map(|axis| Box::from(axis.as_str()));
    let axis = asked.axis().map(Box::from).or_else(first).or_else(usual).unwrap_or_default();
    let axes = all.iter().map(|facts| facts.time_axis.clone()).collect();
    let facts = all.into_iter().find(|facts| facts.time_axis == axis);
    let years = years(facts.as_ref());
    let newest = || years.last_key_value().map(|(year, _)| *year);
    let year = asked.year().or_else(newest).unwrap_or_else(|| now.year());
    let own = || LineFilter {
        entity_name: Some(entity.into()),
        time_axis: Some(axis.clone()),
        ..LineFilter::default()
    };
    let filter = LineFilter { span: year_span(year), ..own() };
    let lines = store.page_of_lines(&filter, None, MOST_LINES).await?.value;
    let failed = LineFilter { state: Some(WindowState::Failed), ..own() };
    let findings: Vec<_> = findings.into_iter().filter(|one| &*one.entity_name == entity).collect();
    let verifications = store.last_verifications().await?;
    let own_midnight = |at: OffsetDateTime| {
        let day = visit.when.day(at);
        (visit.when.midnight(day) == at).then_some(day)
    };
    Ok(Coverage {
        now,
        summed_up_at: overview.now,
        entity: entity.to_owned(),
        facts,
        year,
        years,
        cells: calendar(&lines, own_midnight),
        is_running: lines.iter().any(|line| line.state == WindowState::Running),
        lines,
        failed: store.page_of_lines(&failed, None, MOST_FAILED).await?.value,
        marked: marked(&findings, year),
        findings,
        verifications: verifications.into_iter().filter(|one| &*one.entity_name == entity).collect(),
        axis,
        axes,
    })
}

/// The days of a year, with a day on either side for those of another zone.
fn year_span(year: i32) -> Option<Window> {
    let start = Date::from_calendar_date(year, Month::January, 1).ok()?.midnight().assume_utc();
    let end = Date::from_calendar_date(year + 1, Month::January, 1).ok()?.midnight().assume_utc();
    Window::new(start - Duration::DAY, end + Duration::DAY).ok()
}

fn years(facts: Option<&PipelineFacts>) -> BTreeMap<i32, Mark> {
    let mut years = BTreeMap::new();
    for ((year, _), mark) in facts.iter().flat_map(|facts| &facts.months) {
        let worst = years.entry(*year).or_insert(*mark);
        *worst = (*worst).max(*mark);
    }
    years
}

/// The days of a year that findings about a span of at most a month are about.
fn marked(findings: &[NewestFinding], year: i32) -> BTreeSet<Date> {
    let spans = findings.iter().filter_map(|one| one.finding.span);
    let short = spans.filter(|span| span.end() - span.start() <= Duration::days(31));
    short.flat_map(days_of).filter(|day| day.year() == year).collect()
}
