//! The calendar: what the log says about each day.

use std::collections::BTreeMap;

use crate::days::days_of;
use raw_store::{LogLine, WindowState};
use time::{Date, Duration, OffsetDateTime, Time};

use crate::calendar::Mark;

/// What the log says about one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayCell {
    /// The mark that prevails among its windows.
    pub mark: Mark,
    /// Records of the windows within the day.
    pub records: u64,
    /// Whether all windows of the day are longer than it, so that its own records are not known.
    pub is_part: bool,
    /// How many records that is among the days of the calendar: 1 to 4, or 0 for none.
    pub level: u8,
    /// The windows of the day, by their places in the list.
    pub lines: Vec<usize>,
}

impl DayCell {
    /// The classes by which the style sheet knows the cell.
    pub fn class(&self) -> &'static str {
        match (self.mark, self.level) {
            (Mark::Empty, _) => "empty",
            // How many records are the day's own is not known.
            (Mark::Confirmed, 0) => "l2",
            (Mark::Confirmed, 1) => "l1",
            (Mark::Confirmed, 2) => "l2",
            (Mark::Confirmed, 3) => "l3",
            (Mark::Confirmed, _) => "l4",
            (mark, _) => mark.class(),
        }
    }
}

/// The days that lines of one pipeline and axis are about.
///
/// A window of at most a day belongs to the day that it begins at the midnight of, in the company's own zone or in UTC, and
/// otherwise to the day of UTC that contains its middle; so a day of another zone counts once. `own_midnight` returns the day
/// of the company's zone if an instant is its midnight.
pub fn calendar(
    lines: &[LogLine],
    own_midnight: impl Fn(OffsetDateTime) -> Option<Date>,
) -> BTreeMap<Date, DayCell> {
    let mut cells: BTreeMap<Date, DayCell> = BTreeMap::new();
    for (place, line) in lines.iter().enumerate() {
        let (start, end) = (line.window.start(), line.window.end());
        let records = line.metrics.records_read;
        let mark = Mark::new(line.state, line.counted_at.is_some(), records);
        if end - start <= Duration::DAY {
            let is_utc = start.time() == Time::MIDNIGHT;
            let whole = (end - start == Duration::DAY && !is_utc).then(|| own_midnight(start)).flatten();
            let middle: OffsetDateTime = start + (end - start) / 2;
            let day = whole.unwrap_or(middle.date());
            add(&mut cells, day, place, mark, Some(records));
        } else {
            // A window of a month may be longer than what was asked for; the caller shows the days that it wants.
            days_of(line.window).for_each(|day| add(&mut cells, day, place, mark, None));
        }
    }
    let levels = levels(&cells);
    for cell in cells.values_mut().filter(|cell| cell.records > 0) {
        cell.level = 1 + levels.iter().map(|level| u8::from(cell.records > *level)).sum::<u8>();
    }
    cells
}

fn add(cells: &mut BTreeMap<Date, DayCell>, day: Date, place: usize, mark: Mark, records: Option<u64>) {
    let new = || DayCell { mark, records: 0, is_part: true, level: 0, lines: Vec::new() };
    let cell = cells.entry(day).or_insert_with(new);
    cell.mark = cell.mark.max(mark);
    cell.records += records.unwrap_or_default();
    cell.is_part &= records.is_none();
    cell.lines.push(place);
}

/// The record counts that separate the four quarters of the days with records.
fn levels(cells: &BTreeMap<Date, DayCell>) -> [u64; 3] {
    let mut counts: Vec<u64> =
        cells.values().map(|cell| cell.records).filter(|records| *records > 0).collect();
    counts.sort_unstable();
    [1, 2, 3].map(|quarter| counts.get(counts.len() * quarter / 4).copied().unwrap_or(u64::MAX))
}

/// The state that prevails among lines, for the words beside a day.
pub fn worst_state(lines: &[&LogLine]) -> Option<WindowState> {
    let mark = |line: &&&LogLine| Mark::new(line.state, line.counted_at.is_some(), 1);
    lines.iter().max_by_key(mark).map(|line| line.state)
}

#[cfg(test)]
mod tests {
    use std::time::Duration as Span;

    use raw_store::{Window, WindowMetrics};
    use time::macros::{date, datetime};

    use super::*;

    fn line(start: OffsetDateTime, end: OffsetDateTime, state: WindowState, records: u64) -> LogLine {
        LogLine {
            entity_name: "invoices".into(),
            time_axis: "updated".into(),
            window: Window::new(start, end).unwrap(),
            state,
            metrics: WindowMetrics { records_read: records, ..WindowMetrics::default() },
            duration: Span::ZERO,
            started_at: None,
            finished_at: None,
            error_message: None,
            error_code: None,
            run: None,
            attempts: 1,
            counted_at: (state == WindowState::Completed).then_some(end),
            all_fields: true,
        }
    }

    fn guayaquil(at: OffsetDateTime) -> Option<Date> {
        let own = at - Duration::hours(5);
        (own.time() == Time::MIDNIGHT).then(|| own.date())
    }

    #[test]
    fn a_day_of_another_zone_counts_once_and_on_its_own_day() {
        let lines = [
            line(datetime!(2026-02-01 5:00 UTC), datetime!(2026-02-02 5:00 UTC), WindowState::Completed, 30),
            line(datetime!(2026-02-02 5:00 UTC), datetime!(2026-02-03 5:00 UTC), WindowState::Failed, 3),
        ];
        let cells = calendar(&lines, guayaquil);
        let days: Vec<_> = cells.iter().map(|(day, cell)| (*day, cell.records, cell.mark)).collect();
        assert_eq!(
            days,
            [(date!(2026 - 02 - 01), 30, Mark::Confirmed), (date!(2026 - 02 - 02), 3, Mark::Failed)]
        );
    }

    #[test]
    fn hours_add_up_to_their_day_and_the_worst_state_prevails() {
        let lines = [
            line(datetime!(2026-02-01 0:00 UTC), datetime!(2026-02-01 12:00 UTC), WindowState::Completed, 4),
            line(
                datetime!(2026-02-01 12:00 UTC),
                datetime!(2026-02-02 0:00 UTC),
                WindowState::Provisional,
                2,
            ),
            line(datetime!(2026-02-01 0:00 UTC), datetime!(2026-03-01 0:00 UTC), WindowState::Completed, 90),
        ];
        let cells = calendar(&lines, guayaquil);
        assert_eq!(cells.len(), 28);
        let first = &cells[&date!(2026 - 02 - 01)];
        assert_eq!((first.mark, first.records, first.is_part), (Mark::Provisional, 6, false));
        let other = &cells[&date!(2026 - 02 - 02)];
        assert_eq!((other.records, other.is_part, other.class()), (0, true, "l2"));
    }
}
