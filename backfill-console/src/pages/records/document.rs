//! The document of one record. Each look is recorded before anything is shown.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use backfill_core::{Axis, EntitySpec};
use backfill_report::untrusted::in_json;
use raw_store::{StoreError, StoreErrorKind};

use super::address::{address, spec};
use super::grant::grant;
use super::indent::indented;
use super::nothing::{no_entity, no_record};
use crate::company::OpenCompany;
use crate::pages::answer::{rendered, unbuilt};
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::trouble::trouble_page;
use crate::plain::Plain;
use crate::record::{Act, record};
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;

#[derive(Template)]
#[template(path = "document.html")]
struct DocumentPage {
    frame: Frame,
    title: String,
    back: String,
    who: String,
    /// The document as lines of text; `None` if the role may not read it.
    document: Option<String>,
    grant: String,
}

/// What the store says about a document.
enum Document {
    Shown(Box<str>),
    Missing,
    Refused,
}

pub(super) async fn show(
    visit: CompanyVisit,
    Path((_, entity, id)): Path<(String, String, String)>,
) -> Response {
    let Some(spec) = spec(&visit, &entity).cloned() else { return no_entity(&visit) };
    if id.contains('\0') {
        return no_record(&visit, &entity);
    }
    match look(&visit, &spec, &id).await {
        Ok(Document::Shown(text)) => answer(&visit, &spec, &id, StatusCode::OK, Some(&text)),
        Ok(Document::Refused) => answer(&visit, &spec, &id, StatusCode::FORBIDDEN, None),
        Ok(Document::Missing) => no_record(&visit, &entity),
        Err(trouble) => trouble_page(&visit, Area::Records, visit.visit.words().records.title, &trouble),
    }
}

/// Reads the document, and records that it is shown or refused. A look that cannot be recorded shows nothing.
async fn look(visit: &CompanyVisit, spec: &EntitySpec, id: &str) -> Result<Document, Trouble> {
    let open: std::sync::Arc<OpenCompany> = visit.company.store.open().await?;
    // Nothing is kept for the next person who looks.
    let document = match open.store.document(&spec.pipeline(Axis::default()), id).await {
        Ok(found) => found.value.map_or(Document::Missing, Document::Shown),
        Err(StoreError { kind: StoreErrorKind::Forbidden(_), .. }) => Document::Refused,
        Err(error) => return Err(error.into()),
    };
    let is_refused = matches!(document, Document::Refused);
    if !matches!(document, Document::Missing) {
        let act = Act {
            event: if is_refused { "document refused" } else { "document shown" },
            entity_name: Some(spec.entity_name().into()),
            detail: Some(format!("id {}", Plain::new(id))),
            is_refused,
            ..Act::default()
        };
        record(visit, &open, act).await?;
        visit.visit.app.views.refresh();
    }
    Ok(document)
}

fn answer(
    visit: &CompanyVisit,
    spec: &EntitySpec,
    id: &str,
    status: StatusCode,
    document: Option<&str>,
) -> Response {
    let name = visit.visit.language().entity(spec.entity_name());
    let title = format!("{name} {}", Plain::new(id));
    let template = DocumentPage {
        frame: Frame::of(visit, Area::Records, &title, Every::Never),
        title,
        back: address(visit, spec.entity_name(), id),
        who: visit.visit.who(),
        document: document.map(|text| in_json(&indented(text)).into_owned()),
        grant: grant(visit, spec),
    };
    let Some(text) = rendered(&template) else { return unbuilt() };
    // No tag: it would be a fingerprint of the document.
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store")], text).into_response()
}
