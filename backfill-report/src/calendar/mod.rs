//! The calendar that the HTML report and the console share: what a log says about each day.

mod day_cell;
mod mark;

pub use self::day_cell::{DayCell, calendar, worst_state};
pub use self::mark::Mark;
