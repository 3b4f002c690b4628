//! Today: is everything there, what happens now, and what a person has to do.

mod known;
mod sentence;
mod working;
mod todo;
mod table;
mod side;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

pub(crate) use self::known::Today;
pub(crate) use self::sentence::Sentence;
use self::side::{Budget, TriggerLine};
pub(crate) use self::table::PipelineTable;
use self::table::table;
use self::todo::{Todo, todo};
use self::working::{Working, working};
use crate::consents::ConsentStatus;
use crate::facts::Verdict;
use crate::pages::answer::page;
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::trouble::{Told, trouble_page};
use crate::route::Route;
use crate::trouble::Trouble;
use crate::views::Seen;
use crate::visit::CompanyVisit;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::page("/c/{profile}/", show)]
}

#[derive(Template)]
#[template(path = "today.html")]
struct TodayPage {
    frame: Frame,
    base: String,
    /// Why the page shows an earlier state, and how old that is.
    stale: Option<(Told, String)>,
    sentence: Sentence,
    /// Which of the three first steps are done, if nothing has been read.
    steps: Option<[bool; 3]>,
    working: Vec<Working>,
    todo: Vec<Todo>,
    table: PipelineTable,
    triggers: Vec<TriggerLine>,
    budget: Budget,
}

async fn show(visit: CompanyVisit) -> Response {
    let title = visit.visit.words().frame.today;
    let seen = match TodayTable::seen(&visit).await {
        Ok(seen) => seen,
        Err(trouble) => return trouble_page(&visit, Area::Today, title, &trouble),
    };
    let today = &*seen.value;
    let stale = Told::stale(&visit, &seen);
    let is_empty = matches!(today.verdict, Verdict::Nothing) || today.is_first();
    let steps = is_empty.then(|| {
        let connected = today.consent.is_none_or(|consent| consent != ConsentStatus::Missing);
        [connected, !today.triggers.is_empty() || !today.runs.is_empty(), today.is_worked]
    });
    let status = if stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let template = TodayPage {
        frame: Frame::of(&visit, Area::Today, title, every(today)),
        base: visit.base(),
        stale,
        sentence: Sentence::new(&visit, today),
        steps,
        working: working(&visit, today),
        todo: todo(&visit, today),
        table: table(&visit, today),
        triggers: side::triggers(&visit, today),
        budget: Budget::new(&visit, today),
    };
    page(&visit.visit, status, &template)
}

/// The part of Today that other pages show, too.
#[derive(Debug)]
pub(crate) struct TodayTable;

impl TodayTable {
    /// What Today is computed from.
    pub(crate) async fn seen(visit: &CompanyVisit) -> Result<Seen<Today>, Trouble> {
        let own = visit.clone();
        let seen = visit.view("today", move |open| known::today(own, open)).await?;
        visit.visit.note_older(seen.age, seen.value.now, seen.value.summed_up_at);
        Ok(seen)
    }

    /// The table of pipelines.
    pub(crate) fn table(visit: &CompanyVisit, today: &Today) -> PipelineTable {
        table(visit, today)
    }

    /// The sentence.
    pub(crate) fn sentence(visit: &CompanyVisit, today: &Today) -> Sentence {
        Sentence::new(visit, today)
    }
}

/// How often the page is fetched: by what is about to change.
fn every(today: &Today) -> Every {
    let soon = today.now + time::Duration::minutes(10);
    let is_near = |due: &crate::facts::Due| match due {
        crate::facts::Due::At(at) => *at < soon,
        crate::facts::Due::Now | crate::facts::Due::Running | crate::facts::Due::Resting(_) => true,
        _ => false,
    };
    match today {
        today if !today.live.is_empty() => Every::Second,
        today if today.is_worked || today.dues.iter().any(is_near) => Every::FiveSeconds,
        _ => Every::HalfMinute,
    }
}
