//! The days of UTC that a span of time touches.

use raw_store::Window;
use time::Date;

/// The days of UTC that a span touches, in ascending order.
pub fn days_of(span: Window) -> impl Iterator<Item = Date> {
    let days = std::iter::successors(Some(span.start().date()), |day| day.next_day());
    days.take_while(move |day| day.midnight().assume_utc() < span.end())
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn a_span_touches_the_day_of_its_last_instant_and_not_that_of_its_end() {
        let days = |start, end| days_of(Window::new(start, end).unwrap()).collect::<Vec<_>>();
        let (first, second) = (date!(2025 - 03 - 14), date!(2025 - 03 - 15));
        assert_eq!(days(datetime!(2025-03-14 0:00 UTC), datetime!(2025-03-15 0:00 UTC)), [first]);
        assert_eq!(days(datetime!(2025-03-14 5:00 UTC), datetime!(2025-03-15 5:00 UTC)), [first, second]);
    }
}
