//! The report of a run, for paper.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use backfill_core::{Catalog, Report, ReportError};
use backfill_report::ReportView;
use raw_store::RunId;

use crate::company::OpenCompany;
use crate::pages::frame::Area;
use crate::pages::trouble::{nothing_page, trouble_page};
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;

/// The report is one file with its style inside. It loads nothing and sends nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Shows the report that the command writes as HTML.
pub(super) async fn show(visit: CompanyVisit, Path((_, id)): Path<(String, String)>) -> Response {
    let words = visit.visit.words();
    let unknown = || nothing_page(&visit, Area::Runs, words.trouble.no_run, Vec::new());
    let Ok(run) = id.parse::<RunId>() else { return unknown() };
    let company = Arc::clone(&visit.company);
    let address = format!("report {run}");
    let built = visit
        .view(&address, async move |open| html(&open, &company.catalog, company.monthly_calls, &run).await);
    match built.await {
        Ok(seen) => match &*seen.value {
            Some(html) => {
                let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)];
                let status =
                    if seen.stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
                (status, headers, html.clone()).into_response()
            }
            None => unknown(),
        },
        Err(trouble) => trouble_page(&visit, Area::Runs, words.runs.title, &trouble),
    }
}

/// Builds the report; `None` if the log does not know the run.
async fn html(
    open: &OpenCompany,
    catalog: &Catalog,
    monthly_calls: Option<u64>,
    run: &RunId,
) -> Result<Option<String>, Trouble> {
    match Report::build(&*open.store, catalog, Some(run)).await {
        Ok(report) => Ok(Some(ReportView { report: &report, monthly_calls }.to_html())),
        Err(ReportError::UnknownRun(_) | ReportError::NoRuns) => Ok(None),
        Err(ReportError::Store(error)) => Err(error.into()),
    }
}
