//! All tests of the store, in one program: they share one PostgreSQL server.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod altered;
mod calls;
mod commit;
mod contract;
mod differential;
mod forgotten;
mod grants;
mod leases;
mod look;
mod monitoring;
mod pooler;
mod properties;
mod schema;
mod sealed;
#[cfg(feature = "pg")]
mod support;
mod tls;
mod triggers;
mod view_sets;
mod views;
