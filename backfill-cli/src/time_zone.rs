//! Formats instants in the display time zone of a profile.

use time::OffsetDateTime;

use crate::output::exit::Exit;

/// Formats an instant in a named zone, as in `2026-01-30 19:00 America/Guayaquil`.
///
/// # Errors
///
/// The zone database does not know the zone.
pub(crate) fn in_zone(at: OffsetDateTime, zone: &str) -> Result<String, Exit> {
    let unknown = |_| {
        Exit::usage(
            format!("there is no time zone {zone:?}"),
            "use a name of the zone database, such as America/Guayaquil or UTC",
        )
    };
    let zoned = jiff::Timestamp::from_second(at.unix_timestamp())
        .and_then(|instant| instant.in_tz(zone))
        .map_err(unknown)?;
    Ok(format!("{} {zone}", zoned.strftime("%Y-%m-%d %H:%M")))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_instant_is_shown_in_the_site_zone() {
        let at = datetime!(2026-02-02 15:00 UTC);
        assert_eq!(in_zone(at, "America/Guayaquil").unwrap(), "2026-02-02 10:00 America/Guayaquil");
        assert!(in_zone(at, "Guayaquil").is_err());
    }
}
