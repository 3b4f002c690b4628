//! One record, without its document.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use backfill_core::EntitySpec;
use raw_store::{AsOf, RowRecord};

use super::address::{address, segment, spec};
use super::grant::grant;
use super::nothing::{no_entity, no_record};
use super::search::number_search;
use crate::pages::answer::page;
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::trouble::{Told, trouble_page};
use crate::plain::Plain;
use crate::visit::CompanyVisit;
use crate::when::Both;

/// When a record was found to be gone, and when the source deleted it, if it still knew.
struct Gone {
    found: Both,
    deleted: Option<Both>,
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    frame: Frame,
    stale: Option<(Told, String)>,
    /// The entity, and the page to search in it.
    entity: (String, String),
    id: Plain,
    number: Option<Plain>,
    changed: Option<Both>,
    /// The day of the change, where QuickBooks names no time.
    changed_on: Option<String>,
    sync_token: Option<i64>,
    read: Both,
    written: Both,
    window: (Both, Both, String),
    page_number: u32,
    page_size: String,
    run: Option<(String, String)>,
    request: Option<Plain>,
    digest: Option<Plain>,
    gone: Option<Gone>,
    /// The right that is missing to read documents.
    grant: Option<String>,
    /// Where the document is asked for; `None` if this console shows none.
    document: Option<String>,
}

pub(super) async fn show(
    visit: CompanyVisit,
    Path((_, entity, id)): Path<(String, String, String)>,
) -> Response {
    let Some(spec) = spec(&visit, &entity).cloned() else { return no_entity(&visit) };
    if id.contains('\0') {
        return no_record(&visit, &entity);
    }
    let search = number_search(&spec);
    let view = format!("record {entity} {id:?}");
    let read = visit.view(&view, async move |open| Ok(open.store.row(&search, &id).await?));
    let seen = match read.await {
        Ok(seen) => seen,
        Err(trouble) => {
            return trouble_page(&visit, Area::Records, visit.visit.words().records.title, &trouble);
        }
    };
    let AsOf { value: row, .. }: &AsOf<Option<RowRecord>> = &seen.value;
    let Some(row) = row else { return no_record(&visit, &entity) };
    let stale = Told::stale(&visit, &seen);
    let status = if stale.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    page(&visit.visit, status, &fill(&visit, &spec, row, stale))
}

fn fill(
    visit: &CompanyVisit,
    spec: &EntitySpec,
    row: &RowRecord,
    stale: Option<(Told, String)>,
) -> RecordPage {
    let (app, language, base) = (&visit.visit.app, visit.visit.language(), visit.base());
    let name = language.entity(spec.entity_name());
    let path = segment(spec.entity_name());
    let exact = |at| visit.when.exact(at);
    let day = row.window.start().date();
    let may_read = row.digest.is_some() && row.request.is_some();
    let title = format!("{name} {}", Plain::new(row.number.as_deref().unwrap_or(&row.id)));
    RecordPage {
        frame: Frame::of(visit, Area::Records, &title, Every::Never),
        stale,
        entity: (format!("{base}/records/{path}"), name),
        id: Plain::new(&row.id),
        number: row.number.as_deref().map(Plain::new),
        changed: row.updated_at.map(exact),
        changed_on: row.updated_on.map(|day| language.day(day)),
        sync_token: row.sync_token,
        read: exact(row.answered_at),
        written: exact(row.ingested_at),
        window: (
            exact(row.window.start()),
            exact(row.window.end()),
            format!("{base}/pipelines/{path}?day={day}#day"),
        ),
        page_number: row.page_number,
        page_size: language.number(u64::from(row.page_size)),
        run: row.run.as_ref().map(|run| (format!("{base}/runs/{run}"), run.to_string())),
        request: row.request.as_deref().map(Plain::new),
        digest: row.digest.as_deref().map(Plain::new),
        gone: row.gone_found_at.map(|at| Gone { found: exact(at), deleted: row.deleted_at.map(exact) }),
        grant: (!may_read).then(|| grant(visit, spec)),
        document: (app.documents && !app.look_only && may_read)
            .then(|| format!("{}/document", address(visit, spec.entity_name(), &row.id))),
    }
}
