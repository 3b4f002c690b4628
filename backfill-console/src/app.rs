//! What all requests of a console share.

use std::sync::Arc;

use qbo_auth::Clock;
use time::OffsetDateTime;

use crate::company::Company;
use crate::console::Console;
use crate::door::Addresses;
use crate::service_status::ServiceStatus;
use crate::session::{Links, Sessions, SignInKey};
use crate::views::Views;

/// The state of a console that is served.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) companies: Vec<Arc<Company>>,
    pub(crate) key: SignInKey,
    pub(crate) links: Links,
    pub(crate) sessions: Sessions,
    /// Whether a proxy signs people in, over a socket that nobody else can open.
    pub(crate) is_behind_proxy: bool,
    pub(crate) addresses: Addresses,
    pub(crate) look_only: bool,
    /// Whether documents may be shown.
    pub(crate) documents: bool,
    pub(crate) status: Option<Arc<dyn ServiceStatus>>,
    pub(crate) views: Views,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) version: &'static str,
}

impl App {
    /// Takes over a console that listens on a port, or behind a proxy on a Unix socket if there is no port.
    pub(crate) fn new(console: Console, port: Option<u16>) -> Self {
        Self {
            companies: console.companies.into_iter().map(Arc::new).collect(),
            key: SignInKey::new(console.key),
            links: Links::default(),
            sessions: Sessions::default(),
            is_behind_proxy: port.is_none(),
            addresses: Addresses::new(port, console.public_url.as_ref()),
            look_only: console.look_only,
            documents: console.documents,
            status: console.status,
            views: Views::new(Arc::clone(&console.clock)),
            clock: console.clock,
            version: console.version,
        }
    }

    /// Finds a company by its profile.
    pub(crate) fn company(&self, profile: &str) -> Option<&Arc<Company>> {
        self.companies.iter().find(|company| &*company.profile == profile)
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now_utc()
    }
}
