//! One request to QuickBooks Online, and what its answer means.
//!
//! `HttpQboClient` (feature `http`) has the one request loop. Below it, [`Transport`] carries a [`Call`] out and an answer in, and
//! [`classify()`] turns the answer into a [`Verdict`].

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
pub use transport::{Call, Received, Transport, TransportError};
