//! Times as people read them: in the company's own zone and in UTC, and how long ago.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;
use raw_store::Window;
use time::{Date, Month, OffsetDateTime, UtcOffset};

use crate::words::Language;

/// How times are shown on one page.
#[derive(Clone, Debug)]
pub(crate) struct When {
    zone: TimeZone,
    /// The last part of the zone's name, such as `Guayaquil`; `None` for UTC itself.
    place: Option<String>,
    utc_first: bool,
    language: Language,
}

/// An instant in both zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Both {
    /// For `<time datetime>`, in UTC.
    pub(crate) iso: String,
    /// The time that comes first, with the name of its zone.
    pub(crate) first: String,
    /// The other one; empty if they are the same.
    pub(crate) second: String,
}

impl When {
    /// Shows times in a zone of the zone database. One that is unknown is taken to be UTC.
    pub(crate) fn new(zone: &str, utc_first: bool, language: Language) -> Self {
        let known = TimeZone::get(zone).ok().filter(|_| !matches!(zone, "UTC" | "Etc/UTC"));
        let place = known.as_ref().map(|_| zone.rsplit('/').next().unwrap_or(zone).replace('_', " "));
        Self { zone: known.unwrap_or(TimeZone::UTC), place, utc_first, language }
    }

    /// A window: its days or instants in UTC, and its times of day in the company's own zone, which is empty if that is UTC.
    pub(crate) fn window(&self, window: Window) -> (String, String) {
        let to = self.language.words().today.to;
        let (start, end) = (window.start(), window.end());
        let [from, until] = [start, end].map(backfill_report::instant::short);
        let zone = if from.ends_with('Z') || until.ends_with('Z') { "" } else { " UTC" };
        let own = self.place.as_ref().map_or_else(String::new, |place| {
            let [from, until] = [start, end].map(|at| self.own(at).strftime("%H:%M").to_string());
            format!("{from} {to} {until} {place}")
        });
        (format!("{from} {to} {until}{zone}"), own)
    }

    /// What people call the company's own zone, such as `Guayaquil`.
    pub(crate) fn place(&self) -> &str {
        self.place.as_deref().unwrap_or("UTC")
    }

    /// The time of day, with the day if it is another than that of `now`.
    pub(crate) fn moment(&self, at: OffsetDateTime, now: OffsetDateTime) -> Both {
        let (own, utc) = (self.own(at), utc(at));
        let today = |then: civil::DateTime, now: civil::DateTime| then.date() == now.date();
        let is_today = today(own, self.own(now));
        let text = |then: civil::DateTime, with_day: bool| {
            then.strftime(if with_day { "%Y-%m-%d %H:%M" } else { "%H:%M" }).to_string()
        };
        // The second time repeats the day only where it is another.
        let utc_day = !is_today && (self.utc_first || utc.date() != own.date());
        let own_day = !is_today && (!self.utc_first || utc.date() != own.date());
        self.both(at, &text(own, own_day), &text(utc, utc_day))
    }

    /// The time of day with seconds, and the day.
    pub(crate) fn exact(&self, at: OffsetDateTime) -> Both {
        let text = |then: civil::DateTime| then.strftime("%Y-%m-%d %H:%M:%S").to_string();
        self.both(at, &text(self.own(at)), &text(utc(at)))
    }

    /// The time of day alone, in the zone that comes first.
    pub(crate) fn clock(&self, at: OffsetDateTime) -> String {
        let then = if self.utc_first { utc(at) } else { self.own(at) };
        then.strftime("%H:%M").to_string()
    }

    /// The day in the company's own zone.
    pub(crate) fn day(&self, at: OffsetDateTime) -> Date {
        date(self.own(at).date()).unwrap_or(at.date())
    }

    /// The day in the zone that comes first.
    pub(crate) fn shown_day(&self, at: OffsetDateTime) -> Date {
        date(self.local(at).date()).unwrap_or(at.date())
    }

