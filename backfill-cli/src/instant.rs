//! Parses instants as people write them.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};

/// Parses `2026-01-31` (midnight UTC), or an ISO 8601 time with `Z` or an offset, in whole seconds.
///
/// # Errors
///
/// A sentence that names the problem and the expected form.
pub(crate) fn parse(text: &str) -> Result<OffsetDateTime, String> {
    let form = "use 2026-01-31, 2026-01-31T00:00:00Z or 2026-01-31T00:00:00-05:00";
    // Neither form has a sign, but the parser below accepts one.
    if text.starts_with(['-', '+']) && text.contains(|c: char| c.is_ascii_digit()) {
        return Err(format!(
            "a year has four digits and no sign: QuickBooks knows the years 0 to 9999; {form}"
        ));
    }
    if let Ok(date) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
        return Ok(date.midnight().assume_utc());
    }
    let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) else {
        let local = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
        if time::PrimitiveDateTime::parse(text, local).is_ok() {
            return Err(format!("it names no zone; add Z for UTC, or an offset: {text}Z"));
        }
        return Err(format!("it is not a date that exists, or not in this form; {form}"));
    };
    if at.nanosecond() != 0 {
        return Err("QuickBooks keeps whole seconds; leave the fraction out".into());
    }
    match at.checked_to_offset(UtcOffset::UTC) {
        Some(at) if at.year() >= 0 => Ok(at),
        _ => Err("in UTC it is outside the years 0 to 9999".into()),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn dates_are_midnight_utc_and_times_need_a_zone() {
        assert_eq!(parse("2026-01-31"), Ok(datetime!(2026-01-31 0:00 UTC)));
        assert_eq!(parse("2026-01-31T00:00:00-05:00"), Ok(datetime!(2026-01-31 5:00 UTC)));
        for bad in [
            "2026-02-30",
            "26-01-01",
            "yesterday",
            "2026-01-31T10:00:00",
            "2026-01-31T00:00:00.5Z",
            "9999-12-31T23:59:59-05:00",
            "0000-01-01T00:00:00+05:00",
            "",
            "-0044-03-15",
            "+2026-01-01",
            "-0044-03-15T00:00:00Z",
            "--to",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
