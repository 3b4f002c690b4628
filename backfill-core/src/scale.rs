use qbo_client::RawRecord;
use raw_store::Window;
use time::{Duration, OffsetDateTime};

use crate::Axis;

/// What a walk goes along. To it, what is read as a whole is one instant as long as its window: without a time to ask
/// for, records are reached by position, with the same checks as records of one second.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scale {
    Along(Axis),
    Whole(Window),
}

impl From<Axis> for Scale {
    fn from(axis: Axis) -> Self {
        Self::Along(axis)
    }
}

impl Scale {
    /// The last instant not after `at` that a query can name.
    pub(crate) fn floor(self, at: OffsetDateTime) -> OffsetDateTime {
        match self {
            Self::Along(axis) => axis.floor(at),
            Self::Whole(window) => window.start(),
        }
    }

    /// From one instant to the next.
    pub(crate) fn step(self) -> Duration {
        match self {
            Self::Along(axis) => axis.step(),
            Self::Whole(window) => window.end() - window.start(),
        }
    }

    /// Where a record stands.
    pub(crate) fn time_of(self, record: &RawRecord<'_>) -> Option<OffsetDateTime> {
        match self {
            Self::Along(axis) => axis.time_of(record),
            Self::Whole(window) => Some(window.start()),
        }
    }
}
