//! The HTTP endpoints of a worker: `/healthz` and `/metrics`.

pub(crate) mod health;
pub(crate) mod metrics;
