//! Sends pages.

use askama::Template;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use backfill_report::hex;
use backfill_report::untrusted::is_obeyed;
use sha2::{Digest as _, Sha256};

use crate::visit::Visit;

/// Where a page says how old it is. Its tag leaves that out: the page is the same when it is older.
const AGE: &str = "data-age=\"0\"";

/// Sends a page, or tells the browser that it has this very page already.
pub(crate) fn page(visit: &Visit, status: StatusCode, template: &impl Template) -> Response {
    let Some(text) = rendered(template) else { return unbuilt() };
    let age = visit.age().as_secs();
    let tag = format!("\"{}\"", &hex(&Sha256::digest(text.as_bytes()))[..24]);
    let mut response = if status == StatusCode::OK && visit.known.as_deref() == Some(&*tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let text = text.replacen(AGE, &format!("data-age=\"{age}\""), 1);
        (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
    };
    response.headers_mut().insert(axum::http::header::AGE, HeaderValue::from(age));
    // A tag is made of hexadecimal digits.
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Renders a page. The template escapes markup; characters that a browser obeys instead of showing are replaced, whatever text
/// they came in.
pub(crate) fn rendered(template: &impl Template) -> Option<String> {
    let is_obeyed = |letter: char| letter != '\n' && is_obeyed(letter);
    let text = template.render().ok()?;
    Some(if text.contains(is_obeyed) { text.replace(is_obeyed, "?") } else { text })
}

/// The answer in place of a page that cannot be rendered.
pub(crate) fn unbuilt() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be built\n").into_response()
}
