//! A time as people type it.

use jiff::civil;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::when::When;

/// What was typed: an instant, and the end of the second, minute or day that was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) from: OffsetDateTime,
    pub(super) until: OffsetDateTime,
}

impl Moment {
    /// Reads an instant with its zone (`2026-11-29T08:12:00Z`), a day, or a day and a time in the zone that comes first. A time
    /// without a day is the last one that has passed, because nothing has happened in the future yet.
    pub(super) fn parse(text: &str, when: &When, now: OffsetDateTime) -> Option<Self> {
        let text = text.trim();
        if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
            let from = at.replace_nanosecond(0).ok()?;
            return Some(Self { from, until: from.checked_add(Duration::SECOND)? });
        }
        if let Some((time, precision)) = time_of_day(text) {
            let today = when.local(now).date();
            let at = |day: civil::Date| when.instant(day.to_datetime(time));
            let from = at(today).filter(|at| *at <= now).or_else(|| at(today.yesterday().ok()?))?;
            return Some(Self { from, until: from.checked_add(precision)? });
        }
        let day = |text: &str| civil::Date::strptime("%Y-%m-%d", text).ok();
        if let Some((text, time)) = text.split_once([' ', 'T']) {
            let (time, precision) = time_of_day(time.trim())?;
            let from = when.instant(day(text)?.to_datetime(time))?;
            return Some(Self { from, until: from.checked_add(precision)? });
        }
        let day = day(text)?;
        let midnight = |day: civil::Date| when.instant(day.to_datetime(civil::Time::midnight()));
        Some(Self { from: midnight(day)?, until: midnight(day.tomorrow().ok()?)? })
    }

    /// Whether it is no longer than a minute.
    pub(super) fn is_short(self) -> bool {
        self.until - self.from <= Duration::MINUTE
    }

    pub(super) fn contains(self, at: OffsetDateTime) -> bool {
        self.from <= at && at < self.until
    }
}

/// A time of day, and the length of the minute or the second that it names.
fn time_of_day(text: &str) -> Option<(civil::Time, Duration)> {
    let is_time = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    if !is_time {
        return None;
    }
    let minute = civil::Time::strptime("%H:%M", text).map(|time| (time, Duration::MINUTE));
    minute.or_else(|_| civil::Time::strptime("%H:%M:%S", text).map(|time| (time, Duration::SECOND))).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::words::Language;

    const NOW: OffsetDateTime = datetime!(2026-11-29 14:12:05 UTC);

    fn read(zone: &str, text: &str) -> Option<(OffsetDateTime, Duration)> {
        let moment = Moment::parse(text, &When::new(zone, false, Language::En), NOW)?;
        Some((moment.from, moment.until - moment.from))
    }

    #[test]
    fn a_time_without_a_day_is_the_last_one_that_has_passed() {
        let own = |text| read("America/Guayaquil", text);
        assert_eq!(own("03:12"), Some((datetime!(2026-11-29 8:12 UTC), Duration::MINUTE)));
        assert_eq!(own(" 3:12:07 "), Some((datetime!(2026-11-29 8:12:07 UTC), Duration::SECOND)));
        assert_eq!(own("09:12"), Some((datetime!(2026-11-29 14:12 UTC), Duration::MINUTE)));
        // It is 09:12:05 there now.
        assert_eq!(own("09:13"), Some((datetime!(2026-11-28 14:13 UTC), Duration::MINUTE)));
        let utc = When::new("America/Guayaquil", true, Language::En);
        assert_eq!(
            Moment::parse("03:12", &utc, NOW).map(|moment| moment.from),
            Some(datetime!(2026-11-29 3:12 UTC))
        );
    }

    #[test]
    fn days_and_instants_are_read_too() {
        let own = |text| read("America/Guayaquil", text);
        assert_eq!(own("2026-11-20"), Some((datetime!(2026-11-20 5:00 UTC), Duration::DAY)));
        assert_eq!(own("2026-11-20 03:12"), Some((datetime!(2026-11-20 8:12 UTC), Duration::MINUTE)));
        assert_eq!(own("2026-11-20T03:12:09"), Some((datetime!(2026-11-20 8:12:09 UTC), Duration::SECOND)));
        assert_eq!(own("2026-11-20T03:12:09Z"), Some((datetime!(2026-11-20 3:12:09 UTC), Duration::SECOND)));
        for wrong in
            ["", "x", "25:00", "03:12 x", "2026-13-01", "2026-11-20 99", "9999-12-31", "-1", "\u{663}:12"]
        {
            assert_eq!(own(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_that_clocks_skip_or_show_twice_is_found() {
        // Clocks go from 02:00 to 03:00 on 8 March 2026, and from 02:00 back to 01:00 on 1 November 2026.
        let york = |text| read("America/New_York", text).map(|(from, _)| from);
        assert_eq!(york("2026-03-08 02:30"), Some(datetime!(2026-03-08 7:30 UTC)));
        assert_eq!(york("2026-11-01 01:30"), Some(datetime!(2026-11-01 5:30 UTC)));
        let day = read("America/New_York", "2026-11-01").map(|(_, length)| length);
        assert_eq!(day, Some(Duration::hours(25)));
    }
}