    /// The start of a day in the company's own zone.
    pub(crate) fn midnight(&self, day: Date) -> OffsetDateTime {
        let civil = i16::try_from(day.year()).ok().and_then(|year| {
            let (month, number) = (u8::from(day.month()).try_into().ok()?, day.day().try_into().ok()?);
            civil::Date::new(year, month, number).ok()
        });
        let zoned = civil.and_then(|day| day.to_zoned(self.zone.clone()).ok());
        let instant =
            zoned.and_then(|zoned| OffsetDateTime::from_unix_timestamp(zoned.timestamp().as_second()).ok());
        instant.unwrap_or_else(|| day.midnight().assume_utc())
    }

    /// How long ago, in the two largest units.
    pub(crate) fn ago(&self, at: OffsetDateTime, now: OffsetDateTime) -> String {
        self.since(Duration::try_from(now - at).unwrap_or_default())
    }

    /// As [`ago`](Self::ago), of a time that has passed.
    pub(crate) fn since(&self, passed: Duration) -> String {
        let words = &self.language.words().frame;
        if passed < Duration::from_secs(5) {
            return words.now.to_owned();
        }
        (words.ago)(&self.about(passed))
    }

    /// How long from now; `now` if it is past.
    pub(crate) fn until(&self, at: OffsetDateTime, now: OffsetDateTime) -> String {
        let words = &self.language.words().frame;
        match Duration::try_from(at - now) {
            Ok(left) if left >= Duration::from_secs(1) => (words.within)(&self.duration(left)),
            _ => words.now.to_owned(),
        }
    }

    /// A duration in its largest unit: `9 h`, `3 d`, `40 s`.
    pub(crate) fn about(&self, duration: Duration) -> String {
        let units = self.language.words().frame.units;
        let seconds = duration.as_secs();
        let (number, unit) = match seconds {
            0..60 => (seconds, units[3]),
            60..3_600 => (seconds / 60, units[2]),
            3_600..86_400 => (seconds / 3_600, units[1]),
            _ => (seconds / 86_400, units[0]),
        };
        format!("{}\u{a0}{unit}", self.language.number(number))
    }

    /// A duration in its two largest units: `2 h 13 min`, `3 d 4 h`, `40 s`.
    pub(crate) fn duration(&self, duration: Duration) -> String {
        let units = self.language.words().frame.units;
        let seconds = duration.as_secs();
        let parts = [seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60];
        let first = parts.iter().position(|part| *part > 0).unwrap_or(3);
        let named = parts.iter().zip(units).skip(first).take(2).filter(|(part, _)| **part > 0);
        let texts: Vec<_> =
            named.map(|(part, unit)| format!("{}\u{a0}{unit}", self.language.number(*part))).collect();
        if texts.is_empty() { format!("0\u{a0}{}", units[3]) } else { texts.join(" ") }
    }

    /// The names of the two zones, the one that comes first before the other; the second is empty if they are the same.
    pub(crate) fn places(&self) -> (&str, &str) {
        match &self.place {
            None => ("UTC", ""),
            Some(place) if self.utc_first => ("UTC", place),
            Some(place) => (place, "UTC"),
        }
    }

