//! Sends pages.

use askama::Template;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use backfill_report::hex;
use sha2::{Digest as _, Sha256};

use crate::visit::Visit;

/// Sends a page, or tells the browser that it has this very page already.
pub(crate) fn page(visit: &Visit, status: StatusCode, template: &impl Template) -> Response {
    let Ok(text) = template.render() else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be built\n").into_response();
    };
    let tag = format!("\"{}\"", &hex(&Sha256::digest(text.as_bytes()))[..24]);
    let mut response = if status == StatusCode::OK && visit.known.as_deref() == Some(&*tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
    };
    // A tag is made of hexadecimal digits.
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}
