//! The report of a run for paper: the same page that the command `report` writes.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use backfill_core::{Report, ReportError};
use backfill_report::ReportView;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use raw_store::{RunFilter, RunId};
use sha2::{Digest as _, Sha256};

use crate::company::OpenCompany;
use crate::pages::frame::Area;
use crate::pages::trouble::{nothing_page, trouble_page};
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;

/// How many runs are named in place of an unknown one.
const NEAREST: u32 = 10;

pub(super) async fn show(visit: CompanyVisit, Path((_, id)): Path<(String, String)>) -> Response {
    let words = visit.visit.words();
    let own = visit.clone();
    let seen = visit.view(&format!("report {id}"), move |open| built(own, open, id)).await;
    let seen = match seen {
        // A report is evidence: an earlier one is not passed off as the present one.
        Ok(seen) => match &seen.stale {
            Some(trouble) => return trouble_page(&visit, Area::Runs, words.runs.title, trouble),
            None => seen,
        },
        Err(trouble) => return trouble_page(&visit, Area::Runs, words.runs.title, &trouble),
    };
    match &*seen.value {
        Ok(html) => answer(html.clone()),
        Err(newest) => {
            let nearest = newest.iter().map(|run| (format!("{}/runs/{run}", visit.base()), run.to_string()));
            nothing_page(&visit, Area::Runs, words.trouble.no_run, nearest.collect())
        }
    }
}

/// Builds the page, or lists the newest runs if the log does not know this one.
async fn built(
    visit: CompanyVisit,
    open: Arc<OpenCompany>,
    id: String,
) -> Result<Result<String, Vec<RunId>>, Trouble> {
    let Ok(id) = id.parse::<RunId>() else { return newest(&open).await };
    let mut report = match Report::build(&*open.store, &visit.company.catalog, Some(&id)).await {
        Ok(report) => report,
        Err(ReportError::Store(error)) => return Err(error.into()),
        Err(ReportError::UnknownRun(_) | ReportError::NoRuns) => return newest(&open).await,
    };
    report.validated = open.store.validated(&id).await?;
    let monthly_calls = visit.company.monthly_calls;
    Ok(Ok(ReportView { report: &report, monthly_calls }.to_html()))
}

async fn newest(open: &OpenCompany) -> Result<Result<String, Vec<RunId>>, Trouble> {
    let runs = open.store.page_of_runs(&RunFilter::default(), None, NEAREST).await?.value;
    Ok(Err(runs.into_iter().map(|run| run.id).collect()))
}

/// Sends the page under a policy of its own. It holds its style sheet itself and loads nothing: the browser may apply that very
/// sheet, and nothing else.
fn answer(html: String) -> Response {
    let sheet = STANDARD.encode(Sha256::digest(ReportView::STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{sheet}'; img-src data:; form-action 'none'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (CONTENT_SECURITY_POLICY, policy)];
    (headers, html).into_response()
}
