//! Ranges of days that one report covers.

use time::{Date, Duration};

/// The days of one report, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Period {
    pub(super) first: Date,
    pub(super) last: Date,
}

impl Period {
    /// Cuts a range of days at the ends of every `months`th month.
    pub(super) fn tile(first: Date, last: Date, months: u8) -> Vec<Self> {
        let mut periods = Vec::new();
        let mut from = first;
        while from <= last {
            let mut end = month_end(from);
            for _ in 1..months {
                end = end.next_day().map_or(end, month_end);
            }
            let end = end.min(last);
            periods.push(Self { first: from, last: end });
            let Some(next) = end.next_day() else { break };
            from = next;
        }
        periods
    }

    /// The earlier and the later half; `None` for a single day.
    pub(super) fn halves(self) -> Option<(Self, Self)> {
        let days = (self.last - self.first).whole_days();
        if days == 0 {
            return None;
        }
        let middle = self.first + Duration::days(days / 2);
        Some((Self { last: middle, ..self }, Self { first: middle + Duration::DAY, ..self }))
    }
}

/// The last day of a date's month.
fn month_end(date: Date) -> Date {
    let days = date.month().length(date.year());
    date.replace_day(days).expect("a month has its last day")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::date;

    use super::*;

    proptest! {
        #[test]
        fn every_day_is_in_one_period(start in 0_i64..20_000, days in 0_i64..2000, months in 1_u8..7) {
            let first = date!(1990 - 01 - 01) + Duration::days(start);
            let last = first + Duration::days(days);
            let mut parts = Period::tile(first, last, months);
            // Halved down to days, as reports that are cut off are.
            let mut single = Vec::new();
            while let Some(part) = parts.pop() {
                match part.halves() {
                    Some((earlier, later)) => parts.extend([earlier, later]),
                    None => single.push(part.first),
                }
            }
            single.sort_unstable();
            let all: Vec<_> = (0..=days).map(|day| first + Duration::days(day)).collect();
            prop_assert_eq!(single, all);
        }
    }

    #[test]
    fn periods_end_with_their_month() {
        let periods = Period::tile(date!(2024 - 01 - 15), date!(2024 - 03 - 02), 1);
        let lasts: Vec<_> = periods.iter().map(|period| period.last).collect();
        assert_eq!(lasts, [date!(2024 - 01 - 31), date!(2024 - 02 - 29), date!(2024 - 03 - 02)]);
        assert_eq!(Period::tile(date!(2024 - 01 - 01), date!(2024 - 12 - 31), 6).len(), 2);
    }
}
