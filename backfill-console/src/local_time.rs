//! Times that people type, read in a named zone.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};
use time::OffsetDateTime;

/// The most characters of a time.
const LONGEST: usize = 40;

/// Years in which records and triggers can lie.
const YEARS: RangeInclusive<i16> = 1900..=2200;

/// A time that a person typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalTime {
    /// The instant; the first of two if the clocks of the zone show the time twice.
    pub(crate) at: OffsetDateTime,
    /// The second instant, if the clocks of the zone show the time twice.
    pub(crate) second: Option<OffsetDateTime>,
}

/// Why a text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeProblem {
    /// It has none of the forms that are understood.
    Unreadable,
    /// The clocks of the zone skip it, because they are put forward.
    Skipped,
    /// Its year is out of reach.
    OutOfRange,
}

impl LocalTime {
    /// Reads `2026-01-31`, which is the start of that day, or `2026-01-31 10:00`, as a time of the zone. With a `Z` or an offset at
    /// its end, a time is that instant whatever the zone. A zone that is unknown is taken to be UTC, as where times are shown.
    pub(crate) fn read(text: &str, zone: &str) -> Result<Self, TimeProblem> {
        if text.len() > LONGEST {
            return Err(TimeProblem::Unreadable);
        }
        if let Ok(instant) = text.parse::<Timestamp>() {
            let year = instant.to_zoned(TimeZone::UTC).year();
            return Ok(Self { at: in_reach(year, instant)?, second: None });
        }
        let civil: civil::DateTime = text.parse().map_err(|_| TimeProblem::Unreadable)?;
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let found = zone.to_ambiguous_timestamp(civil);
        let reach = |instant| in_reach(civil.year(), instant);
        let out = |_| TimeProblem::OutOfRange;
        match found.offset() {
            AmbiguousOffset::Unambiguous { .. } => {
                Ok(Self { at: reach(found.compatible().map_err(out)?)?, second: None })
            }
            // A day whose midnight is skipped starts with the first instant that its clocks show.
            AmbiguousOffset::Gap { .. } if is_day(text) => {
                let start = found.compatible().map_err(out)?;
                Ok(Self { at: reach(start)?, second: None })
            }
            AmbiguousOffset::Gap { .. } => Err(TimeProblem::Skipped),
            AmbiguousOffset::Fold { .. } => {
                let first = reach(found.earlier().map_err(out)?)?;
                let second = reach(found.later().map_err(out)?)?;
                Ok(Self { at: first, second: (!is_day(text)).then_some(second) })
            }
        }
    }
}

/// Whether a text names a day without a time of day.
pub(crate) fn is_day(text: &str) -> bool {
    !text.contains(':') && text.parse::<civil::Date>().is_ok()
}

/// The text as a browser's field for a day and a time wants it, if it is a time without an offset.
pub(crate) fn as_field(text: &str) -> Option<String> {
    let civil: civil::DateTime = text.parse().ok().filter(|_| text.contains(':'))?;
    text.parse::<Timestamp>().is_err().then(|| civil.strftime("%Y-%m-%dT%H:%M").to_string())
}

fn in_reach(year: i16, instant: Timestamp) -> Result<OffsetDateTime, TimeProblem> {
    let instant = OffsetDateTime::from_unix_timestamp(instant.as_second()).ok();
    instant.filter(|_| YEARS.contains(&year)).ok_or(TimeProblem::OutOfRange)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn at(text: &str, zone: &str) -> Result<OffsetDateTime, TimeProblem> {
        LocalTime::read(text, zone).map(|time| time.at)
    }

    #[test]
    fn a_time_is_one_of_the_zone_unless_it_has_an_offset() {
        let own = "America/Guayaquil";
        assert_eq!(at("2026-12-02 10:00", own), Ok(datetime!(2026-12-02 15:00 UTC)));
        assert_eq!(at("2026-12-02T10:00", own), Ok(datetime!(2026-12-02 15:00 UTC)));
        assert_eq!(at("2026-12-02", own), Ok(datetime!(2026-12-02 5:00 UTC)));
        assert_eq!(at("2026-12-02", "UTC"), Ok(datetime!(2026-12-02 0:00 UTC)));
        for explicit in ["2026-12-02T15:00Z", "2026-12-02T15:00:00Z", "2026-12-02 10:00-05:00"] {
            assert_eq!(at(explicit, "Asia/Tokyo"), Ok(datetime!(2026-12-02 15:00 UTC)), "{explicit}");
        }
    }

    #[test]
    fn a_time_that_the_clocks_skip_is_refused_and_one_that_they_show_twice_is_told() {
        let zone = "America/New_York";
        assert_eq!(at("2026-03-08 02:30", zone), Err(TimeProblem::Skipped));
        assert_eq!(at("2026-03-08 01:59", zone), Ok(datetime!(2026-03-08 6:59 UTC)));
        assert_eq!(at("2026-03-08 03:00", zone), Ok(datetime!(2026-03-08 7:00 UTC)));
        let twice = LocalTime::read("2026-11-01 01:30", zone).unwrap();
        assert_eq!(twice.at, datetime!(2026-11-01 5:30 UTC));
        assert_eq!(twice.second, Some(datetime!(2026-11-01 6:30 UTC)));
        assert_eq!(LocalTime::read("2026-11-01T06:30Z", zone).unwrap().second, None);
        // The clocks of Santiago skip the midnight with which this day would start.
        assert_eq!(at("2026-09-06", "America/Santiago"), Ok(datetime!(2026-09-06 4:00 UTC)));
        assert_eq!(at("2026-09-06 00:00", "America/Santiago"), Err(TimeProblem::Skipped));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "x", "2026-13-01", "2026-02-30", "10:00", "2026-01-01 25:00", &"2026".repeat(20)] {
            assert_eq!(at(text, "UTC"), Err(TimeProblem::Unreadable), "{text}");
        }
        for text in ["1234-01-01", "9999-12-31", "2201-01-01T00:00Z"] {
            assert_eq!(at(text, "UTC"), Err(TimeProblem::OutOfRange), "{text}");
        }
    }

    #[test]
    fn a_field_of_the_browser_gets_what_it_can_show() {
        assert_eq!(as_field("2026-12-02 10:00").as_deref(), Some("2026-12-02T10:00"));
        for other in ["2026-12-02", "2026-12-02T10:00Z", "tomorrow"] {
            assert_eq!(as_field(other), None, "{other}");
        }
        assert!(is_day("2026-12-02") && !is_day("2026-12-02 10:00") && !is_day("x"));
    }
}
