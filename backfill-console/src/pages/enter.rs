//! Signing in and out.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Extension, Query, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use crate::app::App;
use crate::door::Origin;
use crate::pages::answer::page;
use crate::pages::frame::Frame;
use crate::route::Route;
use crate::secret_text::SecretText;
use crate::session::{KeyCheck, PersonName, cookie_value, session_cookie, session_cookie_name};
use crate::sign_in::session;
use crate::visit::Visit;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::open("/enter", show), Route::sign("/enter", enter), Route::sign("/leave", leave)]
}

#[derive(Template)]
#[template(path = "enter.html")]
struct EnterPage {
    frame: Frame,
    problem: Option<&'static str>,
    next: String,
    is_behind_proxy: bool,
    /// The address at which the console's cookie is its own, if it was asked for by another name of this machine.
    apart: Option<String>,
}

/// What the address of the page says.
#[derive(Debug, Deserialize)]
struct Asked {
    link: Option<String>,
    next: Option<String>,
}

/// What the form sends.
#[derive(Deserialize)]
struct Entered {
    name: String,
    key: SecretText,
    #[serde(default)]
    next: String,
}

async fn show(
    visit: Visit,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let next = asked.next.unwrap_or_default();
    if session(&visit.app, &origin, &headers).is_some() {
        return (StatusCode::SEE_OTHER, [(LOCATION, local(&next).to_owned())]).into_response();
    }
    let app = &visit.app;
    let Some(link) = asked.link.filter(|_| !app.is_behind_proxy) else {
        return form(&visit, &origin, StatusCode::OK, (None, next));
    };
    if let Some(name) = app.links.redeem(app.key.secret(), &link, app.now()) {
        return begin(&visit, &origin, name, &next);
    }
    form(&visit, &origin, StatusCode::FORBIDDEN, (Some(visit.words().enter.used_up), next))
}

async fn enter(visit: Visit, Extension(origin): Extension<Origin>, Form(entered): Form<Entered>) -> Response {
    let (app, w) = (&visit.app, &visit.words().enter);
    let Entered { name, key, next } = entered;
    if app.is_behind_proxy {
        return form(&visit, &origin, StatusCode::FORBIDDEN, (None, next));
    }
    let (status, problem) = match app.key.check(&key.into_secret(), app.clock.elapsed()) {
        KeyCheck::TooMany => (StatusCode::TOO_MANY_REQUESTS, w.too_many),
        KeyCheck::Wrong => (StatusCode::FORBIDDEN, w.wrong_key),
        KeyCheck::Right => match name.parse() {
            Ok(name) => return begin(&visit, &origin, name, &next),
            Err(_) => (StatusCode::UNPROCESSABLE_ENTITY, w.wrong_name),
        },
    };
    form(&visit, &origin, status, (Some(problem), next))
}

async fn leave(
    State(app): State<Arc<App>>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
) -> Response {
    if let Some(token) = cookie_value(&headers, &session_cookie_name(&origin)) {
        app.sessions.end(token);
    }
    let cookie = session_cookie(&origin, None);
    (StatusCode::SEE_OTHER, [(LOCATION, "/enter".to_owned()), (SET_COOKIE, cookie)]).into_response()
}

fn begin(visit: &Visit, origin: &Origin, name: PersonName, next: &str) -> Response {
    let Ok(token) = visit.app.sessions.begin(name, visit.now()) else {
        let problem = visit.words().enter.no_random;
        return form(visit, origin, StatusCode::SERVICE_UNAVAILABLE, (Some(problem), next.to_owned()));
    };
    let cookie = session_cookie(origin, Some(&token));
    (StatusCode::SEE_OTHER, [(LOCATION, local(next).to_owned()), (SET_COOKIE, cookie)]).into_response()
}

fn form(
    visit: &Visit,
    origin: &Origin,
    status: StatusCode,
    (problem, next): (Option<&'static str>, String),
) -> Response {
    // A link in the address must not be part of the page.
    let visit = &Visit { address: "/enter".to_owned(), ..visit.clone() };
    let frame = Frame::new(visit, visit.words().enter.title);
    let is_behind_proxy = visit.app.is_behind_proxy;
    page(visit, status, &EnterPage { frame, problem, next, is_behind_proxy, apart: origin.apart() })
}

/// An address of this console, whatever was asked for: one that leads elsewhere becomes the first page.
fn local(next: &str) -> &str {
    let is_local = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    if is_local { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        assert_eq!(local("/c/acme/?x=1"), "/c/acme/?x=1");
        for elsewhere in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/\u{e9}"]
        {
            assert_eq!(local(elsewhere), "/", "{elsewhere}");
        }
    }
}
