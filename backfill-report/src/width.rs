//! How wide text is on a screen, and how wide it may be.

use unicode_width::UnicodeWidthChar as _;

use crate::style::is_mark;

/// The number of columns that text may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width(Option<usize>);

impl Width {
    /// No limit: what a file or another program reads does not depend on the size of a screen.
    pub const UNLIMITED: Self = Self(None);

    /// The narrowest screen that text is laid out for.
    const NARROWEST: usize = 20;

    /// Limits text to the columns of a screen, at least 20.
    pub fn of_screen(columns: usize) -> Self {
        Self(Some(columns.max(Self::NARROWEST)))
    }

    /// The limit; `None` if there is none.
    pub fn limit(self) -> Option<usize> {
        self.0
    }

    /// Whether so many columns are within the limit.
    pub(crate) fn has_room_for(self, columns: usize) -> bool {
        self.0.is_none_or(|limit| columns <= limit)
    }
}

/// The columns that a line takes on a screen. Marks of style take none.
pub fn columns(line: &str) -> usize {
    line.chars().map(columns_of).sum()
}

/// The columns that a character takes on a screen.
pub(crate) fn columns_of(letter: char) -> usize {
    if is_mark(letter) { 0 } else { letter.width().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::{Style, paint};

    #[test]
    fn wide_letters_count_twice_and_marks_not_at_all() {
        assert_eq!(columns("abc"), 3);
        assert_eq!(columns("中文 é"), 6);
        assert_eq!(columns("e\u{301}"), 1);
        assert_eq!(columns(&paint(Style::Bad, "failed").to_string()), 6);
    }

    #[test]
    fn a_screen_of_no_size_is_laid_out_for_all_the_same() {
        assert_eq!(Width::of_screen(0).limit(), Some(20));
        assert!(Width::UNLIMITED.has_room_for(usize::MAX));
        assert!(!Width::of_screen(80).has_room_for(81));
    }
}
