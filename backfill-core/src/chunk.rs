//! Window sizes, and cutting a range into windows.

use std::fmt;
use std::str::FromStr;

use raw_store::Window;
use time::{Date, Duration, Month, OffsetDateTime, UtcOffset};

/// The length of a run's windows. Boundaries follow the UTC calendar: weeks begin on Monday, months on the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChunkSize {
    /// One day.
    #[default]
    Day,
    /// Monday to Monday.
    Week,
    /// A calendar month.
    Month,
    /// A calendar quarter.
    Quarter,
    /// A calendar year.
    Year,
    /// The whole range as one window.
    Whole,
}

/// Error of parsing a word that is not a chunk size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a chunk is day, week, month, quarter, year or whole")]
pub struct UnknownChunk;

impl ChunkSize {
    /// All sizes.
    pub const ALL: [Self; 6] = [Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year, Self::Whole];

    /// Returns the size as a word, such as `day`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
            Self::Whole => "whole",
        }
    }

    /// The first boundary after `date`; `None` beyond the calendar's end or without boundaries.
    fn next(self, date: Date) -> Option<Date> {
        let first_of = |months: u8| {
            // Months count from 0, so that dividing finds the block that holds `date`.
            let block = (u8::from(date.month()) - 1) / months;
            let next = (block + 1) * months;
            let (year, month) = if next == 12 { (date.year() + 1, 0) } else { (date.year(), next) };
            Date::from_calendar_date(year, Month::try_from(month + 1).ok()?, 1).ok()
        };
        match self {
            Self::Day => date.next_day(),
            Self::Week => {
                let days = 7 - i64::from(date.weekday().number_days_from_monday());
                date.checked_add(Duration::days(days))
            }
            Self::Month => first_of(1),
            Self::Quarter => first_of(3),
            Self::Year => first_of(12),
            Self::Whole => None,
        }
    }
}

impl fmt::Display for ChunkSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ChunkSize {
    type Err = UnknownChunk;

    fn from_str(word: &str) -> Result<Self, UnknownChunk> {
        Self::ALL.into_iter().find(|size| size.as_str() == word).ok_or(UnknownChunk)
    }
}

/// The most windows of one pipeline that a request may have. Each window is a line of the log and takes some seven hundred
/// bytes of memory while the run lasts. By day this covers more than sixty years, several times as long as there has been
/// anything to read.
pub const MOST_WINDOWS: usize = 25_000;

/// Error of cutting a range into more windows than a request may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the range has more than {MOST_WINDOWS} windows by {chunk}")]
pub struct TooManyWindows {
    /// The chunk size as a word, such as `day`.
    pub chunk: &'static str,
}

/// Cuts a span into windows without gaps or overlaps. The first and last windows are clipped to the span.
///
/// # Errors
///
/// [`TooManyWindows`] beyond [`MOST_WINDOWS`] windows; no more than that many are created.
pub fn tile(span: Window, size: ChunkSize) -> Result<Vec<Window>, TooManyWindows> {
    let mut windows = Vec::new();
    let mut start = span.start();
    while start < span.end() {
        if windows.len() == MOST_WINDOWS {
            return Err(TooManyWindows { chunk: size.as_str() });
        }
        let end = next_boundary(start, size).map_or(span.end(), |boundary| boundary.min(span.end()));
        windows.push(Window::new(start, end).expect("a boundary lies after its start"));
        start = end;
    }
    Ok(windows)
}

