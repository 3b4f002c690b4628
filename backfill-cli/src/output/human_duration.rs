//! Formats a duration for people by its two largest units.

use std::time::Duration;

/// Formats a duration by its two largest units, as in `2 h 13 min`.
pub(crate) fn human_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (1, hours, _) => format!("1 day {hours} h"),
        (days, hours, _) => format!("{days} days {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_largest_units_are_said() {
        let said = |seconds| human_duration(Duration::from_secs(seconds));
        assert_eq!(said(7), "7 s");
        assert_eq!(said(67), "1 min 7 s");
        assert_eq!(said(7980), "2 h 13 min");
        assert_eq!(said(86_400), "1 day 0 h");
        assert_eq!(said(200_000), "2 days 7 h");
    }
}
