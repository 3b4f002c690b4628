//! Refuses requests to another host, of unknown methods, and those that another site made a browser send.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{ALLOW, HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use crate::door::addresses::{Addresses, Origin};

/// The most requests that are answered at the same time.
const MOST_REQUESTS: usize = 32;

/// What is asked for just when much else is, and has places of its own.
const STATUS_PATHS: [&str; 2] = ["/healthz", "/metrics"];

/// The most requests for health and metrics that are answered at the same time.
const MOST_STATUS_REQUESTS: usize = 4;

/// What the guard knows.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    addresses: Arc<Addresses>,
    places: Arc<Semaphore>,
    status_places: Arc<Semaphore>,
}

impl Guard {
    pub(crate) fn new(addresses: Addresses) -> Self {
        Self {
            addresses: Arc::new(addresses),
            places: Arc::new(Semaphore::new(MOST_REQUESTS)),
            status_places: Arc::new(Semaphore::new(MOST_STATUS_REQUESTS)),
        }
    }
}

/// Lets a request pass, with the [`Origin`] that it was sent to, or refuses it.
pub(crate) async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let is_status = STATUS_PATHS.contains(&request.uri().path());
    let places = if is_status { &guard.status_places } else { &guard.places };
    let Ok(_place) = places.try_acquire() else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once: try again");
    };
    match judge(&guard.addresses, &request) {
        Ok(origin) => {
            request.extensions_mut().insert(origin);
            next.run(request).await
        }
        Err(refused) => refused,
    }
}

#[expect(clippy::result_large_err, reason = "the refusal is the answer")]
fn judge(addresses: &Addresses, request: &Request) -> Result<Origin, Response> {
    let headers = request.headers();
    let host = only(headers, HOST.as_str()).filter(|_| request.uri().authority().is_none());
    let host = host.ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "the request is malformed"))?;
    let origin = addresses
        .find(host)
        .ok_or_else(|| refuse(StatusCode::MISDIRECTED_REQUEST, "the Host header names another host"))?;
    match *request.method() {
        Method::GET | Method::HEAD => {}
        Method::POST if is_same_origin(headers, &origin) => {}
        Method::POST => {
            return Err(refuse(StatusCode::FORBIDDEN, "the request was not sent by a page of this console"));
        }
        _ => {
            let refused = (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD, POST")], "unknown method\n");
            return Err(refused.into_response());
        }
    }
    Ok(origin)
}

/// Whether a page of this very origin sent the request. A cookie does not show that: other ports of this machine are the same
/// site for a browser. A browser that does not send `Sec-Fetch-Site` sends `Origin` with every POST.
fn is_same_origin(headers: &HeaderMap, origin: &Origin) -> bool {
    match headers.get_all("sec-fetch-site").iter().count() {
        0 => only(headers, ORIGIN.as_str()).is_some_and(|sent| sent.eq_ignore_ascii_case(&origin.text())),
        _ => only(headers, "sec-fetch-site") == Some("same-origin"),
    }
}

/// The value of a header that must be there once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn refuse(status: StatusCode, why: &'static str) -> Response {
    (status, format!("{why}\n")).into_response()
}
