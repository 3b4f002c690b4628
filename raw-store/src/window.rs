//! The half-open span of time that is read and logged as a unit: its states, its counts, and the cursor inside it.

use std::fmt;
use std::iter::Sum;
use std::ops::AddAssign;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset};

/// A half-open span of UTC time, `[start, end)`: the unit of accounting, resume and retry.
///
/// Invariant: `start < end`, both at offset zero. A boundary belongs to the later of two adjacent windows, so that
/// every record falls into exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    start: OffsetDateTime,
    end: OffsetDateTime,
}

/// Error: the given end is not after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a window must end after it starts")]
pub struct InvalidWindow;

impl Window {
    /// Builds the window `[start, end)` and converts both instants to UTC.
    ///
    /// # Errors
    ///
    /// [`InvalidWindow`] if `end` is not after `start`.
    pub fn new(start: OffsetDateTime, end: OffsetDateTime) -> Result<Self, InvalidWindow> {
        if start < end {
            Ok(Self { start: start.to_offset(UtcOffset::UTC), end: end.to_offset(UtcOffset::UTC) })
        } else {
            Err(InvalidWindow)
        }
    }

    /// Start of the window (inclusive).
    pub fn start(self) -> OffsetDateTime {
        self.start
    }

    /// End of the window (exclusive).
    pub fn end(self) -> OffsetDateTime {
        self.end
    }

    /// Whether the two windows have an instant in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether the window contains `instant`.
    pub fn contains(self, instant: OffsetDateTime) -> bool {
        self.start <= instant && instant < self.end
    }
}

/// Formats the window as `start/end` in RFC 3339 with whole seconds, the form used in messages.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECONDS: &[time::format_description::BorrowedFormatItem<'_>] =
            time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        let text = |at: OffsetDateTime| at.format(SECONDS).map_err(|_| fmt::Error);
        write!(f, "{}/{}", text(self.start)?, text(self.end)?)
    }
}

/// State of a window, stored as the values of the column `raw.backfill_log.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowState {
    /// Not read yet.
    Pending,
    /// Partly read, up to its cursor; or read to its end, but not yet confirmed to be complete.
    Running,
    /// All of it has been read, and it can gain no more records.
    Completed,
    /// Read to its end, but it ended too close to QBO's current time to rule out later records, so a later run reads it again.
    Provisional,
    /// The last run that tried it failed to read it, and recorded why.
    Failed,
    /// The company does not offer this entity: nothing was read, and a later run tries again.
    Unavailable,
}

words! {
    WindowState {
        Pending => "pending",
        Running => "running",
        Completed => "completed",
        Provisional => "provisional",
        Failed => "failed",
        Unavailable => "unavailable",
    }
}

impl FromStr for WindowState {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::from_word(word).ok_or(UnknownState)
    }
}

/// Error: the string names no [`WindowState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a window state")]
pub struct UnknownState;

/// How far a scan has read inside a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanCursor {
    /// Instant of the last record read; the next request starts here.
    pub at: OffsetDateTime,
    /// Ids already committed at that instant. QBO returns them again on the next request, and they are skipped by id.
    pub seen: Vec<Box<str>>,
}

/// Record counts of one window, by what the store did with each record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowCounts {
    /// Rows that did not exist before.
    pub inserted: u64,
    /// Rows replaced by a newer or different version.
    pub updated: u64,
    /// Rows that were already stored at this version or a newer one; not written.
    pub unchanged: u64,
    /// Documents put into quarantine.
    pub quarantined: u64,
}

impl WindowCounts {
    /// Total number of records read. Each record is in exactly one of the four counts.
    pub fn read(&self) -> u64 {
        self.inserted + self.updated + self.unchanged + self.quarantined
    }
}

impl AddAssign for WindowCounts {
    fn add_assign(&mut self, more: Self) {
        self.inserted += more.inserted;
        self.updated += more.updated;
        self.unchanged += more.unchanged;
        self.quarantined += more.quarantined;
    }
}

impl Sum for WindowCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::Window;

    #[test]
    fn a_window_holds_its_start_and_not_its_end() {
        let window = Window::new(datetime!(2026-01-01 0:00 UTC), datetime!(2026-01-02 0:00 UTC)).unwrap();
        assert!(window.contains(datetime!(2026-01-01 0:00 UTC)));
        assert!(window.contains(datetime!(2026-01-01 18:59:59 -5)));
        assert!(!window.contains(datetime!(2026-01-02 0:00 UTC)));
        assert_eq!(window.to_string(), "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z");
    }

    #[test]
    fn an_empty_or_reversed_window_is_refused() {
        let noon = datetime!(2026-01-01 12:00 UTC);
        assert!(Window::new(noon, noon).is_err());
        assert!(Window::new(noon, noon - time::Duration::SECOND).is_err());
    }
}
