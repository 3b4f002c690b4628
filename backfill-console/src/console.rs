//! The console as a process composes it.

use std::sync::Arc;

use qbo_auth::{Clock, SecretString};

use crate::company::Company;
use crate::door::PublicUrl;
use crate::service_status::ServiceStatus;

/// A console to be served: its companies, and what people may do with them.
#[derive(Debug)]
pub struct Console {
    /// The companies, in the order in which they are listed.
    pub companies: Vec<Company>,
    /// The key with which people sign in, and which signs one-time links ([`sign_in_path`](crate::sign_in_path)).
    pub key: SecretString,
    /// Whether pages only show: no route that changes anything exists, except for signing in and out.
    pub look_only: bool,
    /// Whether documents may be shown. Each look is recorded.
    pub documents: bool,
    /// The address under which a proxy or a container publishes the console; `None` on this machine alone.
    pub public_url: Option<PublicUrl>,
    /// Health and metrics of a worker in the same process; without one, `/healthz` says that the console runs and `/metrics`
    /// is empty.
    pub status: Option<Arc<dyn ServiceStatus>>,
    /// Tells the time and waits.
    pub clock: Arc<dyn Clock>,
    /// Version of the program, for the footer.
    pub version: &'static str,
}
