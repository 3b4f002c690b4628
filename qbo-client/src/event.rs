use std::fmt;
use std::time::Duration;

use crate::error::Cause;
use crate::limit::BreakerState;
use crate::query::EntityName;

/// Something worth telling about a request that is still under way. Signals come up through a channel; the
/// client calls nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// A request waits before it is sent.
    Waiting {
        /// Why.
        reason: WaitReason,
        /// How long.
        time: Duration,
    },
    /// A request failed and will be sent again.
    Retrying {
        /// What it reads.
        entity: EntityName,
        /// Number of the repeat, from 1.
        attempt: u32,
        /// Why the last attempt failed.
        cause: Cause,
    },
    /// The circuit breaker changed.
    Breaker(BreakerState),
    /// The month's calls come to an end.
    AllowanceLow {
        /// Calls made this month.
        used: u64,
        /// Calls that a month has.
        allowance: u64,
    },
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
