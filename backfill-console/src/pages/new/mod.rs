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

use crate::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::page("/c/{profile}/new", shown::show), Route::act("/c/{profile}/new", arm::arm)]
}
