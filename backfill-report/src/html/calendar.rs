//! Draws the calendar of the HTML report: one cell per day, coloured by the state of its windows and their records.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use backfill_core::PipelineReport;
use raw_store::LogLine;
use time::{Date, Month};

use super::escaped::Escaped;
use crate::calendar::{DayCell, Mark};
use crate::instant::short;
use crate::number::grouped;

/// The days of a year, by month.
type Year<'a> = BTreeMap<u8, Vec<(Date, &'a DayCell)>>;

/// Draws a cell for every day of the range, by month, and marks the days that a finding concerns.
pub(crate) fn calendar(pipeline: &PipelineReport, marked: &BTreeSet<Date>) -> String {
    // The zone of a run is not known here: a day of any zone but the most eastern ones is the one of its middle in UTC.
    let cells = crate::calendar::calendar(&pipeline.windows, |_| None);
    let mut by_year: BTreeMap<i32, Year<'_>> = BTreeMap::new();
    for (day, cell) in &cells {
        by_year.entry(day.year()).or_default().entry(u8::from(day.month())).or_default().push((*day, cell));
    }
    let mut html = String::new();
    let mut silent = Vec::new();
    for (year, months) in &by_year {
        let is_silent = |(_, cell): &(Date, &DayCell)| cell.mark == Mark::Empty;
        if by_year.len() > 1 && months.values().flatten().all(is_silent) {
            silent.push(year.to_string());
            continue;
        }
        let _ = write!(html, "<h4>{year}</h4><div class=\"months\">");
        for (month, days) in months {
            let Ok(month) = Month::try_from(*month) else { continue };
            push_month(&mut html, (month, *year), days, (&pipeline.windows, marked));
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
    days: &[(Date, &DayCell)],
    (lines, marked): (&[LogLine], &BTreeSet<Date>),
) {
    const STEP: u8 = 14;
    let name = month.to_string();
    let is_read = |cell: &DayCell| matches!(cell.mark, Mark::Empty | Mark::Confirmed | Mark::Unconfirmed);
    let read = days.iter().filter(|(_, cell)| is_read(cell)).count();
    let records: u64 = days.iter().map(|(_, cell)| cell.records).sum();
    let _ = write!(
        html,
        "<svg role=\"img\" class=\"month\" viewBox=\"0 0 98 100\" aria-label=\"{name} {year}: {read} of {} {} completed, {} \
         records\"><text x=\"0\" y=\"10\">{}</text>",
        days.len(),
        if days.len() == 1 { "day" } else { "days" },
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
            cell.class(),
            Escaped(&told(*day, cell, lines))
        );
    }
    html.push_str("</svg>");
}

fn told(day: Date, cell: &DayCell, lines: &[LogLine]) -> String {
    let state = match cell.mark {
        Mark::Empty | Mark::Confirmed => "completed",
        Mark::Unconfirmed => "completed, not confirmed by a count",
        Mark::Provisional => "provisional, will be read again",
        Mark::Failed => "failed",
        Mark::Open => "not read to its end",
        Mark::Unavailable => "not available",
    };
    let records = |number: u64| match number {
        0 => "no records".to_owned(),
        1 => "1 record".to_owned(),
        many => format!("{} records", grouped(many)),
    };
    match cell.lines.first().and_then(|place| lines.get(*place)).filter(|_| cell.is_part) {
        None => format!("{day}: {}, {state}", records(cell.records)),
        Some(line) => format!(
            "{day}: in the window {} to {} with {}, {state}",
            short(line.window.start()),
            short(line.window.end()),
            records(line.metrics.records_read)
        ),
    }
}
