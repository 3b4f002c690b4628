//! The runs: their list, and one of them while it works.

mod tone;
mod list;
mod run;
mod stop;
mod report;

use crate::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::page("/c/{profile}/runs", list::show),
        Route::page("/c/{profile}/runs/{id}", run::show),
        Route::page("/c/{profile}/runs/{id}/report", report::show),
        Route::act("/c/{profile}/runs/{id}/stop", stop::stop),
    ]
}
