//! The pages. Each has a file here, a template, and its words; its routes stand in [`routes`].

mod frame;
mod answer;
mod trouble;
mod enter;
mod service;
mod home;
mod today;
mod choice;
mod standing;
mod step;
mod log_overview;
mod field;
mod coverage;
mod runs;
mod windows;
mod log;
mod records;
mod quarantine;
mod company;
mod typed_time;
mod new;
mod triggers;

pub(crate) use self::service::status_router;
pub(crate) use self::trouble::{not_found, too_slow};

use crate::assets;
use crate::route::Route;

/// Every route of the console.
pub(crate) fn routes() -> Vec<Route> {
    [
        service::routes(),
        assets::routes(),
        enter::routes(),
        home::routes(),
        today::routes(),
        coverage::routes(),
        runs::routes(),
        windows::routes(),
        log::routes(),
        records::routes(),
        quarantine::routes(),
        company::routes(),
        new::routes(),
        triggers::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
