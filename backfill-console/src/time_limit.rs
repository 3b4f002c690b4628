//! Bounds how long a person waits for an answer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::app::App;
use crate::pages::too_slow;
use crate::visit::Visit;

/// How long an answer may take: longer than a view, and shorter than the half minute after which proxies give up. The network between
/// here and the database may swallow everything, and then no limit of the database's own ends a wait.
const LONGEST: Duration = Duration::from_secs(15);

/// Answers a request, or says that the answer takes too long. An act is finished all the same, and recorded: only the waiting ends.
pub(crate) async fn limit_time(
    State(app): State<Arc<App>>,
    visit: Visit,
    request: Request,
    next: Next,
) -> Response {
    let is_act = *request.method() == Method::POST;
    let answer = async {
        if !is_act {
            return next.run(request).await;
        }
        let acting = tokio::spawn(async move { next.run(request).await });
        acting.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    };
    tokio::select! {
        biased;
        answer = answer => answer,
        () = app.clock.sleep(LONGEST) => too_slow(&visit, is_act),
    }
}
