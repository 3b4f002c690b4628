//! Records: the rows that are stored, found by number, id or day, and the document of one of them.

mod address;
mod nothing;
mod grant;
mod search;
mod list;
mod row;
mod indent;
mod document;

use crate::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::page("/c/{profile}/records", list::of_all),
        Route::page("/c/{profile}/records/{entity}", list::of_one),
        Route::page("/c/{profile}/records/{entity}/{id}", row::show),
        Route::document("/c/{profile}/records/{entity}/{id}/document", document::show),
    ]
}
