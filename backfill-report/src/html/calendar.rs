//! Draws the calendar of the HTML report: one cell per day, coloured by the state of its windows and their records.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use backfill_core::PipelineReport;
use raw_store::{LogLine, WindowState};
use time::{Date, Duration, Month, OffsetDateTime};

use super::escaped::Escaped;
use crate::days::days_of;
use crate::instant::short;
use crate::number::grouped;

/// One day of the calendar.
#[derive(Clone, Debug)]
struct Cell {
    state: WindowState,
    records: u64,
    /// The window, if it is longer than the day.
    part_of: Option<String>,
}

impl Cell {
    /// Adds another window of the same day. Records of windows within the day count; those of a longer window do not.
    fn merge(&mut self, other: &Self) {
        match (&self.part_of, &other.part_of) {
            (None, Some(_)) => {}
            (Some(_), None) => (self.records, self.part_of) = (other.records, None),
            _ => self.records += other.records,
        }
        if weight(other.state) > weight(self.state) {
            self.state = other.state;
        }
    }
}

/// The days of a year, by month.
type Year<'a> = BTreeMap<u8, Vec<(Date, &'a Cell)>>;

/// Draws a cell for every day of the range, by month, and marks the days that a finding concerns.
pub(crate) fn calendar(pipeline: &PipelineReport, marked: &BTreeSet<Date>) -> String {
    let cells = cells(&pipeline.windows);
    let levels = levels(&cells);
    let mut by_year: BTreeMap<i32, Year<'_>> = BTreeMap::new();
    for (day, cell) in &cells {
        by_year.entry(day.year()).or_default().entry(u8::from(day.month())).or_default().push((*day, cell));
    }
    let mut html = String::new();
    let mut silent = Vec::new();
    for (year, months) in &by_year {
        let says_something =
            |(_, cell): &(Date, &Cell)| cell.state != WindowState::Completed || cell.records > 0;
        if by_year.len() > 1 && !months.values().flatten().any(says_something) {
            silent.push(year.to_string());
            continue;
        }
        let _ = write!(html, "<h4>{year}</h4><div class=\"months\">");
        for (month, days) in months {
            let Ok(month) = Month::try_from(*month) else { continue };
            push_month(&mut html, (month, *year), days, &levels, marked);
        }
        html.push_str("</div>");
    }
    if !silent.is_empty() {
        let _ = write!(html, "<p class=\"quiet\">Read to the end and empty: {}.</p>", silent.join(", "));
    }
    html
}

fn push_month(
    html: &mut String,
    (month, year): (Month, i32),
    days: &[(Date, &Cell)],
    levels: &[u64; 3],
    marked: &BTreeSet<Date>,
) {
    const STEP: u8 = 14;
    let name = month.to_string();
    let read = days.iter().filter(|(_, cell)| cell.state == WindowState::Completed).count();
    let records: u64 =
        days.iter().filter(|(_, cell)| cell.part_of.is_none()).map(|(_, cell)| cell.records).sum();
    let _ = write!(
        html,
        "<svg role=\"img\" class=\"month\" viewBox=\"0 0 98 100\" aria-label=\"{name} {year}: {read} of {} days completed, {} \
         records\"><text x=\"0\" y=\"10\">{}</text>",
        days.len(),
        grouped(records),
        &name[..3]
    );
    let Some(first) = days.first().and_then(|(day, _)| day.replace_day(1).ok()) else { return };
    for (day, cell) in days {
        let place = first.weekday().number_days_from_monday() + day.day() - 1;
        let (x, y) = (place % 7 * STEP, 16 + u16::from(place / 7 * STEP));
        let mark = if marked.contains(day) { " marked" } else { "" };
        let _ = write!(
            html,
            "<rect class=\"{}{mark}\" x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\" rx=\"2\"><title>{}</title></rect>",
            class(cell, levels),
            Escaped(&told(*day, cell))
        );
    }
    html.push_str("</svg>");
}

/// The cells of all days. A day with several windows has the sum of their records and their most important state. A window of
/// at most a day that crosses midnight, such as a day of another time zone, counts its records on the day that contains its
/// middle.
fn cells(windows: &[LogLine]) -> BTreeMap<Date, Cell> {
    let mut cells: BTreeMap<Date, Cell> = BTreeMap::new();
    for line in windows {
        let (start, end) = (line.window.start(), line.window.end());
        let middle: OffsetDateTime = start + (end - start) / 2;
        let own = (end - start <= Duration::DAY).then(|| middle.date());
        let whole = format!("{} to {}", short(start), short(end));
        for day in days_of(line.window) {
            let part_of = (own != Some(day)).then(|| whole.clone());
            let new = Cell { state: line.state, records: line.metrics.records_read, part_of };
            cells.entry(day).and_modify(|cell| cell.merge(&new)).or_insert(new);
        }
    }
    cells
}

fn weight(state: WindowState) -> u8 {
    match state {
        WindowState::Completed => 0,
        WindowState::Unavailable => 1,
        WindowState::Provisional => 2,
        WindowState::Pending | WindowState::Running => 3,
        WindowState::Failed => 4,
    }
}

/// The record counts that separate the four quarters of the days with records.
fn levels(cells: &BTreeMap<Date, Cell>) -> [u64; 3] {
    let mut counts: Vec<u64> =
        cells.values().map(|cell| cell.records).filter(|records| *records > 0).collect();
    counts.sort_unstable();
    [1, 2, 3].map(|quarter| counts.get(counts.len() * quarter / 4).copied().unwrap_or(u64::MAX))
}

fn class(cell: &Cell, levels: &[u64; 3]) -> &'static str {
    match cell.state {
        WindowState::Failed => "failed",
        WindowState::Provisional => "provisional",
        WindowState::Pending | WindowState::Running => "open",
        WindowState::Unavailable => "unavailable",
        WindowState::Completed if cell.records == 0 => "empty",
        WindowState::Completed => {
            ["l1", "l2", "l3", "l4"][levels.iter().filter(|level| cell.records > **level).count()]
        }
    }
}

fn told(day: Date, cell: &Cell) -> String {
    let state = match cell.state {
        WindowState::Completed => "completed",
        WindowState::Provisional => "provisional, will be read again",
        WindowState::Failed => "failed",
        WindowState::Pending | WindowState::Running => "not read to its end",
        WindowState::Unavailable => "not available",
    };
    let records = match cell.records {
        0 => "no records".to_owned(),
        1 => "1 record".to_owned(),
        many => format!("{} records", grouped(many)),
    };
    match &cell.part_of {
        None => format!("{day}: {records}, {state}"),
        Some(window) => format!("{day}: in the window {window} with {records}, {state}"),
    }
}
