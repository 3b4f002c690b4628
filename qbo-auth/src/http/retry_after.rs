//! Reads the header `Retry-After`, and dates in HTTP's format.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// The longest pause that a header can ask for: a broken header must not stop a run for a day.
pub const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// The pause that a `Retry-After` header asks for, at most [`LONGEST_PAUSE`]: seconds, or a date, which is measured against
/// `now`.
///
/// `None` for any other text, and for a date if `now` is not known.
pub fn retry_after(header: &str, now: Option<OffsetDateTime>) -> Option<Duration> {
    let header = header.trim();
    let pause = match header.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(http_date(header)? - now?).unwrap_or_default(),
    };
    Some(pause.min(LONGEST_PAUSE))
}

/// Reads a date as a header writes it. HTTP ends it in `GMT`, which RFC 2822 knows as an obsolete name for `+0000`.
pub fn http_date(header: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(header, &Rfc2822).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_pause_is_seconds_or_a_date_and_never_absurd() {
        let now = datetime!(1994-11-06 08:49:37 UTC);
        let check = |header: &str, expected: Option<u64>| {
            let pause = retry_after(header, Some(now));
            assert_eq!(pause.map(|pause| pause.as_secs()), expected, "{header}");
        };
        check("30", Some(30));
        check(" 30 ", Some(30));
        check("Sun, 06 Nov 1994 08:50:37 GMT", Some(60));
        check("Sun, 06 Nov 1994 08:40:00 GMT", Some(0));
        check("Sun, 06 Nov 1994 08:50:07 +0000", Some(30));
        check("999999999", Some(900));
        check("-1", None);
        check("soon", None);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", None), None);
        assert_eq!(retry_after("30", None), Some(Duration::from_secs(30)));
    }
}
