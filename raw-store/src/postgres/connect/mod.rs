//! Connections to the server: options, TLS, pool, session settings, and the translation of driver errors.

mod backend;
mod error;
mod libpq;
mod options;
mod pool;
mod pooler;
mod session;
mod tls;
mod url;

pub(super) use backend::Backend;
pub(super) use options::LEASE_TIME;
pub use options::{Access, ChannelBinding, DatabaseOptions, SslMode};
pub(super) use pool::{Connector, Session};
pub(super) use pooler::check_ownership;
pub(super) use session::DURABLE;
