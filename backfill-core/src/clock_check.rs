//! Compares three clocks: the source's, as its responses state it, the database's and the host's. None is trusted alone.
//!
//! This module is pure. A clock is a span between two readings, one before a request and one after its response, so a process
//! that was frozen or waited for minutes in between does not appear to have a wrong clock.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use time::{Duration, OffsetDateTime};

/// The largest difference between clocks that count as agreeing. Synchronised clocks differ by less than a second, and those of
/// unattended machines drift by seconds a day. A window also has to end this long before the source's clock to be complete
/// ([`Axis::margin`](crate::Axis)), so a clock that is off by less cannot complete a window that has not ended.
pub const CLOCKS_AGREE_WITHIN: Duration = Duration::minutes(5);

/// Names one of the three clocks that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockOf {
    /// QuickBooks' clock, as its responses state it.
    Source,
    /// The database server's clock.
    Database,
    /// The clock of the host that runs the backfill.
    Host,
}

impl fmt::Display for ClockOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "QuickBooks",
            Self::Database => "the database",
            Self::Host => "this machine",
        })
    }
}

/// A clock that disagrees with the others by more than [`CLOCKS_AGREE_WITHIN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockApart {
    /// The clock that disagrees.
    pub clock: ClockOf,
    /// How far it is ahead of the nearest other clock; negative if it is behind.
    pub ahead: Duration,
}

impl fmt::Display for ClockApart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clock, ahead } = self;
        let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
        let seconds = ahead.whole_seconds().unsigned_abs();
        let (amount, unit) = match seconds {
            0..7200 => (seconds / 60, "minutes"),
            7200..172_800 => (seconds / 3600, "hours"),
            _ => (seconds / 86_400, "days"),
        };
        write!(
            f,
            "the clock of {clock} is {amount} {unit} {direction} the others; windows that have not ended by the earliest clock stay provisional"
        )
    }
}

/// The host's clocks at a moment between a request and now: the wall clock, and the time since a fixed start, which never
/// jumps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) elapsed: std::time::Duration,
    pub(crate) host: OffsetDateTime,
}

/// The time of a response, as far as the clocks agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The time by the earliest clock; it decides whether a window has ended.
    pub(crate) earliest: OffsetDateTime,
    /// The time kept with each row: the source's own, or the middle one of the three clocks where the source is far ahead and
    /// would make the row look newer than it is.
    pub(crate) likely: OffsetDateTime,
    /// The time by the clock that is farthest ahead.
    pub(crate) latest: OffsetDateTime,
    /// The clock that disagrees, if one does.
    pub(crate) apart: Option<ClockApart>,
}

/// The database's clock when a pipeline began, and the first disagreement found between the run's clocks since.
#[derive(Clone, Debug)]
pub(crate) struct Clocks {
    pub(crate) database: OffsetDateTime,
    pub(crate) read_at: std::time::Duration,
    pub(crate) found: Arc<Mutex<Option<ClockApart>>>,
    pub(crate) answered: Arc<Mutex<Option<Answered>>>,
}

/// The time of the latest response that stated one: by the earliest clock, and since the host's fixed start. Time that passes
/// after it is measured by the host, whose wall clock may jump meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    earliest: OffsetDateTime,
    elapsed: std::time::Duration,
}

impl Answered {
    /// Returns what the earliest clock shows by now.
    pub(crate) fn shows(self, elapsed: std::time::Duration) -> OffsetDateTime {
        let since = Duration::try_from(elapsed.saturating_sub(self.elapsed)).unwrap_or(Duration::ZERO);
        self.earliest.checked_add(since).unwrap_or(self.earliest)
    }
}

impl Clocks {
    /// Determines the time of a response that claims to be from `source`, for a request sent between the readings. Notes a
    /// source clock that is not believed.
    pub(crate) fn moment(&self, source: Option<OffsetDateTime>, asked: Reading, now: Reading) -> Moment {
        let moment = moment(source, (self.database_at(asked), self.database_at(now)), (asked.host, now.host));
        if source.is_none_or(|source| moment.earliest < source) {
            self.note(moment.apart);
        }
        if source.is_some() {
            let answered = Answered { earliest: moment.earliest, elapsed: now.elapsed };
            *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(answered);
        }
        moment
    }

    /// Notes a clock that disagrees, to be reported with the run's outcome.
    pub(crate) fn note(&self, apart: Option<ClockApart>) {
        if let Some(apart) = apart {
            self.found.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(apart);
        }
    }

