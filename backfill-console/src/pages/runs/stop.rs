//! Asks a run to stop.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use raw_store::RunId;

use crate::pages::frame::Area;
use crate::pages::trouble::{nothing_page, trouble_page};
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;

/// Asks the run to stop, through its trigger if it has one, and shows the run. A run that is over, or was asked before, stays
/// as it is.
pub(super) async fn stop(visit: CompanyVisit, Path((_, id)): Path<(String, String)>) -> Response {
    let words = visit.visit.words();
    let Ok(run) = id.parse::<RunId>() else {
        return nothing_page(&visit, Area::Runs, words.trouble.no_run, Vec::new());
    };
    let asked = ask(&visit, &run).await;
    visit.visit.app.views.refresh();
    match asked {
        Ok(()) => {
            (StatusCode::SEE_OTHER, [(LOCATION, format!("{}/runs/{run}", visit.base()))]).into_response()
        }
        Err(trouble) => trouble_page(&visit, Area::Runs, words.runs.title, &trouble),
    }
}

async fn ask(visit: &CompanyVisit, run: &RunId) -> Result<(), Trouble> {
    let open = visit.company.store.open().await?;
    let who = visit.visit.who();
    let triggers = open.store.triggers().await?.0;
    let own = triggers.iter().find(|trigger| trigger.run.as_ref() == Some(run) && !trigger.state.is_spent());
    match own {
        Some(trigger) => drop(open.store.cancel(&trigger.asked.name, &who).await?),
        None => drop(open.store.request_stop(run, &who).await?),
    }
    Ok(())
}
