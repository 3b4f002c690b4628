//! New: a run now, or a trigger that starts one later. What it reads and costs is said before anything is armed.

mod typed;
mod beside;
mod asked;
mod known;
mod price;
mod triggers;
mod form;
mod preview;
mod planned;
mod shown;
mod arm;

use raw_store::Window;

use crate::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::page("/c/{profile}/new", shown::show), Route::act("/c/{profile}/new", arm::arm)]
}

/// The address of the form, below the company's, filled in for one pipeline and axis. Without a span, the form finds the range of
/// what failed.
pub(crate) fn new_run(what: &str, (entity, axis): (&str, &str), span: Option<Window>) -> String {
    let range = span.map_or_else(String::new, |span| {
        let [from, to] = [span.start(), span.end()].map(backfill_report::instant::short);
        format!("&from={from}&to={to}")
    });
    format!("/new?what={what}&pipelines={entity}&by={axis}{range}")
}
