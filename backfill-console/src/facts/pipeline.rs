//! What the log says about each pipeline, summed up.

use std::collections::BTreeMap;
use std::time::Duration;

use backfill_report::calendar::Mark;
use raw_store::{CoverageMonth, CoverageStretch, Window, WindowState};
use time::OffsetDateTime;

const DAY: u64 = 86_400;

/// What the log says about one pipeline by one axis.
#[derive(Clone, Debug, Default)]
pub(crate) struct PipelineFacts {
    pub(crate) entity_name: Box<str>,
    pub(crate) time_axis: Box<str>,
    /// From the first window to the last, in UTC.
    pub(crate) span: Option<Window>,
    /// Time that was read to the end, provisional windows included.
    pub(crate) read: Duration,
    /// Time of completed windows that a count has confirmed.
    pub(crate) confirmed: Duration,
    /// Time of completed windows that no count has confirmed.
    pub(crate) unconfirmed: Duration,
    pub(crate) provisional: Duration,
    pub(crate) failed: Duration,
    pub(crate) open: Duration,
    pub(crate) unavailable: Duration,
    /// Time between the first and the last window that no window covers.
    pub(crate) unplanned: Duration,
    pub(crate) records: u64,
    /// Whether a run reads the pipeline now.
    pub(crate) is_read_now: bool,
    /// The most important mark of each month, by year and month.
    pub(crate) months: BTreeMap<(i32, u8), Mark>,
}

/// How far a pipeline is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The company does not have the entity.
    Unavailable,
    /// Something failed, or was not read.
    Incomplete,
    /// A run reads what is left.
    Reading,
    /// Everything is read, and something will be read again because it ended too near to now.
    Provisional,
    /// Everything is read, and a count has not confirmed all of it.
    Unconfirmed,
    /// Everything is read and confirmed by counts.
    Confirmed,
}

impl PipelineFacts {
    /// Whether the company does not have the entity at all.
    pub(crate) fn is_unavailable(&self) -> bool {
        !self.unavailable.is_zero() && self.read.is_zero() && self.failed.is_zero()
    }

    /// All time between the first window and the last that the company has.
    pub(crate) fn whole(&self) -> Duration {
        self.read + self.failed + self.open + self.unplanned
    }

    /// Time that is not read, although it should be.
    pub(crate) fn unread(&self) -> Duration {
        self.open + self.unplanned
    }

    /// Time that is missing. What a run has opened and not read yet is its work, and not missing.
    pub(crate) fn missing(&self) -> Duration {
        if self.is_read_now { self.unplanned } else { self.unread() }
    }

    /// How far the pipeline is, the worst first.
    pub(crate) fn standing(&self) -> Standing {
        match self {
            facts if facts.is_unavailable() => Standing::Unavailable,
            facts if !facts.failed.is_zero() || !facts.missing().is_zero() => Standing::Incomplete,
            facts if facts.is_read_now => Standing::Reading,
            facts if !facts.provisional.is_zero() => Standing::Provisional,
            facts if !facts.unconfirmed.is_zero() => Standing::Unconfirmed,
            _ => Standing::Confirmed,
        }
    }

    fn add(&mut self, month: &CoverageMonth) {
        let sum = match month.state {
            WindowState::Completed if month.counted => &mut self.confirmed,
            WindowState::Completed => &mut self.unconfirmed,
            WindowState::Provisional => &mut self.provisional,
            WindowState::Failed => &mut self.failed,
            WindowState::Pending | WindowState::Running => &mut self.open,
            WindowState::Unavailable => &mut self.unavailable,
        };
        *sum += month.covered;
        if matches!(month.state, WindowState::Completed | WindowState::Provisional) {
            self.read += month.covered;
        }
        self.records += month.records_read;
        let mark = Mark::new(month.state, month.counted, month.records_read);
        let place = self.months.entry((month.year, u8::from(month.month))).or_insert(mark);
        *place = mark.max(*place);
    }
}

/// Whole days of a duration.
pub(crate) fn days(duration: Duration) -> u64 {
    duration.as_secs() / DAY
}

/// Days of a duration, with one that has only begun: for what is missing, so that an hour is not nothing.
pub(crate) fn days_begun(duration: Duration) -> u64 {
    duration.as_secs().div_ceil(DAY)
}

/// Sums up the log by pipeline and axis, in the order of the months.
pub(crate) fn pipelines(months: &[CoverageMonth], stretches: &[CoverageStretch]) -> Vec<PipelineFacts> {
    let mut all: Vec<PipelineFacts> = Vec::new();
    for month in months {
        let same = |facts: &PipelineFacts| {
            facts.entity_name == month.entity_name && facts.time_axis == month.time_axis
        };
        if let Some(facts) = all.iter_mut().rev().find(|facts| same(facts)) {
            facts.add(month);
        } else {
            let (entity_name, time_axis) = (month.entity_name.clone(), month.time_axis.clone());
            let mut facts = PipelineFacts { entity_name, time_axis, ..PipelineFacts::default() };
            facts.add(month);
            all.push(facts);
        }
    }
    for facts in &mut all {
        let own = stretches
            .iter()
            .filter(|one| one.entity_name == facts.entity_name && one.time_axis == facts.time_axis);
        let spans: Vec<Window> = own.map(|one| one.span).collect();
        let start = spans.iter().map(|span| span.start()).min();
        let end = spans.iter().map(|span| span.end()).max();
        facts.span = start.zip(end).and_then(|(start, end)| Window::new(start, end).ok());
        let covered: Duration = spans.iter().map(|span| length(span.start(), span.end())).sum();
        let whole = facts.span.map_or(Duration::ZERO, |span| length(span.start(), span.end()));
        facts.unplanned = whole.saturating_sub(covered);
    }
    all
}

fn length(start: OffsetDateTime, end: OffsetDateTime) -> Duration {
    Duration::try_from(end - start).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::Month;
    use time::macros::datetime;

    use super::*;

    fn month(month: Month, state: WindowState, counted: bool, days: u64) -> CoverageMonth {
        CoverageMonth {
            entity_name: "invoices".into(),
            time_axis: "updated".into(),
            year: 2025,
            month,
            state,
            counted,
            windows: days,
            covered: Duration::from_secs(days * DAY),
            records_read: 5,
            records_inserted: 5,
        }
    }

    #[test]
    fn time_that_nobody_planned_is_missing_too() {
        let months = [
            month(Month::January, WindowState::Completed, true, 30),
            month(Month::January, WindowState::Failed, false, 1),
            month(Month::March, WindowState::Completed, false, 31),
        ];
        let stretch = |start, end| CoverageStretch {
            entity_name: "invoices".into(),
            time_axis: "updated".into(),
            span: Window::new(start, end).unwrap(),
        };
        let stretches = [
            stretch(datetime!(2025-01-01 0:00 UTC), datetime!(2025-02-01 0:00 UTC)),
            stretch(datetime!(2025-03-01 0:00 UTC), datetime!(2025-04-01 0:00 UTC)),
        ];
        let facts = pipelines(&months, &stretches);
        let [facts] = &*facts else { panic!("{facts:?}") };
        assert_eq!((days(facts.read), days(facts.confirmed), days(facts.unconfirmed)), (61, 30, 31));
        assert_eq!((days(facts.failed), days(facts.unplanned), days(facts.whole())), (1, 28, 90));
        assert_eq!(facts.months[&(2025, 1)], Mark::Failed);
        assert_eq!(facts.months[&(2025, 3)], Mark::Unconfirmed);
        assert_eq!(days_begun(Duration::from_secs(3_600)), 1);
    }
}
