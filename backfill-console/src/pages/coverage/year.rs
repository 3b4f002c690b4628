//! The calendar of one year.

use backfill_report::calendar::DayCell;
use time::util::days_in_month;
use time::{Date, Month};

use crate::pages::coverage::known::Coverage;
use crate::visit::CompanyVisit;

/// One month as a table of weeks.
#[derive(Debug)]
pub(crate) struct MonthTable {
    pub(crate) title: String,
    /// Weeks of seven days; a day of another month is `None`.
    pub(crate) weeks: Vec<[Option<DayLink>; 7]>,
}

/// One day of the calendar.
#[derive(Clone, Debug)]
pub(crate) struct DayLink {
    pub(crate) number: u8,
    /// `None` for a day that no window covers.
    pub(crate) href: Option<String>,
    pub(crate) class: &'static str,
    pub(crate) sign: &'static str,
    pub(crate) label: String,
    pub(crate) is_marked: bool,
    pub(crate) is_shown: bool,
}

/// The months of the year, from January.
pub(crate) fn months(visit: &CompanyVisit, coverage: &Coverage, shown: Option<Date>) -> Vec<MonthTable> {
    let months = (1..=12).filter_map(|number| Month::try_from(number).ok());
    months.map(|month| table(visit, coverage, month, shown)).collect()
}

fn table(visit: &CompanyVisit, coverage: &Coverage, month: Month, shown: Option<Date>) -> MonthTable {
    let year = coverage.year;
    let mut weeks: Vec<[Option<DayLink>; 7]> = Vec::new();
    let days =
        (1..=days_in_month(month, year)).filter_map(|day| Date::from_calendar_date(year, month, day).ok());
    for day in days {
        let place = usize::from(day.weekday().number_days_from_monday());
        if weeks.is_empty() || place == 0 {
            weeks.push([const { None }; 7]);
        }
        if let Some(week) = weeks.last_mut() {
            week[place] = Some(link(visit, coverage, day, shown));
        }
    }
    MonthTable { title: format!("{} {year}", visit.visit.language().month(month)), weeks }
}

fn link(visit: &CompanyVisit, coverage: &Coverage, day: Date, shown: Option<Date>) -> DayLink {
    let language = visit.visit.language();
    let w = &visit.visit.words().coverage;
    let cell = coverage.cells.get(&day);
    let is_marked = coverage.marked.contains(&day);
    let mut label = format!(
        "{}: {}",
        language.day(day),
        cell.map_or_else(|| w.unplanned.to_owned(), |cell| told(visit, cell))
    );
    if is_marked {
        label = format!("{label}, {}", w.finding);
    }
    DayLink {
        number: day.day(),
        href: cell.map(|_| format!("?by={}&year={}&day={day}#day", coverage.axis, coverage.year)),
        class: cell.map_or("", DayCell::class),
        sign: cell.map_or("", |cell| cell.mark.sign()),
        label,
        is_marked,
        is_shown: shown == Some(day),
    }
}

fn told(visit: &CompanyVisit, cell: &DayCell) -> String {
    let words = visit.visit.words();
    let state = (words.coverage.mark)(cell.mark);
    if cell.is_part {
        format!("{}, {state}", words.coverage.longer)
    } else {
        format!("{}, {state}", (words.state.records)(cell.records))
    }
}
