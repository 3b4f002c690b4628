//! What a person chooses for all pages: the language, and which of the two times comes first.

use axum::extract::Request;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::session::cookie_value;
use crate::words::Language;

/// The cookies, which hold no more than a word.
const LANGUAGE: &str = "qbo-console-lang";
const ZONE: &str = "qbo-console-zone";

/// What a person chose, or what the browser asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preferences {
    pub(crate) language: Language,
    /// Whether UTC comes before the company's own zone.
    pub(crate) utc_first: bool,
}

impl Preferences {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let chosen = cookie_value(headers, LANGUAGE).and_then(Language::from_code);
        let accepted = || {
            let header = headers.get("accept-language")?.to_str().ok()?;
            Language::accepted(header)
        };
        Self {
            language: chosen.or_else(accepted).unwrap_or_default(),
            utc_first: cookie_value(headers, ZONE) == Some("utc"),
        }
    }
}

/// Keeps a choice that an address makes (`?lang=es`, `?zone=utc`), and sends the browser to the same address without it.
pub(crate) async fn keep_preference(request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let choice = query.split('&').find_map(|pair| match pair.split_once('=')? {
        ("lang", code) => Language::from_code(code).map(|language| (pair, LANGUAGE, language.code())),
        ("zone", "utc") => Some((pair, ZONE, "utc")),
        ("zone", "own") => Some((pair, ZONE, "own")),
        _ => None,
    });
    let Some((chosen, name, value)) = choice.filter(|_| *request.method() == Method::GET) else {
        return next.run(request).await;
    };
    let rest: Vec<_> = query.split('&').filter(|pair| *pair != chosen).collect();
    let path = request.uri().path();
    // A path that begins with two slashes would be read as another host.
    let path = if path.starts_with("//") { "/" } else { path };
    let address = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000");
    (StatusCode::SEE_OTHER, [(LOCATION, address), (SET_COOKIE, cookie)]).into_response()
}
