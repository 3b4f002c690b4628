//! Sends one request to QuickBooks Online, and says what its answer means.
//!
//! `HttpQboClient` (feature `http`) holds the one request loop. Below it, a [`Transport`] sends a [`Call`] and returns the
//! answer, and [`classify()`] turns the answer into a [`Verdict`].

mod classify;
#[cfg(feature = "http")]
mod client;
mod fault;
#[cfg(feature = "http")]
mod https;
mod transport;

pub use classify::{Answer, Verdict, classify};
#[cfg(feature = "http")]
pub use client::{BuildError, HttpQboClient, HttpQboClientBuilder};
pub use fault::{Fault, FaultError};
#[cfg(feature = "mock")]
pub use transport::MockTransport;
pub use transport::{Call, Received, Transport, TransportError};
