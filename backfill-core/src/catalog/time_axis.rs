//! The times that windows can measure; others call them cursor fields.

use std::fmt;
use std::str::FromStr;

use qbo_client::{Property, RawRecord, Value};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, Time};

/// The time field that windows measure and that a scan orders by. Other tools call it the cursor field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// `MetaData.LastUpdatedTime`: when QBO last changed the record. An edit during the read moves a record to a later instant,
    /// never behind the cursor.
    #[default]
    Updated,
    /// `MetaData.CreateTime`: edits do not move it.
    Created,
    /// `TxnDate`: the bookkeeping date, which has no zone and which users edit. Its instant is midnight UTC.
    TxnDate,
}

/// Error of parsing a word that is not an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("windows are by updated, created or txn-date")]
pub struct UnknownAxis;

impl Axis {
    /// All axes.
    pub const ALL: [Self; 3] = [Self::Updated, Self::Created, Self::TxnDate];

    /// Returns the axis as options and the log have it: `updated`, `created` or `txn-date`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::Created => "created",
            Self::TxnDate => "txn-date",
        }
    }

    pub(crate) fn property(self) -> Property {
        match self {
            Self::Updated => Property::LAST_UPDATED_TIME,
            Self::Created => Property::CREATE_TIME,
            Self::TxnDate => Property::TXN_DATE,
        }
    }

    /// Returns the smallest step of the axis: stored times have whole seconds, dates whole days.
    pub(crate) fn step(self) -> Duration {
        match self {
            Self::Updated | Self::Created => Duration::SECOND,
            Self::TxnDate => Duration::DAY,
        }
    }

    /// Rounds down to an instant that a query can name.
    pub(crate) fn floor(self, at: OffsetDateTime) -> OffsetDateTime {
        match self {
            Self::Updated | Self::Created => {
                at.replace_nanosecond(0).expect("zero is a nanosecond of every second")
            }
            Self::TxnDate => at.replace_time(Time::MIDNIGHT),
        }
    }

    /// Returns how long before QBO's own clock a window must end to be complete.
    ///
    /// A record is stamped a little before queries can see it; how long before is not documented, and one connector holds back
    /// 30 seconds. A transaction date belongs to the company's own day, which ends up to 12 hours after the UTC day.
    pub(crate) fn margin(self) -> Duration {
        match self {
            Self::Updated | Self::Created => Duration::minutes(5),
            Self::TxnDate => Duration::hours(36),
        }
    }

    pub(crate) fn literal(self, at: OffsetDateTime) -> Value {
        match self {
            Self::Updated | Self::Created => Value::Instant(at),
            Self::TxnDate => Value::Date(at.date()),
        }
    }

    pub(crate) fn time_of(self, record: &RawRecord<'_>) -> Option<OffsetDateTime> {
        match self {
            Self::Updated => record.updated_at(),
            Self::Created => record.created_at(),
            Self::TxnDate => record.txn_date().map(|date| date.midnight().assume_utc()),
        }
    }

    /// Returns where a record belongs on the axis: at its time or, if it says only a day, at the beginning of that day.
    pub(crate) fn place_of(self, record: &RawRecord<'_>) -> Option<OffsetDateTime> {
        let day = if self == Self::Updated { record.updated_on() } else { None };
        self.time_of(record).or_else(|| Some(day?.midnight().assume_utc()))
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Axis {
    type Err = UnknownAxis;

    fn from_str(word: &str) -> Result<Self, UnknownAxis> {
        Self::ALL.into_iter().find(|axis| axis.as_str() == word).ok_or(UnknownAxis)
    }
}
