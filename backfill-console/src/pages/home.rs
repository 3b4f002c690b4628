//! The first page: the one company, or the list of them, each with its sentence.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};

use crate::pages::answer::page;
use crate::pages::frame::{Every, Frame};
use crate::pages::today::{Sentence, TodayTable};
use crate::pages::trouble::Told;
use crate::route::Route;
use crate::visit::{CompanyVisit, Visit};

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::page("/", show)]
}

/// A company of the list.
struct Line {
    href: String,
    profile: String,
    environment: String,
    /// Its sentence, unless it cannot be read.
    sentence: Option<Sentence>,
    trouble: Option<Told>,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
    companies: Vec<Line>,
}

async fn show(visit: Visit) -> Response {
    if let [only] = &*visit.app.companies {
        return (StatusCode::SEE_OTHER, [(LOCATION, format!("/c/{}/", only.profile))]).into_response();
    }
    let mut companies = Vec::new();
    for company in &visit.app.companies {
        let when = visit.when(&company.zone);
        let own = CompanyVisit { visit: visit.clone(), company: company.clone(), when };
        let seen = TodayTable::seen(&own).await;
        let trouble = match &seen {
            Ok(seen) => seen.stale.as_ref(),
            Err(trouble) => Some(trouble),
        };
        companies.push(Line {
            href: format!("{}/", own.base()),
            profile: company.profile.to_string(),
            environment: company.environment.to_string(),
            trouble: trouble.map(|trouble| Told::new(trouble, visit.words())),
            sentence: seen.ok().map(|seen| TodayTable::sentence(&own, &seen.value)),
        });
    }
    let every = Every::HalfMinute.seconds();
    let frame = Frame { every, ..Frame::new(&visit, visit.words().home.title) };
    page(&visit, StatusCode::OK, &HomePage { frame, companies })
}
