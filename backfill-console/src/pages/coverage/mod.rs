//! Coverage: which days of a pipeline are read and confirmed, and why others are not.

mod asked;
mod known;
mod year;
mod day;

mod overview;

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use backfill_report::calendar::Mark;

use self::asked::Asked;
use self::day::DayPanel;
pub(crate) use self::day::tone;
use self::known::Coverage;
use self::overview::Overview;
use self::year::{MonthTable, months};
use crate::pages::answer::page;
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::today::{PipelineTable, TodayTable};
use crate::pages::trouble::{Told, nothing_page, trouble_page};
use crate::route::Route;
use crate::visit::CompanyVisit;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::page("/c/{profile}/pipelines", list), Route::page("/c/{profile}/pipelines/{entity}", show)]
}

#[derive(Template)]
#[template(path = "pipelines.html")]
struct ListPage {
    frame: Frame,
    stale: Option<(Told, String)>,
    table: PipelineTable,
}

/// The pipelines of the company.
async fn list(visit: CompanyVisit) -> Response {
    let title = visit.visit.words().coverage.title;
    let seen = match TodayTable::seen(&visit).await {
        Ok(seen) => seen,
        Err(trouble) => return trouble_page(&visit, Area::Coverage, title, &trouble),
    };
    let stale = Told::stale(&visit, &seen);
    let status = if stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let frame = Frame::of(&visit, Area::Coverage, title, Every::HalfMinute);
    page(&visit.visit, status, &ListPage { frame, stale, table: TodayTable::table(&visit, &seen.value) })
}

#[derive(Template)]
#[template(path = "coverage.html")]
struct CoveragePage {
    frame: Frame,
    stale: Option<(Told, String)>,
    overview: Overview,
    months: Vec<MonthTable>,
    weekdays: [(&'static str, &'static str); 7],
    legend: Vec<Key>,
    day: Option<DayPanel>,
}

async fn show(
    visit: CompanyVisit,
    Path((_, entity)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let words = visit.visit.words();
    let entities = visit.company.catalog.entities();
    let Some(spec) = entities.iter().find(|spec| spec.entity_name() == entity) else {
        let all = entities.iter().map(|spec| {
            let name = spec.entity_name();
            (format!("{}/pipelines/{name}", visit.base()), visit.visit.language().entity(name))
        });
        return nothing_page(&visit, Area::Coverage, words.trouble.no_entity, all.collect());
    };
    let title = visit.visit.language().entity(spec.entity_name());
    let address = format!("coverage {entity} {}", asked.key());
    let own = (visit.clone(), spec.clone(), asked.clone());
    let seen = match visit.view(&address, move |open| known::coverage(own.0, own.1, own.2, open)).await {
        Ok(seen) => seen,
        Err(trouble) => return trouble_page(&visit, Area::Coverage, &title, &trouble),
    };
    let coverage: &Coverage = &seen.value;
    visit.visit.note_older(seen.age, coverage.now, coverage.summed_up_at);
    let stale = Told::stale(&visit, &seen);
    let status = if stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let every = if coverage.is_running { Every::FiveSeconds } else { Every::HalfMinute };
    let template = CoveragePage {
        frame: Frame::of(&visit, Area::Coverage, &title, every),
        stale,
        overview: Overview::new(&visit, coverage),
        months: months(&visit, coverage, asked.day()),
        weekdays: visit.visit.language().weekdays(),
        legend: legend(&visit),
        day: asked.day().map(|day| DayPanel::new(&visit, coverage, day)),
    };
    page(&visit.visit, status, &template)
}

/// One kind of cell, and what it means.
struct Key {
    class: &'static str,
    sign: &'static str,
    text: &'static str,
}

fn legend(visit: &CompanyVisit) -> Vec<Key> {
    let w = &visit.visit.words().coverage;
    let marks =
        [Mark::Empty, Mark::Unconfirmed, Mark::Provisional, Mark::Failed, Mark::Open, Mark::Unavailable];
    let marks = marks.map(|mark| Key { class: mark.class(), sign: mark.sign(), text: (w.mark)(mark) });
    let bare = |class, text| Key { class, sign: "", text };
    let levels = [bare("l1", w.few), bare("l4", w.many)];
    levels.into_iter().chain(marks).chain([bare("marked", w.finding)]).collect()
}
