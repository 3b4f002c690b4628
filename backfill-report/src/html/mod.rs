//! The report as one HTML page.

mod bars;
mod calendar;
pub(crate) mod escaped;
pub(crate) mod frame;
mod page;
pub(crate) mod table;

pub use self::frame::COLOURS;