fn next_boundary(at: OffsetDateTime, size: ChunkSize) -> Option<OffsetDateTime> {
    Some(size.next(at.to_offset(UtcOffset::UTC).date())?.midnight().assume_utc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    fn starts(from: OffsetDateTime, to: OffsetDateTime, size: ChunkSize) -> Vec<String> {
        tile(Window::new(from, to).unwrap(), size).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn windows_follow_the_calendar_and_are_clipped_to_the_span() {
        let (from, to) = (datetime!(2024-02-28 12:00 UTC), datetime!(2024-03-02 0:00 UTC));
        assert_eq!(
            starts(from, to, ChunkSize::Day),
            [
                "2024-02-28T12:00:00Z/2024-02-29T00:00:00Z",
                "2024-02-29T00:00:00Z/2024-03-01T00:00:00Z",
                "2024-03-01T00:00:00Z/2024-03-02T00:00:00Z",
            ]
        );
        assert_eq!(starts(from, to, ChunkSize::Month).len(), 2);
        assert_eq!(starts(from, to, ChunkSize::Whole), ["2024-02-28T12:00:00Z/2024-03-02T00:00:00Z"]);
        let year = (datetime!(2025-12-31 0:00 UTC), datetime!(2026-04-01 0:00 UTC));
        assert_eq!(
            starts(year.0, year.1, ChunkSize::Quarter),
            ["2025-12-31T00:00:00Z/2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z/2026-04-01T00:00:00Z"]
        );
        // 2026-01-05 is a Monday.
        assert_eq!(
            starts(datetime!(2026-01-01 0:00 UTC), datetime!(2026-01-06 0:00 UTC), ChunkSize::Week),
            ["2026-01-01T00:00:00Z/2026-01-05T00:00:00Z", "2026-01-05T00:00:00Z/2026-01-06T00:00:00Z"]
        );
    }

    #[test]
    fn the_end_of_the_calendar_is_an_end() {
        let span = Window::new(datetime!(9999-12-30 0:00 UTC), datetime!(9999-12-31 23:59:59 UTC)).unwrap();
        for size in ChunkSize::ALL {
            assert_eq!(tile(span, size).unwrap().last().unwrap().end(), span.end());
        }
    }

    #[test]
    fn a_range_of_more_windows_than_a_request_may_have_is_refused() {
        let from = datetime!(1950-01-01 0:00 UTC);
        let most = Duration::DAY * u16::try_from(MOST_WINDOWS).unwrap();
        let days = |more| tile(Window::new(from, from + most + more).unwrap(), ChunkSize::Day);
        assert_eq!(days(Duration::ZERO).unwrap().len(), MOST_WINDOWS);
        assert_eq!(days(Duration::SECOND), Err(TooManyWindows { chunk: "day" }));
        let all = Window::new(datetime!(0001-01-01 0:00 UTC), datetime!(9999-12-31 0:00 UTC)).unwrap();
        for size in [ChunkSize::Day, ChunkSize::Week, ChunkSize::Month] {
            assert!(tile(all, size).is_err(), "{size}");
        }
        assert_eq!(tile(all, ChunkSize::Year).unwrap().len(), 9999);
    }

    proptest! {
        #[test]
        fn windows_tile_every_span_exactly(
            from in -2_208_988_800_i64..7_258_118_400,
            seconds in 1_i64..40_000_000,
            size in prop::sample::select(ChunkSize::ALL.to_vec()),
        ) {
            let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let span = Window::new(at(from), at(from + seconds)).unwrap();
            let windows = tile(span, size).unwrap();
            prop_assert_eq!(windows[0].start(), span.start());
            prop_assert_eq!(windows[windows.len() - 1].end(), span.end());
            for pair in windows.windows(2) {
                prop_assert_eq!(pair[0].end(), pair[1].start());
                prop_assert_eq!(pair[0].end().time(), time::Time::MIDNIGHT);
            }
        }

        /// Checks every second against the calendar: a window begins where its day, week, month … does.
        #[test]
        fn windows_begin_where_the_calendar_says(
            from in -2_208_988_800_i64..7_258_118_400,
            days in 1_i64..3,
            offset in -50_i64..50,
            size in prop::sample::select(ChunkSize::ALL.to_vec()),
        ) {
            let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let shifted = |seconds| at(seconds).to_offset(UtcOffset::from_whole_seconds(
                i32::try_from(offset * 900).unwrap()).unwrap());
            let (first, last) = (from, from + days * 86_400);
            let windows = tile(Window::new(shifted(first), shifted(last)).unwrap(), size).unwrap();
            let begins = |second: i64| {
                let (now, before) = (at(second).date(), at(second - 1).date());
                match size {
                    ChunkSize::Day => now != before,
                    ChunkSize::Week => now != before && now.weekday() == time::Weekday::Monday,
                    ChunkSize::Month => now.month() != before.month(),
                    ChunkSize::Quarter => (u8::from(now.month()) - 1) / 3 != (u8::from(before.month()) - 1) / 3,
                    ChunkSize::Year => now.year() != before.year(),
                    ChunkSize::Whole => false,
                }
            };
            let expected: Vec<_> = (first..last).filter(|second| *second == first || begins(*second)).map(at).collect();
            prop_assert_eq!(windows.iter().map(|window| window.start()).collect::<Vec<_>>(), expected);
        }
    }
}
