//! The runs: their list, and one of them while it works.

mod list;
mod run;
mod stop;

use crate::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::page("/c/{profile}/runs", list::show),
        Route::page("/c/{profile}/runs/{id}", run::show),
        Route::act("/c/{profile}/runs/{id}/stop", stop::stop),
    ]
}

/// The tone of a run's state.
fn tone(status: raw_store::RunStatus) -> &'static str {
    use raw_store::RunStatus as Status;
    match status {
        Status::Running => "busy",
        Status::Completed => "good",
        Status::Incomplete | Status::Failed => "bad",
        Status::Stopped => "warn",
    }
}
