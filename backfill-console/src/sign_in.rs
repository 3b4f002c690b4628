//! Lets those pass who have signed in.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::app::App;
use crate::door::Origin;
use crate::session::{Session, cookie_value, session_cookie_name};

/// Lets a request pass with its [`Session`], or sends the browser to the page to sign in.
pub(crate) async fn require_session(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let origin = request.extensions().get::<Origin>();
    let session = origin.and_then(|origin| session(&app, origin, request.headers()));
    if let Some(session) = session {
        request.extensions_mut().insert(session);
        return next.run(request).await;
    }
    if *request.method() == Method::POST {
        return (StatusCode::UNAUTHORIZED, "the session has ended: sign in again\n").into_response();
    }
    let wanted = request.uri().path_and_query().map_or("/", |wanted| wanted.as_str());
    let address = match wanted {
        "/" => "/enter".to_owned(),
        wanted => {
            let next: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
            format!("/enter?next={next}")
        }
    };
    (StatusCode::SEE_OTHER, [(LOCATION, address)]).into_response()
}

/// The session of a request: by its cookie, or by the name that a proxy gives over a socket that nobody else can open.
pub(crate) fn session(app: &App, origin: &Origin, headers: &HeaderMap) -> Option<Session> {
    if app.is_behind_proxy {
        let mut names = headers.get_all("x-forwarded-user").iter();
        let name = names.next()?.to_str().ok()?.parse().ok()?;
        return names.next().is_none().then_some(Session { name, until: None });
    }
    app.sessions.find(cookie_value(headers, &session_cookie_name(origin))?, app.now())
}
