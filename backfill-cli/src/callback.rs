//! The address on this machine that Intuit's page sends a person back to. Gives one answer, then is gone.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qbo_auth::RedirectUrl;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long the person's browser may take to fetch the last page.
const FAREWELL: Duration = Duration::from_secs(2);

/// Not kept by the browser, not passed on to other sites, and nothing runs or loads in it.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ),
    (header::CONNECTION, "close"),
];

/// A listener that nobody has visited yet.
#[derive(Debug)]
pub(crate) struct Callback {
    redirect: RedirectUrl,
    visitors: oneshot::Receiver<Visitor>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

/// The one visit, which waits for its page.
#[derive(Debug)]
pub(crate) struct Visit {
    /// The address that was visited, with its parameters. Holds a secret.
    pub(crate) answer: String,
    page: oneshot::Sender<Page>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

type Visitor = (String, oneshot::Sender<Page>);

/// What the person is told in the browser. Why something failed is told in the terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Page {
    Connected,
    Failed,
    Over,
    NotHere,
}

#[derive(Clone, Debug)]
struct Door {
    redirect: RedirectUrl,
    first: Arc<Mutex<Option<oneshot::Sender<Visitor>>>>,
}

impl Callback {
    /// Begins to listen, on 127.0.0.1 only. Port 0 is any free one.
    pub(crate) async fn bind(port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let redirect = RedirectUrl::loopback(listener.local_addr()?.port());
        let (first, visitors) = oneshot::channel();
        let door = Door { redirect: redirect.clone(), first: Arc::new(Mutex::new(Some(first))) };
        let (stop, stopped) = oneshot::channel::<()>();
        let app = axum::Router::new().fallback(receive).with_state(door);
        let server = tokio::spawn(async move {
            let until = async move { drop(stopped.await) };
            // An error of the listener looks like nobody coming.
            drop(axum::serve(listener, app).with_graceful_shutdown(until).await);
        });
        Ok(Self { redirect, visitors, stop, server })
    }

    /// The address to be sent back to.
    pub(crate) fn redirect(&self) -> &RedirectUrl {
        &self.redirect
    }

    /// Waits for the one visit; `None` if nobody comes in time.
    pub(crate) async fn visit(self, patience: Duration) -> Option<Visit> {
        let Self { visitors, stop, server, .. } = self;
        let (answer, page) = tokio::time::timeout(patience, visitors).await.ok()?.ok()?;
        Some(Visit { answer, page, stop, server })
    }
}

impl Visit {
    /// Gives the visitor a page, and stops listening.
    pub(crate) async fn conclude(self, page: Page) {
        // A visitor that has left needs no page.
        let _ = self.page.send(page);
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(FAREWELL, self.server).await;
    }
}

async fn receive(State(door): State<Door>, request: Request) -> Response {
    let uri = request.uri();
    if request.method() != Method::GET || uri.path() != door.redirect.path() {
        return Page::NotHere.into_response();
    }
    let mut answer = door.redirect.as_str().to_owned();
    if let Some(query) = uri.query() {
        answer = format!("{answer}?{query}");
    }
    let first = door.first.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (page, told) = oneshot::channel();
    match first.map(|first| first.send((answer, page))) {
        Some(Ok(())) => told.await.unwrap_or(Page::Failed).into_response(),
        _ => Page::Over.into_response(),
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::Connected => (
                StatusCode::OK,
                "QuickBooks is connected",
                "You can close this page and go back to the terminal.",
            ),
            Self::Failed => (
                StatusCode::BAD_REQUEST,
                "QuickBooks is not connected",
                "The terminal says why, and what to do.",
            ),
            Self::Over => {
                (StatusCode::GONE, "This login is over", "It takes one answer. Begin again in the terminal.")
            }
            Self::NotHere => {
                (StatusCode::NOT_FOUND, "Nothing is here", "Intuit's page leads to the right address.")
            }
        };
        let body = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
             <title>{title}</title><style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;\
             padding:0 1rem;color:#1b1f24;background:#fff}}@media(prefers-color-scheme:dark){{body{{color:#e6e8ea;\
             background:#15181b}}}}</style><h1>{title}</h1><p>{text}</p></html>\n"
        );
        let mut response = (status, body).into_response();
        for (name, value) in HEADERS {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
