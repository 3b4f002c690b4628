//! The one reader of times in answers. It accepts every spelling whose meaning is beyond doubt, and no other.

use std::borrow::Cow;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};

/// Reads an instant with any offset and converts it to UTC. QBO returns times in Pacific local time, whatever the company's
/// country, so they must be compared as instants, never as text. An instant without a date in UTC's calendar, such as an
/// evening of 9999-12-31 west of Greenwich, is refused: it could be neither requested nor stored. A time without an offset, or
/// a date alone, is refused too: its zone is unknown.
pub(crate) fn instant(text: &str) -> Option<OffsetDateTime> {
    let usual = OffsetDateTime::parse(text, &Rfc3339).ok();
    let at = usual.or_else(|| OffsetDateTime::parse(&spelled_out(text)?, &Rfc3339).ok())?;
    let at = at.checked_to_offset(UtcOffset::UTC)?;
    (at.year() >= 0).then_some(at)
}

/// Rewrites other spellings of a time as RFC 3339: a space or a lower-case letter in place of `T` and `Z`, a comma before the
/// fraction, an offset without its colon or its minutes.
fn spelled_out(text: &str) -> Option<String> {
    let text = text.trim();
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (time, rest) = (rest.get(..8)?, rest.get(8..)?);
    let digits = rest
        .strip_prefix(['.', ','])
        .map_or("", |rest| &rest[..rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len()]);
    let rest = if digits.is_empty() { rest } else { &rest[1 + digits.len()..] };
    let zone = offset(rest.strip_prefix(' ').unwrap_or(rest))?;
    let fraction = if digits.is_empty() { String::new() } else { format!(".{digits}") };
    Some(format!("{date}T{time}{fraction}{zone}"))
}

/// `Z`, or an offset with its colon.
fn offset(text: &str) -> Option<Cow<'_, str>> {
    if matches!(text, "Z" | "z") {
        return Some("Z".into());
    }
    let digits = text.strip_prefix(['+', '-'])?;
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.len() {
        5 => Some(text.into()),
        4 if are_digits => Some(format!("{}:{}", &text[..3], &text[3..]).into()),
        2 if are_digits => Some(format!("{text}:00").into()),
        _ => None,
    }
}

/// Reads a date; a zone or a time of day after it does not change it.
pub(crate) fn date(text: &str) -> Option<Date> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let is_dated = rest.is_empty() || rest.starts_with(['T', 'Z', '+', '-']);
    Date::parse(date, format_description!("[year]-[month]-[day]")).ok().filter(|_| is_dated)
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn every_spelling_without_doubt_is_read() {
        for text in [
            "2014-12-02T12:00:00-08:00",
            "2014-12-02T12:00:00-0800",
            "2014-12-02T12:00:00-08",
            "2014-12-02 12:00:00-08:00",
            "2014-12-02 12:00:00 -0800",
            "2014-12-02t20:00:00z",
            "2014-12-02T20:00:00Z",
            "2014-12-02T20:00:00+0000",
            "2014-12-02T20:00:00.000Z",
            "2014-12-02T20:00:00,000+00:00",
            "2014-12-02T12:00:00.000-0800",
            " 2014-12-02T20:00:00Z ",
        ] {
            assert_eq!(instant(text), Some(datetime!(2014-12-02 20:00 UTC)), "{text}");
        }
    }

    #[test]
    fn a_time_that_may_mean_several_is_none() {
        for text in [
            "",
            "2014-12-02",
            "2014-12-02T12:00:00",
            "2014-12-02T12:00:00 PST",
            "2014-12-02T12:00-08:00",
            "12/02/2014 12:00:00 -0800",
            "2014-12-02T12:00:00-8",
            "2014-12-02T12:00:00-08000",
            "2014-12-02T12:00:00+0a00",
            "2014-13-02T12:00:00-0800",
            "9999-12-31T23:59:59-0800",
            "2014-12-02T12:00:00é",
            "soon",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_date_keeps_its_day_whatever_follows() {
        for text in ["2014-09-02", "2014-09-02-07:00", "2014-09-02Z", "2014-09-02T23:00:00-08:00"] {
            assert_eq!(date(text), Some(date!(2014 - 09 - 02)), "{text}");
        }
        assert_eq!(date("2014-09-0212"), None);
        assert_eq!(date("02.09.2014"), None);
    }
}
