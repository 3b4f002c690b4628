//! Reads one instant in the order of ids; a pure state machine.
//!
//! `ORDERBY Id` is an order without ties, which clients in several languages rely on. While people work, records leave the
//! instant, and those behind them move up. So every page overlaps the one before: if it begins with a record that is not behind
//! the last one taken, nothing lies between the two. Whether ids are compared as numbers or as text is not documented; the
//! pages tell, and a sequence that follows neither order cannot be relied on. A full page shows it: ten records in any order
//! look sorted once in 3.6 million times.

use super::record_key::RecordKey;

/// How often a page may begin too late before the order is given up; each time, the overlap doubles.
const MOST_GAPS: u32 = 50;

/// How far one instant has been read in the order of ids.
#[derive(Debug)]
pub(crate) struct ById {
    /// The last id up to which all ids have been taken without a gap.
    last: Option<RecordKey>,
    order: IdOrder,
    overlap: u32,
    gaps: u32,
}

/// The orders that the pages have not disproved.
#[derive(Clone, Copy, Debug)]
struct IdOrder {
    as_numbers: bool,
    as_text: bool,
}

/// What a page means for the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Continue at this position.
    At(u32),
    /// It was the last page, and nothing is missing.
    Done,
    /// The ids follow no order.
    Unordered,
}

impl ById {
    pub(crate) fn new(page_size: u16) -> Self {
        let overlap = u32::from(page_size).div_ceil(20);
        Self { last: None, order: IdOrder { as_numbers: true, as_text: true }, overlap, gaps: 0 }
    }

    /// Takes the ids of a page that starts at `position`.
    pub(crate) fn take(&mut self, ids: &[RecordKey], position: u32, page_size: u16) -> Next {
        self.order.observe(ids);
        if !self.order.is_one() {
            return Next::Unordered;
        }
        let adjoins = match (&self.last, ids.first()) {
            _ if position == 1 => true,
            (Some(last), Some(first)) => !self.order.may_be_before(last, first),
            _ => false,
        };
        if !adjoins {
            self.gaps += 1;
            if self.gaps > MOST_GAPS {
                return Next::Unordered;
            }
            self.overlap = (self.overlap * 2).min(u32::from(page_size) / 2).max(1);
            return Next::At(position.saturating_sub(self.overlap).max(1));
        }
        if let Some(last) = ids.last()
            && self.last.as_ref().is_none_or(|known| self.order.may_be_before(known, last))
        {
            self.last = Some(last.clone());
        }
        let received = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        if received < u32::from(page_size) {
            return Next::Done;
        }
        Next::At(position + received.saturating_sub(self.overlap.min(received / 2)).max(1))
    }
}

impl IdOrder {
    fn observe(&mut self, ids: &[RecordKey]) {
        for pair in ids.windows(2) {
            self.as_numbers &= is_less_as_number(&pair[0], &pair[1]);
            self.as_text &= pair[0] < pair[1];
        }
    }

    fn is_one(self) -> bool {
        self.as_numbers || self.as_text
    }

    fn may_be_before(self, one: &str, other: &str) -> bool {
        (self.as_numbers && is_less_as_number(one, other)) || (self.as_text && one < other)
    }
}

/// Whether both ids are whole numbers, and the first is less.
fn is_less_as_number(one: &str, other: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = |text: &'_ str| (text.trim_start_matches('0').len(), text.trim_start_matches('0').to_owned());
    digits(one) && digits(other) && value(one) < value(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: impl IntoIterator<Item = u32>) -> Vec<RecordKey> {
        range.into_iter().map(|id| id.to_string().into()).collect()
    }

    #[test]
    fn pages_that_overlap_leave_no_gap() {
        let mut keyset = ById::new(20);
        assert_eq!(keyset.take(&ids(81..101), 1, 20), Next::At(20));
        assert_eq!(keyset.take(&ids(100..120), 20, 20), Next::At(39));
        assert_eq!(keyset.take(&ids(119..125), 39, 20), Next::Done);
    }

    #[test]
    fn records_that_left_move_the_question_back() {
        let mut keyset = ById::new(20);
        assert_eq!(keyset.take(&ids(81..101), 1, 20), Next::At(20));
        // Three records before the position have left: 101 and 102 may have moved up unseen.
        assert_eq!(keyset.take(&ids(103..123), 20, 20), Next::At(18));
        assert_eq!(keyset.take(&ids(101..121), 18, 20), Next::At(14));
        assert_eq!(keyset.take(&ids(97..117), 14, 20), Next::At(30));
        assert_eq!(keyset.take(&[], 30, 20), Next::At(22), "all behind it have left, or some before it");
        assert_eq!(keyset.take(&ids(110..118), 22, 20), Next::Done);
    }

    #[test]
    fn numbers_and_text_are_orders_and_nothing_else_is() {
        let mut text = ById::new(4);
        assert_eq!(text.take(&ids([1, 10, 100, 2]), 1, 4), Next::At(4));
        assert_eq!(text.take(&ids([2, 20, 3]), 4, 4), Next::Done);
        let mut numbers = ById::new(4);
        assert_eq!(numbers.take(&ids([8, 9, 10, 11]), 1, 4), Next::At(4));
        assert_eq!(ById::new(4).take(&ids([3, 1, 2]), 1, 4), Next::Unordered);
        assert_eq!(ById::new(4).take(&["~1".into(), "7".into()], 1, 4), Next::Unordered);
        // Both orders are still possible, and they disagree whether 10 is behind 9.
        let mut both = ById::new(2);
        assert_eq!(both.take(&ids([8, 9]), 1, 2), Next::At(2));
        assert_eq!(both.take(&ids([10]), 2, 2), Next::At(1));
    }
}
