//! The page to search for records.

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use backfill_core::EntitySpec;
use raw_store::RowRecord;
use serde::Deserialize;
use time::macros::format_description;
use time::{Date, Month, OffsetDateTime};

use super::address::{address, segment, spec};
use super::grant::grant;
use super::nothing::no_entity;
use super::search::{Found, OfDay, PAGE, by_day, by_number};
use crate::pages::answer::page;
use crate::pages::choice::{Choice, entities};
use crate::pages::field::given;
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::trouble::{Told, trouble_page};
use crate::plain::Plain;
use crate::views::Seen;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    number: Option<String>,
    /// The entity, as the form of the page without one sends it.
    entity: Option<String>,
    day: Option<String>,
    after: Option<String>,
}

/// One row that was found.
struct Line {
    href: String,
    entity: String,
    id: Plain,
    number: Plain,
    changed: Option<Both>,
    is_gone: bool,
}

/// The ids of a day.
struct DayList {
    title: String,
    from: Both,
    to: Both,
    ids: Vec<(String, Plain)>,
    first: Option<String>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "records.html")]
struct RecordsPage {
    frame: Frame,
    stale: Option<(Told, String)>,
    base: String,
    title: String,
    number: Plain,
    entities: Vec<Choice>,
    /// What a search has found; `None` if nothing was searched for.
    lines: Option<Vec<Line>>,
    /// The right that is missing to search by number.
    grant: Option<String>,
    gave_up: bool,
    of_day: Option<DayList>,
    /// The days on which to look, if the page says nothing else.
    coverage: Option<String>,
}

/// Searches the records of every entity.
pub(super) async fn of_all(visit: CompanyVisit, Query(asked): Query<Asked>) -> Response {
    match given(asked.entity.as_ref()) {
        Some(entity) => of(visit, Some(entity), asked).await,
        None => of(visit, None, asked).await,
    }
}

/// Searches the records of one entity, or lists those of a day.
pub(super) async fn of_one(
    visit: CompanyVisit,
    Path((_, entity)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    of(visit, Some(entity), asked).await
}

async fn of(visit: CompanyVisit, entity: Option<String>, asked: Asked) -> Response {
    let chosen = entity.as_deref().and_then(|entity| spec(&visit, entity)).cloned();
    if entity.is_some() && chosen.is_none() {
        return no_entity(&visit);
    }
    match (given(asked.number.as_ref()), day(&asked), chosen) {
        (Some(number), _, chosen) => numbered(visit, chosen, number).await,
        (None, Some(day), Some(chosen)) => listed(visit, chosen, day, asked).await,
        (None, _, chosen) => page(&visit.visit, StatusCode::OK, &empty(&visit, chosen.as_ref())),
    }
}

fn day(asked: &Asked) -> Option<Date> {
    let day = Date::parse(&given(asked.day.as_ref())?, format_description!("[year]-[month]-[day]")).ok()?;
    let years = Date::from_calendar_date(1900, Month::January, 1).ok()?
        ..Date::from_calendar_date(2200, Month::January, 1).ok()?;
    years.contains(&day).then_some(day)
}

/// The page with nothing but its form.
fn empty(visit: &CompanyVisit, chosen: Option<&EntitySpec>) -> RecordsPage {
    let w = &visit.visit.words().records;
    let name = chosen.map(EntitySpec::entity_name);
    let title = name.map_or_else(|| w.title.to_owned(), |name| visit.visit.language().entity(name));
    RecordsPage {
        frame: Frame::of(visit, Area::Records, &title, Every::Never),
        stale: None,
        base: visit.base(),
        title,
        number: Plain::new(""),
        entities: entities(visit, name),
        lines: None,
        grant: None,
        gave_up: false,
        of_day: None,
        coverage: name.map(|name| format!("{}/pipelines/{}", visit.base(), segment(name))),
    }
}

async fn numbered(visit: CompanyVisit, chosen: Option<EntitySpec>, number: String) -> Response {
    let all = || visit.company.catalog.entities().to_vec();
    let specs = chosen.as_ref().map_or_else(all, |spec| vec![spec.clone()]);
    let name = chosen.as_ref().map(EntitySpec::entity_name);
    let (own, text) = (specs.clone(), number.clone());
    let view = format!("records {name:?} {number:?}");
    let seen: Seen<Found> = match visit.view(&view, move |open| by_number(open, own, text)).await {
        Ok(seen) => seen,
        Err(trouble) => {
            return trouble_page(&visit, Area::Records, visit.visit.words().records.title, &trouble);
        }
    };
    let stale = Told::stale(&visit, &seen);
    if let (Found { rows, forbidden: false, gave_up: false }, None) = (&*seen.value, &stale)
        && let [only] = &**rows
    {
        let href = address(&visit, &only.entity_name, &only.id);
        return (StatusCode::SEE_OTHER, [(LOCATION, href)]).into_response();
    }
    let found = &*seen.value;
    let status = if stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let template = RecordsPage {
        stale,
        number: Plain::new(&number),
        lines: Some(found.rows.iter().map(|row| line(&visit, row)).collect()),
        grant: specs.first().filter(|_| found.forbidden).map(|spec| grant(&visit, spec)),
        gave_up: found.gave_up,
        coverage: None,
        ..empty(&visit, chosen.as_ref())
    };
    page(&visit.visit, status, &template)
}

fn line(visit: &CompanyVisit, row: &RowRecord) -> Line {
    let now: OffsetDateTime = visit.visit.now();
    Line {
        href: address(visit, &row.entity_name, &row.id),
        entity: visit.visit.language().entity(&row.entity_name),
        id: Plain::new(&row.id),
        number: Plain::new(row.number.as_deref().unwrap_or_default()),
        changed: row.updated_at.map(|at| visit.when.moment(at, now)),
        is_gone: row.gone_found_at.is_some(),
    }
}

async fn listed(visit: CompanyVisit, chosen: EntitySpec, day: Date, asked: Asked) -> Response {
    let after: String = asked.after.as_deref().unwrap_or_default().replace('\0', "");
    let name = chosen.entity_name().to_owned();
    let (own, chosen_spec) = (visit.clone(), chosen.clone());
    let view = format!("records {name} of {day} {after:?}");
    let place = (day, after.clone());
    let read = visit.view(&view, move |open| by_day(own, open, chosen_spec, place));
    let seen: Seen<OfDay> = match read.await {
        Ok(seen) => seen,
        Err(trouble) => {
            return trouble_page(&visit, Area::Records, visit.visit.words().records.title, &trouble);
        }
    };
    let OfDay { span, ids } = &*seen.value;
    let is_full = ids.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
    let next = ids.last().filter(|_| is_full).map(|id| format!("?day={day}&after={}", segment(id)));
    let now = visit.visit.now();
    let of_day = DayList {
        title: visit.visit.language().day(day),
        from: visit.when.moment(span.start(), now),
        to: visit.when.moment(span.end(), now),
        ids: ids.iter().map(|id| (address(&visit, &name, id), Plain::new(id))).collect(),
        first: (!after.is_empty()).then(|| format!("?day={day}")),
        next,
    };
    let stale = Told::stale(&visit, &seen);
    let status = if stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let template = RecordsPage {
        stale,
        of_day: Some(of_day),
        coverage: Some(format!("{}/pipelines/{}?day={day}#day", visit.base(), segment(&name))),
        ..empty(&visit, Some(&chosen))
    };
    page(&visit.visit, status, &template)
}
