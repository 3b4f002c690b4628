//! What a worker answers over HTTP: `/healthz` and `/metrics`.

pub(crate) mod health;
pub(crate) mod listener;
pub(crate) mod metrics;