    /// The time of day with seconds, without the names of the zones, for a column whose head names them. The second time has its
    /// day where that is another.
    pub(crate) fn seconds(&self, at: OffsetDateTime) -> Both {
        let (first, second) = if self.utc_first { (utc(at), self.own(at)) } else { (self.own(at), utc(at)) };
        let same_day = first.date() == second.date();
        let second = second.strftime(if same_day { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" }).to_string();
        Both {
            iso: backfill_report::instant::utc(at),
            first: first.strftime("%H:%M:%S").to_string(),
            second: if self.place.is_some() { second } else { String::new() },
        }
    }

    /// The day and the time of day in the zone that comes first.
    pub(crate) fn local(&self, at: OffsetDateTime) -> civil::DateTime {
        if self.utc_first { utc(at) } else { self.own(at) }
    }

    /// The instant at which clocks of the zone that comes first show a time: the earlier one if they show it twice, and the one
    /// just as far after the gap if they skip it.
    pub(crate) fn instant(&self, local: civil::DateTime) -> Option<OffsetDateTime> {
        let zone = if self.utc_first { TimeZone::UTC } else { self.zone.clone() };
        let zoned = local.to_zoned(zone).ok()?;
        OffsetDateTime::from_unix_timestamp(zoned.timestamp().as_second()).ok()
    }

    fn own(&self, at: OffsetDateTime) -> civil::DateTime {
        timestamp(at).to_zoned(self.zone.clone()).datetime()
    }

    fn both(&self, at: OffsetDateTime, own: &str, utc: &str) -> Both {
        let iso = backfill_report::instant::utc(at);
        let utc = format!("{utc} UTC");
        let Some(place) = &self.place else { return Both { iso, first: utc, second: String::new() } };
        let own = format!("{own} {place}");
        let (first, second) = if self.utc_first { (utc, own) } else { (own, utc) };
        Both { iso, first, second }
    }
}

fn date(day: civil::Date) -> Option<Date> {
    let month = Month::try_from(u8::try_from(day.month()).ok()?).ok()?;
    Date::from_calendar_date(i32::from(day.year()), month, u8::try_from(day.day()).ok()?).ok()
}

fn utc(at: OffsetDateTime) -> civil::DateTime {
    timestamp(at).to_zoned(TimeZone::UTC).datetime()
}

fn timestamp(at: OffsetDateTime) -> Timestamp {
    Timestamp::from_second(at.to_offset(UtcOffset::UTC).unix_timestamp()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-29 14:12:05 UTC);

    fn both(when: &When, at: OffsetDateTime) -> (String, String) {
        let both = when.moment(at, NOW);
        (both.first, both.second)
    }

    #[test]
    fn a_time_is_shown_in_both_zones() {
        let own = When::new("America/Guayaquil", false, Language::En);
        assert_eq!(both(&own, NOW), ("09:12 Guayaquil".into(), "14:12 UTC".into()));
        let at = datetime!(2026-11-29 4:59 UTC);
        assert_eq!(both(&own, at), ("2026-11-28 23:59 Guayaquil".into(), "2026-11-29 04:59 UTC".into()));
        let utc = When::new("America/Guayaquil", true, Language::En);
        assert_eq!(both(&utc, NOW), ("14:12 UTC".into(), "09:12 Guayaquil".into()));
        let alone = When::new("UTC", false, Language::En);
        assert_eq!(both(&alone, NOW), ("14:12 UTC".into(), String::new()));
    }

    #[test]
    fn a_window_is_shown_by_its_days() {
        let window = Window::new(datetime!(2025-03-14 0:00 UTC), datetime!(2025-03-15 0:00 UTC)).unwrap();
        let own = When::new("America/Guayaquil", false, Language::En).window(window);
        assert_eq!(own, ("2025-03-14 to 2025-03-15 UTC".into(), "19:00 to 19:00 Guayaquil".into()));
        assert_eq!(When::new("UTC", false, Language::En).window(window).1, "");
    }

    #[test]
    fn a_day_begins_at_the_midnight_of_the_zone() {
        let own = When::new("America/Guayaquil", false, Language::En);
        assert_eq!(own.day(datetime!(2026-11-29 4:59 UTC)), date!(2026 - 11 - 28));
        assert_eq!(own.midnight(date!(2026 - 11 - 28)), datetime!(2026-11-28 5:00 UTC));
    }

    #[test]
    fn durations_are_told_in_their_largest_units() {
        let spanish = When::new("America/Guayaquil", false, Language::Es);
        let ago = |at| spanish.ago(at, NOW).replace('\u{a0}', " ");
        assert_eq!(ago(datetime!(2026-11-29 5:07 UTC)), "hace 9 h");
        assert_eq!(ago(datetime!(2026-11-29 14:12:03 UTC)), "ahora");
        let until = |at| spanish.until(at, NOW).replace('\u{a0}', " ");
        assert_eq!(until(datetime!(2026-11-29 16:25:10 UTC)), "en 2 h 13 min");
        assert_eq!(until(datetime!(2026-12-02 15:00 UTC)), "en 3 d");
        assert_eq!(until(datetime!(2026-11-29 14:00 UTC)), "ahora");
    }
}
