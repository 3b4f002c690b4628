//! What the address of a coverage page asks for.

use serde::Deserialize;
use time::Date;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// What the address asks for. A value that makes no sense is left out.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Asked {
    by: Option<String>,
    year: Option<String>,
    day: Option<String>,
}

impl Asked {
    /// The axis, by its word in the log.
    pub(crate) fn axis(&self) -> Option<&str> {
        self.by.as_deref()
    }

    /// The day whose panel is shown.
    pub(crate) fn day(&self) -> Option<Date> {
        Date::parse(self.day.as_deref()?, DAY).ok()
    }

    /// The year, which is the day's if only that is given.
    pub(crate) fn year(&self) -> Option<i32> {
        let year = self.year.as_deref().and_then(|year| year.parse().ok());
        year.filter(|year| (1900..=2200).contains(year)).or_else(|| self.day().map(Date::year))
    }

    /// What distinguishes the data of one address from another's.
    pub(crate) fn key(&self) -> String {
        format!("{:?} {:?}", self.axis(), self.year())
    }
}