    fn database_at(&self, reading: Reading) -> OffsetDateTime {
        let since = reading.elapsed.saturating_sub(self.read_at);
        self.database
            .checked_add(Duration::try_from(since).unwrap_or(Duration::ZERO))
            .unwrap_or(self.database)
    }
}

/// Determines the time of a response from the span that each clock gives for it.
fn moment(
    source: Option<OffsetDateTime>,
    database: (OffsetDateTime, OffsetDateTime),
    host: (OffsetDateTime, OffsetDateTime),
) -> Moment {
    let within = |at: OffsetDateTime, (from, to): (OffsetDateTime, OffsetDateTime)| at.min(to).max(from);
    let Some(source) = source else {
        let (database, host) = (database.1, host.1);
        let ahead = host - database;
        let apart = (ahead.abs() > CLOCKS_AGREE_WITHIN).then_some(ClockApart { clock: ClockOf::Host, ahead });
        let earliest = database.min(host);
        return Moment { earliest, likely: earliest, latest: database.max(host), apart };
    };
    let mut all = [
        (source, ClockOf::Source),
        (within(source, database), ClockOf::Database),
        (within(source, host), ClockOf::Host),
    ];
    all.sort_by_key(|(at, _)| *at);
    let [(first, early), (middle, _), (last, late)] = all;
    if last - first <= CLOCKS_AGREE_WITHIN {
        return Moment { earliest: source, likely: source, latest: source, apart: None };
    }
    let (below, above) = (middle - first, last - middle);
    let apart = if above > below {
        ClockApart { clock: late, ahead: above }
    } else {
        ClockApart { clock: early, ahead: -below }
    };
    Moment { earliest: first, likely: middle.min(source), latest: last, apart: Some(apart) }
}

#[cfg(test)]
impl From<OffsetDateTime> for Moment {
    fn from(at: OffsetDateTime) -> Self {
        Self { earliest: at, likely: at, latest: at, apart: None }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-02 10:00 UTC);

    /// The time of a response, with each clock off by this many minutes.
    fn by(source: Option<i64>, database: i64, host: i64) -> Moment {
        let at = |minutes| NOW + Duration::minutes(minutes);
        moment(source.map(at), (at(database), at(database)), (at(host), at(host)))
    }

    #[test]
    fn clocks_that_agree_leave_the_word_to_the_source() {
        for (database, host) in [(0, 0), (3, 5), (-5, 0), (2, -2)] {
            let moment = by(Some(0), database, host);
            assert_eq!((moment.earliest, moment.likely, moment.apart), (NOW, NOW, None), "{database} {host}");
        }
    }

    #[test]
    fn the_earliest_settles_and_the_middle_one_dates_rows_where_one_is_off() {
        let check = |source, database, host, earliest: i64, likely: i64, clock, ahead: i64| {
            let moment = by(Some(source), database, host);
            let offset = |at: OffsetDateTime| (at - NOW).whole_minutes();
            let apart = moment.apart.unwrap();
            assert_eq!((offset(moment.earliest), offset(moment.likely)), (earliest, likely));
            assert_eq!((apart.clock, apart.ahead.whole_minutes()), (clock, ahead));
        };
        check(3 * 1440, 0, 1, 0, 1, ClockOf::Source, 3 * 1440 - 1);
        check(0, 0, 600, 0, 0, ClockOf::Host, 600);
        check(0, -600, 0, -600, 0, ClockOf::Database, -600);
        check(-60, 1, 0, -60, -60, ClockOf::Source, -60);
    }

    #[test]
    fn without_the_sources_clock_the_host_is_not_believed_alone() {
        assert_eq!((by(None, 0, 1).earliest, by(None, 0, 1).apart), (NOW, None));
        let ahead = by(None, 0, 3 * 1440);
        assert_eq!((ahead.earliest, ahead.likely), (NOW, NOW));
        let said = ahead.apart.unwrap().to_string();
        assert!(said.starts_with("the clock of this machine is 3 days ahead of the others"), "{said}");
        assert_eq!(by(None, 0, -30).earliest, NOW - Duration::minutes(30));
    }

    #[test]
    fn a_process_that_was_frozen_has_no_wrong_clock() {
        let span = (NOW - Duration::minutes(1), NOW + Duration::hours(9));
        let moment = moment(Some(NOW), span, span);
        assert_eq!((moment.earliest, moment.apart), (NOW, None));
    }
}
