//! Builds the router and serves it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use qbo_auth::Clock;

use crate::app::App;
use crate::connections::Limited;
use crate::console::Console;
use crate::door::{Addresses, Guard, PublicUrl, guard, protect};
use crate::listener::Listener;
use crate::pages;
use crate::preferences::keep_preference;
use crate::route::Access;
use crate::service_status::ServiceStatus;
use crate::sign_in::require_session;
use crate::time_limit::limit_time;

/// The most bytes of a form.
const LARGEST_BODY: usize = 16 * 1024;

/// How long open connections may stay after the console was told to stop.
const FAREWELL: Duration = Duration::from_secs(5);

impl Console {
    /// Serves the console until `shutdown` ends. Requests under way are then answered, and open connections closed.
    pub async fn serve(
        self,
        listener: Listener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let port = listener.tcp_address()?.map(|address| address.port());
        let clock = Arc::clone(&self.clock);
        serve(router(App::new(self, port)), listener, shutdown, clock).await
    }

    /// Lists the method and path of every route of a console that only shows, or that may show documents, in the order of the
    /// code.
    pub fn routes(look_only: bool, documents: bool) -> Vec<(&'static str, &'static str)> {
        let offered = pages::routes().into_iter().filter(|route| route.is_offered(look_only, documents));
        offered.map(|route| (route.method, route.path)).collect()
    }
}

/// Serves `/healthz` and `/metrics` alone, for a process without pages.
pub async fn serve_status(
    status: Arc<dyn ServiceStatus>,
    listener: Listener,
    public_url: Option<&PublicUrl>,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let port = listener.tcp_address()?.map(|address| address.port());
    let guarding = Guard::new(Addresses::new(port, public_url).with_any_port());
    let router = pages::status_router(status);
    serve(guarded(router, guarding), listener, shutdown, clock).await
}

/// Every route of the console behind its door.
fn router(app: App) -> Router {
    let app = Arc::new(app);
    let guarding = Guard::new(app.addresses.clone());
    let offered = pages::routes().into_iter().filter(|route| route.is_offered(app.look_only, app.documents));
    let router = offered.fold(Router::new(), |router, route| {
        let limited = route.handler.route_layer(from_fn_with_state(Arc::clone(&app), limit_time));
        let handler = match route.access {
            Access::Open => limited,
            Access::SignedIn => limited.route_layer(from_fn_with_state(Arc::clone(&app), require_session)),
        };
        router.route(route.path, handler)
    });
    let router = router.fallback(pages::not_found).layer(from_fn(keep_preference));
    guarded(router.with_state(app), guarding)
}

fn guarded(router: Router, guarding: Guard) -> Router {
    router
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(guarding, guard))
        .layer(from_fn(protect))
}

async fn serve(
    router: Router,
    listener: Listener,
    shutdown: impl Future<Output = ()> + Send + 'static,
    clock: Arc<dyn Clock>,
) -> io::Result<()> {
    let (told, stops) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move {
        shutdown.await;
        drop(told);
    };
    let served = async move {
        match listener {
            Listener::Tcp(listener) => {
                axum::serve(Limited::new(listener), router).with_graceful_shutdown(shutdown).await
            }
            #[cfg(unix)]
            Listener::Unix(listener) => {
                axum::serve(Limited::new(listener), router).with_graceful_shutdown(shutdown).await
            }
        }
    };
    let over = async {
        drop(stops.await);
        clock.sleep(FAREWELL).await;
    };
    tokio::select! {
        result = served => result,
        () = over => Ok(()),
    }
}
