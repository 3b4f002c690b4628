//! The report as one HTML page.

mod bars;
mod calendar;
mod escaped;
mod page;
mod table;
