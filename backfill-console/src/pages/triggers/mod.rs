//! The triggers: their list with switches, and one of them with its history.

mod known;
mod told;
mod list;
mod one;
mod shown;
mod switch;

use crate::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::page("/c/{profile}/triggers", list::show),
        Route::page("/c/{profile}/triggers/{name}", shown::show),
        Route::act("/c/{profile}/triggers/{name}/off", switch::off),
        Route::act("/c/{profile}/triggers/{name}/on", switch::on),
    ]
}
