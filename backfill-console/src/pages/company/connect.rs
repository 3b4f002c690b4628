//! Connecting the company to QuickBooks.

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};

use crate::consents::ConsentAttempt;
use crate::pages::answer::page;
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::trouble::trouble_page;
use crate::problem::Problem;
use crate::record::{Act, record};
use crate::trouble::Trouble;
use crate::visit::{CompanyVisit, Visit};

/// Starts a consent, in a tab of its own, and leads on to Intuit's page. Not by a redirect: the policy of every page sends forms to
/// the console alone, and browsers apply it to where the answer of a form leads.
pub(super) async fn start(visit: CompanyVisit) -> Response {
    let words = visit.visit.words();
    let Some(consents) = &visit.company.consents else {
        let problem = Problem::new(words.company.no_consents, "");
        return trouble_page(&visit, Area::Company, words.company.title, &Trouble::Closed(problem));
    };
    let who = visit.visit.who();
    let started = consents.start(&who).await;
    let is_of_another = started.as_ref().is_ok_and(|attempt| *attempt.started_by != *who);
    // The store may be away: a consent is started all the same, because it may be what is missing.
    if let Ok(open) = visit.company.store.open().await {
        let of_another = is_of_another.then(|| "another person has opened one".to_owned());
        let detail = started.as_ref().err().map(|problem| problem.what.clone()).or(of_another);
        let is_refused = detail.is_some();
        drop(
            record(&visit, &open, Act { event: "consent started", is_refused, detail, ..Act::default() })
                .await,
        );
    }
    visit.visit.app.views.refresh();
    match started {
        // The company's page says who has opened it, and leads to it.
        Ok(_) if is_of_another => {
            (StatusCode::SEE_OTHER, [(LOCATION, format!("{}/company", visit.base()))]).into_response()
        }
        Ok(ConsentAttempt { address, .. }) => {
            let frame = Frame::of(&visit, Area::Company, words.company.title, Every::Never);
            page(&visit.visit, StatusCode::OK, &LeavingPage { frame, address })
        }
        Err(problem) => trouble_page(&visit, Area::Company, words.company.title, &Trouble::Closed(problem)),
    }
}

/// The page that the browser goes on to Intuit's from.
#[derive(Template)]
#[template(path = "leaving.html")]
struct LeavingPage {
    frame: Frame,
    address: String,
}

#[derive(Template)]
#[template(path = "callback.html")]
struct CallbackPage {
    frame: Frame,
    is_known: bool,
}

/// Receives Intuit's answer. The browser sends no session with it, because another site leads here: the answer is judged by
/// the random value in it alone.
pub(super) async fn receive(visit: Visit, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let mut is_known = false;
    for consents in visit.app.companies.iter().filter_map(|company| company.consents.as_ref()) {
        is_known = is_known || consents.receive(&query).await;
    }
    if is_known {
        visit.app.views.refresh();
    }
    let status = if is_known { StatusCode::OK } else { StatusCode::FORBIDDEN };
    // The address holds a secret, and must not be part of the page.
    let visit = Visit { address: "/".to_owned(), known: None, ..visit };
    let frame = Frame::new(&visit, visit.words().company.callback_title);
    page(&visit, status, &CallbackPage { frame, is_known })
}
