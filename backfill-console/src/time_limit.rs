//! Bounds how long a person waits for an answer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;
use crate::pages::too_slow;
use crate::visit::Visit;

/// How long an answer may take: longer than a view, and shorter than the half minute after which proxies give up. The network between
/// here and the database may swallow everything, and then no limit of the database's own ends a wait.
const LONGEST: Duration = Duration::from_secs(15);

/// Answers a request, or says that the answer takes too long. What was asked of the database then may still be done.
pub(crate) async fn limit_time(
    State(app): State<Arc<App>>,
    visit: Visit,
    request: Request,
    next: Next,
) -> Response {
    let is_act = *request.method() == Method::POST;
    tokio::select! {
        biased;
        answer = next.run(request) => answer,
        () = app.clock.sleep(LONGEST) => too_slow(&visit, is_act),
    }
}
