//! The HTTP endpoints of a worker: `/healthz` and `/metrics`.

mod bind;
pub(crate) mod health;
pub(crate) mod metrics;

pub(crate) use self::bind::bind_address;
