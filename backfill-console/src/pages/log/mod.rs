//! The log: what happened, by time.

mod moment;
mod asked;
mod known;
mod line;

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use raw_store::{HistoryFilter, HistoryPhase, Severity};

use self::asked::{Asked, Place};
use self::known::{Known, known};
use self::line::{Day, days};
use crate::pages::answer::page;
use crate::pages::choice::{Choice, entities};
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::trouble::{Told, trouble_page};
use crate::plain::Plain;
use crate::route::Route;
use crate::visit::CompanyVisit;

const LEVELS: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Error];

const PHASES: [HistoryPhase; 8] = [
    HistoryPhase::Auth,
    HistoryPhase::Extract,
    HistoryPhase::Load,
    HistoryPhase::Run,
    HistoryPhase::Trigger,
    HistoryPhase::Validate,
    HistoryPhase::Verify,
    HistoryPhase::Console,
];

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::page("/c/{profile}/log", show)]
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    frame: Frame,
    stale: Option<(Told, String)>,
    /// The names of the two zones; the second is empty if they are the same.
    places: (String, String),
    /// What the fields of the form hold.
    at: Plain,
    run: Plain,
    who: Plain,
    q: Plain,
    levels: Vec<Choice>,
    phases: Vec<Choice>,
    entities: Vec<Choice>,
    /// What is wrong with a field, beside it.
    wrong_at: Option<String>,
    wrong_run: Option<&'static str>,
    is_filtered: bool,
    is_newest: bool,
    days: Vec<Day>,
    newest: String,
    earlier: Option<String>,
    later: Option<String>,
}

async fn show(visit: CompanyVisit, Query(asked): Query<Asked>) -> Response {
    let title = visit.visit.words().log.title;
    let filter = asked.filter();
    let place = asked.place(&visit);
    // A run that is no name of one happened nowhere: an unfiltered log would answer another question.
    let is_sound = asked.wrong_run(&visit).is_none();
    let address = format!("log {is_sound} {filter:?} {place:?}");
    let (own, at) = (filter.clone(), place.clone());
    let read = visit.view(&address, async move |open| known(&open, is_sound, &own, &at).await);
    let seen = match read.await {
        Ok(seen) => seen,
        Err(trouble) => return trouble_page(&visit, Area::Log, title, &trouble),
    };
    let stale = Told::stale(&visit, &seen);
    let status = if stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    page(&visit.visit, status, &fill(&visit, &asked, (&filter, &place), &seen.value, stale))
}

fn fill(
    visit: &CompanyVisit,
    asked: &Asked,
    (filter, place): (&HistoryFilter, &Place),
    known: &Known,
    stale: Option<(Told, String)>,
) -> LogPage {
    let w = &visit.visit.words().log;
    let (first, second) = visit.when.places();
    let kept = asked.kept();
    let link = |name: &str, key: Option<String>| key.map(|key| format!("?{kept}{name}={key}"));
    // Only what was just written changes.
    let every = if *place == Place::Newest { Every::HalfMinute } else { Every::Never };
    LogPage {
        frame: Frame::of(visit, Area::Log, w.title, every),
        stale,
        places: (first.to_owned(), second.to_owned()),
        at: asked.at_field(visit, place),
        run: Plain::new(asked.run.as_deref().unwrap_or_default()),
        who: Plain::new(asked.who.as_deref().unwrap_or_default()),
        q: Plain::new(asked.q.as_deref().unwrap_or_default()),
        levels: choices(&LEVELS, filter.level, Severity::as_str, w.at_least),
        phases: choices(&PHASES, filter.phase, HistoryPhase::as_str, w.phase_name),
        entities: entities(visit, filter.entity_name.as_deref()),
        wrong_at: asked.wrong_at(visit),
        wrong_run: asked.wrong_run(visit),
        is_filtered: *filter != HistoryFilter::default() || asked.wrong_run(visit).is_some(),
        is_newest: *place == Place::Newest,
        days: days(visit, &known.entries, place.moment()),
        newest: format!("?{kept}"),
        earlier: link("before", known.earlier()),
        later: link("after", known.later()),
    }
}

fn choices<T: Copy + PartialEq>(
    all: &[T],
    chosen: Option<T>,
    value: fn(T) -> &'static str,
    text: fn(T) -> &'static str,
) -> Vec<Choice> {
    let choice = |one: &T| Choice {
        value: value(*one).to_owned(),
        text: text(*one).to_owned(),
        is_chosen: chosen == Some(*one),
    };
    all.iter().map(choice).collect()
}
