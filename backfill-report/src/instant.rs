//! Instants as people and programs read them.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Formats an instant in UTC with whole seconds, such as `2026-01-31T00:00:00Z`.
#[must_use]
pub fn utc(at: OffsetDateTime) -> String {
    let seconds = at.to_offset(UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
    seconds.format(&Rfc3339).unwrap_or_else(|_| seconds.to_string())
}

/// Formats an instant at midnight UTC as its date, such as `2026-01-31`, and any other as [`utc`].
#[must_use]
pub fn short(at: OffsetDateTime) -> String {
    let text = utc(at);
    text.strip_suffix("T00:00:00Z").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_instant_at_midnight_is_shown_as_its_day() {
        let at = datetime!(2026-02-02 15:00 UTC);
        assert_eq!(short(datetime!(2026-02-02 0:00 UTC)), "2026-02-02");
        assert_eq!(short(at), "2026-02-02T15:00:00Z");
    }
}
