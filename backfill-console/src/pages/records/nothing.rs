//! Says that there is no such entity or record.

use axum::response::Response;

use super::address::segment;
use crate::pages::choice::entities;
use crate::pages::frame::Area;
use crate::pages::trouble::nothing_page;
use crate::visit::CompanyVisit;

/// Says that the catalogue has no such entity, and which ones it has.
pub(super) fn no_entity(visit: &CompanyVisit) -> Response {
    let all = entities(visit, None).into_iter();
    let nearest = all.map(|one| (format!("{}/records/{}", visit.base(), one.value), one.text)).collect();
    nothing_page(visit, Area::Records, visit.visit.words().trouble.no_entity, nearest)
}

/// Says that no row has this id, and where to search.
pub(super) fn no_record(visit: &CompanyVisit, entity: &str) -> Response {
    let name = visit.visit.language().entity(entity);
    let back = (format!("{}/records/{}", visit.base(), segment(entity)), name);
    nothing_page(visit, Area::Records, visit.visit.words().records.no_record, vec![back])
}
