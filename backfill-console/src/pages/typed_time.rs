//! Times that people type into forms, with a sentence for each that cannot be used.

use time::{Duration, OffsetDateTime};

use crate::local_time::{LocalTime, TimeProblem};
use crate::visit::CompanyVisit;
use crate::words::TimeWords;

/// A time may have passed by as much as it takes to press a button.
const JUST_PASSED: Duration = Duration::MINUTE;

/// Reads times that are typed into the forms of one company.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TypedTime<'a> {
    /// The company's own zone, by its name in the zone database.
    pub(crate) zone: &'a str,
    /// What people call the zone.
    pub(crate) place: &'a str,
    pub(crate) w: &'a TimeWords,
    pub(crate) now: OffsetDateTime,
}

impl<'a> TypedTime<'a> {
    pub(crate) fn new(visit: &'a CompanyVisit, now: OffsetDateTime) -> Self {
        let zone = &visit.company.zone;
        Self { zone, place: visit.when.place(), w: &visit.visit.words().time, now }
    }

    /// Reads a time as one of the company's own zone, or of UTC.
    pub(crate) fn read(&self, text: &str, is_own: bool) -> Result<LocalTime, String> {
        if text.is_empty() {
            return Err(self.w.missing.to_owned());
        }
        let zone = if is_own { self.zone } else { "UTC" };
        LocalTime::read(text, zone).map_err(|problem| match problem {
            TimeProblem::Unreadable => (self.w.unreadable)(text),
            TimeProblem::Skipped => (self.w.skipped)(text, self.place),
            TimeProblem::OutOfRange => self.w.out_of_range.to_owned(),
        })
    }

    /// Reads a time of the company's own zone at which a trigger may fire.
    pub(crate) fn fire_time(&self, text: &str) -> Result<LocalTime, String> {
        let read = self.read(text, true)?;
        if read.at < self.now - JUST_PASSED { Err(self.w.past.to_owned()) } else { Ok(read) }
    }
}
