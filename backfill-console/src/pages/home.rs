//! The first page: the one company, or the list of them.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};

use crate::pages::answer::page;
use crate::pages::frame::Frame;
use crate::route::Route;
use crate::visit::Visit;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::page("/", show)]
}

/// A company of the list.
struct Line {
    href: String,
    profile: String,
    environment: String,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
    companies: Vec<Line>,
}

async fn show(visit: Visit) -> Response {
    let lines = visit.app.companies.iter().map(|company| Line {
        href: format!("/c/{}/", company.profile),
        profile: company.profile.to_string(),
        environment: company.environment.to_string(),
    });
    let companies: Vec<_> = lines.collect();
    if let [only] = &*companies {
        return (StatusCode::SEE_OTHER, [(LOCATION, only.href.clone())]).into_response();
    }
    let frame = Frame::new(&visit, visit.words().home.title);
    page(&visit, StatusCode::OK, &HomePage { frame, companies })
}
