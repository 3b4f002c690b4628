//! Finds rows by number, by id, or by day.

use std::sync::Arc;

use backfill_core::{Axis, EntitySpec};
use backfill_report::calendar::calendar;
use raw_store::{LineFilter, NumberSearch, RowRecord, StoreError, StoreErrorKind, Window};
use time::{Date, Duration, OffsetDateTime};

use crate::company::OpenCompany;
use crate::facts::number_member;
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;

/// Rows or ids on one page.
pub(super) const PAGE: u32 = 100;

/// The most windows of a day, and of the days beside it, that are looked at.
const MOST_LINES: u32 = 500;

/// What a search by number or id has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) rows: Vec<RowRecord>,
    /// An entity whose numbers the role may not read.
    pub(super) forbidden: bool,
    /// Whether the tables took too long, so that records may exist that are not shown.
    pub(super) gave_up: bool,
}

/// The ids of records that were last changed on one day.
#[derive(Debug)]
pub(super) struct OfDay {
    pub(super) span: Window,
    pub(super) ids: Vec<Box<str>>,
}

/// Where the number of an entity's records is searched for.
pub(super) fn number_search(spec: &EntitySpec) -> NumberSearch {
    // Documents without a number have an id.
    let member = number_member(spec).unwrap_or("Id");
    NumberSearch { pipeline: spec.pipeline(Axis::default()), member: member.into() }
}

/// Finds the records of some entities whose id or number is exactly `text`.
pub(super) async fn by_number(
    open: Arc<OpenCompany>,
    mut specs: Vec<EntitySpec>,
    text: String,
) -> Result<Found, Trouble> {
    let store = &open.store;
    if specs.len() > 1 {
        // Most entities of the catalogue have no rows.
        let inserted = store.inserted_rows().await?.value;
        specs.retain(|spec| {
            inserted.iter().any(|one| &*one.entity_name == spec.entity_name() && one.rows > 0)
        });
    }
    let mut found = Found::default();
    for spec in &specs {
        found.rows.extend(store.row(&number_search(spec), &text).await?.value);
    }
    let numbered = specs.iter().filter(|spec| number_member(spec).is_some());
    let searches: Vec<_> = numbered.map(number_search).collect();
    match store.rows_by_number(&searches, &text, PAGE).await {
        Ok(rows) => found.rows.extend(rows.value),
        Err(StoreError { kind: StoreErrorKind::Forbidden(_), .. }) => found.forbidden = true,
        Err(StoreError { kind: StoreErrorKind::Busy(_), .. }) => found.gave_up = true,
        Err(error) => return Err(error.into()),
    }
    let mut seen = std::collections::BTreeSet::new();
    found.rows.retain(|row| seen.insert((row.entity_name.clone(), row.id.clone())));
    Ok(found)
}

/// Lists the records of one entity that were last changed on a day, behind an id.
pub(super) async fn by_day(
    visit: CompanyVisit,
    open: Arc<OpenCompany>,
    spec: EntitySpec,
    (day, after): (Date, String),
) -> Result<OfDay, Trouble> {
    let span = span(&visit, &open, &spec, day).await?;
    let pipeline = spec.pipeline(Axis::default());
    let ids = open.store.stored_ids(&pipeline, Some(span), &after, PAGE).await?;
    Ok(OfDay { span, ids })
}

/// The time that the coverage page counts to a day: that of the windows that belong to it, which begin at the midnight of the
/// company's own zone or of UTC.
async fn span(
    visit: &CompanyVisit,
    open: &OpenCompany,
    spec: &EntitySpec,
    day: Date,
) -> Result<Window, Trouble> {
    let midnight = day.midnight().assume_utc();
    let near = Window::new(midnight - Duration::DAY, midnight + Duration::days(2)).ok();
    let filter = LineFilter {
        entity_name: Some(spec.entity_name().into()),
        time_axis: Some(Axis::Updated.as_str().into()),
        span: near,
        ..LineFilter::default()
    };
    let mut lines = open.store.page_of_lines(&filter, None, MOST_LINES).await?.value;
    lines.retain(|line| line.window.end() - line.window.start() <= Duration::DAY);
    let own_midnight = |at: OffsetDateTime| {
        let day = visit.when.day(at);
        (visit.when.midnight(day) == at).then_some(day)
    };
    let cells = calendar(&lines, own_midnight);
    let places = cells.get(&day).map(|cell| cell.lines.as_slice()).unwrap_or_default();
    let own = || places.iter().filter_map(|place| lines.get(*place)).map(|line| line.window);
    let start = own().map(Window::start).min().unwrap_or(midnight);
    let end = own().map(Window::end).max().unwrap_or(midnight + Duration::DAY);
    Window::new(start, end).map_err(|_| Trouble::Slow)
}
