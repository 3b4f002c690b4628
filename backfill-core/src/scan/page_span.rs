//! Estimates the time that a full page covers.

use time::{Duration, OffsetDateTime};

/// The number of parts of a page that are measured separately.
const PARTS: u8 = 4;

/// Estimates a full page's time span from its sparsest quarter, so bulk imports and gaps do not skew it: many records imported
/// in one second say nothing of the time around it, and a gap before the first record says nothing of the time behind it.
/// Returns `None` if all records share one instant. `time` gives the time of the nth of `records` records, in ascending order;
/// a page requested with fewer than `whole` records counts as a part of a full one.
pub(crate) fn page_span(
    records: usize,
    whole: u16,
    time: impl Fn(usize) -> OffsetDateTime,
) -> Option<Duration> {
    let steps = records.checked_sub(1).filter(|steps| *steps >= usize::from(PARTS))?;
    let edge = |part: u8| time(steps * usize::from(part) / usize::from(PARTS));
    let sparsest = (0..PARTS).map(|part| edge(part + 1) - edge(part)).max()?;
    let whole_ones = u16::try_from(steps).map_or(1.0, |steps| (f64::from(whole) / f64::from(steps)).max(1.0));
    (sparsest > Duration::ZERO).then(|| sparsest * f64::from(PARTS) * whole_ones)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn of(seconds: impl IntoIterator<Item = i64>) -> Option<Duration> {
        let seconds: Vec<_> = seconds.into_iter().collect();
        page_span(seconds.len(), 1000, |n| datetime!(2026-01-01 0:00 UTC) + Duration::seconds(seconds[n]))
    }

    #[test]
    fn the_sparsest_quarter_speaks_for_the_page() {
        assert_eq!(of((0..1001).map(|n| n * 60)), Some(Duration::minutes(1000)));
        // Half of the records in one second.
        let bulk = (0..500).map(|_| 0).chain((1..=500).map(|n| n * 60));
        let span = of(bulk).unwrap();
        assert!((span - Duration::minutes(1000)).abs() < Duration::minutes(10), "{span}");
        assert_eq!(of((0..101).map(|n| n * 60)), Some(Duration::minutes(1000)), "a tenth of a page");
        assert_eq!(of([7; 1000]), None);
        assert_eq!(of([1, 2]), None);
        assert_eq!(of([]), None);
    }
}
