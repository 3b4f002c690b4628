//! Events that a client sends while a request is in progress: waits, retries, breaker changes, a low allowance.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::error::Cause;
use crate::limit::BreakerState;
use crate::query::EntityName;

/// An event of a request that is still in progress. The client sends events to its subscribers
/// ([`QboClient::subscribe`](crate::QboClient::subscribe)) and calls no callback.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// A request waits before it is sent.
    Waiting {
        /// Why the request waits.
        reason: WaitReason,
        /// How long the request waits.
        time: Duration,
    },
    /// A request failed and will be sent again.
    Retrying {
        /// Entity that the request reads.
        entity: EntityName,
        /// Number of the repeat, counted from 1.
        attempt: u32,
        /// Why the last attempt failed.
        cause: Cause,
    },
    /// The circuit breaker changed its state.
    Breaker(BreakerState),
    /// The month's calls are nearly used up.
    AllowanceLow {
        /// Calls made this month.
        used: u64,
        /// Calls allowed per month.
        allowance: u64,
    },
}

/// The subscribers of one client's events, for implementations of [`QboClient`](crate::QboClient).
#[derive(Debug, Default)]
pub struct Subscribers(Mutex<Vec<UnboundedSender<ClientEvent>>>);

impl Subscribers {
    /// Adds a subscriber: it receives every event from now on, until it drops the receiver.
    pub fn add(&self) -> UnboundedReceiver<ClientEvent> {
        let (sender, receiver) = unbounded_channel();
        self.all().push(sender);
        receiver
    }

    /// Sends an event to all subscribers, and forgets those that have dropped their receiver.
    pub fn send(&self, event: &ClientEvent) {
        self.all().retain(|subscriber| subscriber.send(event.clone()).is_ok());
    }

    fn all(&self) -> MutexGuard<'_, Vec<UnboundedSender<ClientEvent>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// The call limits, or a pause that QuickBooks asked for.
    Limit,
    /// Back-off after a failure.
    Backoff,
    /// The circuit breaker is open.
    Breaker,
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Limit => "limit",
            Self::Backoff => "backoff",
            Self::Breaker => "breaker",
        })
    }
}
