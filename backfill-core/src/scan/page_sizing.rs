//! Decides how many records the next page asks for; a pure state machine.
//!
//! A page that takes too long is requested with half its records, and with more again after some good pages. A page that fails
//! because of one record is halved until that record is the next one: ten requests for a page of a thousand, most of which
//! bring records.

use qbo_client::PageSize;

/// Good pages before a larger page is tried again; doubled each time that the larger page fails.
const PATIENCE: u32 = 4;

/// Decides how many records the next request asks for.
#[derive(Debug)]
pub(crate) struct PageSizer {
    full: u16,
    /// Records per page that QuickBooks can currently deliver.
    bearable: u16,
    good: u32,
    patience: u32,
    /// The number of next records among which one cannot be read.
    suspects: Option<u16>,
    /// The number of records not read before that the last request asked for.
    asked: u16,
}

impl PageSizer {
    pub(crate) fn new(full: PageSize) -> Self {
        let full = full.get();
        Self { full, bearable: full, good: 0, patience: PATIENCE, suspects: None, asked: full }
    }

    /// Returns the size of the next page, of which `overlap` records come again.
    pub(crate) fn ask(&mut self, overlap: usize) -> PageSize {
        let overlap = u16::try_from(overlap).unwrap_or(self.full).min(self.full - 1);
        let size = match self.suspects {
            Some(suspects) => overlap.saturating_add(suspects.div_ceil(2).min(self.bearable)),
            // The overlap is part of the page, as long as there is room for something new.
            None => self.bearable.max(overlap + 1),
        };
        let size = size.min(self.full);
        self.asked = size - overlap;
        PageSize::new(size).unwrap_or_default()
    }

    /// Notes that the page was read and brought this many new records.
    pub(crate) fn read(&mut self, fresh: usize) {
        if let Some(suspects) = self.suspects {
            let left = usize::from(suspects).saturating_sub(fresh);
            self.suspects = u16::try_from(left).ok().filter(|left| *left > 0);
        } else if self.bearable < self.full {
            self.good += 1;
            if self.good >= self.patience {
                self.good = 0;
                self.bearable = (self.bearable * 2).min(self.full);
            }
        }
    }

    /// Notes that the page took too long or was too large. Returns whether a smaller one can be requested.
    pub(crate) fn too_much(&mut self) -> bool {
        if self.asked <= 1 {
            return false;
        }
        if self.bearable < self.full {
            self.patience = self.patience.saturating_mul(2);
        }
        self.good = 0;
        self.bearable = (self.asked / 2).max(1);
        true
    }

    /// Notes that the page failed because of one record. Returns whether a smaller page can be requested; if not, it is the
    /// next record.
    pub(crate) fn poisoned(&mut self) -> bool {
        self.suspects = Some(self.asked);
        self.asked > 1
    }

    /// Whether the cursor is searching for a record that makes its page fail.
    pub(crate) fn is_searching(&self) -> bool {
        self.suspects.is_some()
    }

    /// Notes that the last request asked for one new record more than was known.
    pub(crate) fn one_more(&mut self) {
        self.asked = self.asked.saturating_add(1).min(self.full);
    }

    /// Notes that the record was found and the cursor is behind it.
    pub(crate) fn cleared(&mut self) {
        self.suspects = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizing() -> PageSizer {
        PageSizer::new(PageSize::MAX)
    }

    #[test]
    fn one_bad_record_is_the_next_one_after_ten_questions() {
        for bad in [0, 1, 499, 500, 777, 999] {
            let (mut sizing, mut position, mut questions) = (sizing(), 0, 0);
            loop {
                questions += 1;
                let size = usize::from(sizing.ask(3).get()) - 3;
                if (position..position + size).contains(&bad) {
                    if !sizing.poisoned() {
                        break;
                    }
                } else {
                    sizing.read(size);
                    position += size;
                }
            }
            assert_eq!(position, bad);
            assert!(questions <= 12, "{bad}: {questions}");
        }
    }

    #[test]
    fn a_page_that_takes_too_long_is_halved_and_grows_again() {
        let mut sizing = sizing();
        assert_eq!(sizing.ask(0).get(), 1000);
        assert!(sizing.too_much());
        for _ in 0..PATIENCE {
            assert_eq!(sizing.ask(1).get(), 500);
            sizing.read(499);
        }
        assert_eq!(sizing.ask(0).get(), 1000);
        assert!(sizing.too_much());
        sizing.ask(0);
        assert!(sizing.too_much());
        assert_eq!(sizing.ask(0).get(), 250);
    }

    #[test]
    fn what_is_too_much_while_a_bad_record_is_searched_for_is_not_asked_again() {
        let mut sizing = sizing();
        sizing.ask(0);
        assert!(sizing.poisoned());
        let mut last = sizing.ask(3).get();
        while sizing.too_much() {
            let next = sizing.ask(3).get();
            assert!(next < last, "{next} after {last}");
            last = next;
        }
        assert_eq!(last, 4);
    }

    #[test]
    fn there_is_always_room_for_something_new_and_never_more_than_a_page() {
        let mut sizing = PageSizer::new(PageSize::new(10).unwrap());
        sizing.ask(0);
        while sizing.too_much() {
            sizing.ask(0);
        }
        assert_eq!(sizing.ask(4).get(), 5);
        assert_eq!(sizing.ask(9).get(), 10);
        assert_eq!(sizing.ask(500).get(), 10);
    }
}
